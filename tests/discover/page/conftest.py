"""A campaign as large as tests need, made up, and the page over it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from discover.benchmark.page import make_campaign
from discover.folder import CampaignFolder
from discover.page.access import Access
from discover.page.app import make_app
from discover.page.catalogue import Catalogue, OpenCampaign
from discover.records import CalculationState

TOKEN = "a token for tests alone"
JOB = "0000000000000003"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    for name in ("DISCOVER_TOKEN", "DISCOVER_STORE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of 40 candidates and 24 results: one failed job, one label in quarantine, two logs."""
    folder = tmp_path_factory.mktemp("page") / "made-up"
    make_campaign(folder, candidates=40, results=24, descriptors=6)
    place = CampaignFolder.at(folder)
    store = place.open_existing_store(place.load())
    first = store.calculation("0000000000000000")
    store.add_calculation(
        first.model_copy(
            update={
                "id": "failed-job",
                "order": 24,
                "state": CalculationState.PROPOSED,
                "started_at": None,
                "finished_at": None,
                "seconds": None,
            }
        )
    )
    store.transition(
        "failed-job", CalculationState.PROPOSED, CalculationState.FAILED, reason="<out of> memory"
    )
    store.quarantine("0000000000000004-thermal_conductivity", "an outlier against every model")
    store.close()
    for job in ("failed-job", JOB):
        directory = place.job(job)
        directory.mkdir(parents=True)
        (directory / "job.log").write_text("begin\n<b>the end</b>\n")
        (directory / "input.json").write_text("{}")
    (place.root / "jobs" / "secret.txt").write_text("outside of every job")
    (place.job(JOB) / "link.txt").symlink_to(place.root / "campaign.yaml")
    return folder


@pytest.fixture
def folder(made_up: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return shutil.copytree(made_up, tmp_path / "made-up", symlinks=True)


@pytest.fixture
def campaign(folder: Path) -> Iterator[OpenCampaign]:
    catalogue = Catalogue([folder])
    yield catalogue.open("made-up")
    catalogue.close()


@pytest.fixture(scope="session")
def app(made_up: Path) -> FastAPI:
    """The page without a token, as it is on loopback, over a campaign that no test changes."""
    return make_app([made_up])


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """A browser of that page."""
    opened = TestClient(app, base_url="http://127.0.0.1:4280")
    opened.headers["x-discover-csrf"] = opened.get("/api/session").json()["csrf"]
    return opened


@pytest.fixture(scope="session")
def guarded_app(made_up: Path) -> FastAPI:
    """A page that asks for a token, as it does beyond loopback."""
    return make_app([made_up], Access(TOKEN), remote=True)


@pytest.fixture
def with_token(guarded_app: FastAPI) -> TestClient:
    """A browser of that page that has not signed in."""
    return TestClient(guarded_app, base_url="http://some.host")

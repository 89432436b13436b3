"""How long the first view of a large campaign's page takes, from a server that has just been started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from discover.campaign import CampaignSpec
from discover.errors import ServerError
from discover.folder import SPEC_FILE, CampaignFolder
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    ModelCard,
    Observation,
    Prediction,
    Provenance,
)
from discover.store import Store
from discover.structures.crystal import Crystal

NAME = "large"
START_SECONDS = 60.0
CHUNK = 2000
INITIAL = 5
RETRAINED_EVERY = 10
FIRST_VIEW = ("", "api/search", "api/predictions", "api/map")
"""What a browser asks for when it opens a campaign: the page, then the numbers of its figures."""


def run(
    *,
    candidates: int = 100_000,
    results: int = 300,
    descriptors: int = 150,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Makes a campaign of that size, starts a server and asks for what a browser asks for.

    The seconds of each request to a server that has read nothing yet (`first`), and again (`again`);
    `first_view_seconds` is their sum, one after the other.
    """
    with tempfile.TemporaryDirectory(prefix="discover-page-") as place:
        folder = Path(place) / NAME
        told(f"making a campaign of {candidates} candidates")
        make_campaign(folder, candidates, results, descriptors, seed)
        size = (folder / "store.sqlite").stat().st_size
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-m", "discover.page", "--port", str(port), str(folder)],
            env={**os.environ, "DISCOVER_HOME": place},
        )
        try:
            base = f"http://127.0.0.1:{port}"
            started = _wait_for(f"{base}/health", process)
            told("asking")
            first = {what or "page": _seconds(base, what) for what in FIRST_VIEW}
            again = {what or "page": _seconds(base, what) for what in FIRST_VIEW}
            listed = _timed(f"{base}/")
        finally:
            process.terminate()
            process.wait()
    return {
        "candidates": candidates,
        "results": results,
        "descriptors": descriptors,
        "store_mb": size / 1e6,
        "start_seconds": started,
        "first": first,
        "again": again,
        "list_seconds": listed,
        "first_view_seconds": sum(first.values()),
    }


def show(result: dict[str, Any]) -> None:
    """Print what was measured."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{result['candidates']:,} candidates, {result['results']} results, "
        f"store of {result['store_mb']:.0f} MB"
    )
    for heading in ("request", "first (s)", "again (s)"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    for what, seconds in result["first"].items():
        table.add_row(what, f"{seconds:.3f}", f"{result['again'][what]:.3f}")
    table.add_row("first view, one after the other", f"{result['first_view_seconds']:.3f}", "")
    Console().print(table)


def make_campaign(
    folder: Path, candidates: int, results: int, descriptors: int, seed: int = 0
) -> None:
    """A campaign folder with a store of made-up candidates, results and model cards."""
    folder.mkdir(parents=True)
    spec = CampaignSpec.model_validate({"name": NAME, "budget": {"calculations": results + 50}})
    (folder / SPEC_FILE).write_text(yaml.safe_dump(spec.model_dump(mode="json")), encoding="utf-8")
    rng = np.random.default_rng(seed)
    with closing(CampaignFolder.at(folder).open_store(spec)) as store:
        batch: list[Candidate] = []
        for candidate in _candidates(candidates, descriptors, rng):
            batch.append(candidate)
            if len(batch) == CHUNK:
                store.add_candidates(batch)
                batch = []
        store.add_candidates(batch)
        known: list[tuple[str, float]] = []
        picked = rng.choice(candidates, min(results, candidates), replace=False)
        for order, number in enumerate(picked.tolist()):
            value = float(10 ** rng.normal(1.0, 0.6))
            known.append(_add_result(store, order, f"{number:016x}", value, rng))
            if order >= INITIAL and order % RETRAINED_EVERY == 0:
                _add_card(store, spec, known, rng)


def _candidates(n: int, descriptors: int, rng: np.random.Generator) -> Iterator[Candidate]:
    crystal = Crystal(
        numbers=(12, 8),
        cell_angstrom=((0.0, 2.1, 2.1), (2.1, 0.0, 2.1), (2.1, 2.1, 0.0)),
        scaled_positions=((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    )
    centres = rng.normal(size=(8, descriptors))
    for number in range(n):
        rejected = number % 5 == 0
        features = centres[rng.integers(8)] + 0.6 * rng.normal(size=descriptors)
        yield Candidate(
            id=f"{number:016x}",
            formula="MgO",
            spacegroup=225,
            prototype="rocksalt",
            structure=crystal,
            provenance=Provenance(generator="made-up", operation="draw", draw=number),
            state=CandidateState.REJECTED if rejected else CandidateState.READY,
            reason="formation energy 0.3 eV/atom is above 0" if rejected else None,
            features=tuple(features.round(5).tolist()),
        )


def _add_result(
    store: Store, order: int, candidate: str, value: float, rng: np.random.Generator
) -> tuple[str, float]:
    """Id of the observation and its value on the model's scale."""
    expected = None
    if order >= INITIAL:
        mean = float(np.log10(value) + 0.3 * rng.normal())
        expected = Prediction(mean=mean, std=0.3, score=0.1, model="made-up")
    calculation = Calculation(
        id=f"{order:016x}",
        candidate=candidate,
        order=order,
        kind="agl",
        engine="gpaw",
        fidelity="agl/gpaw",
        picked_by="logei" if expected else "initial",
        prediction=expected,
    )
    observation = Observation(
        id=f"{calculation.id}-thermal_conductivity",
        candidate=candidate,
        calculation=calculation.id,
        property="thermal_conductivity",
        value=value,
        unit="W/m/K",
        fidelity=calculation.fidelity,
        source="made-up",
    )
    store.add_calculation(calculation)
    store.transition(calculation.id, CalculationState.PROPOSED, CalculationState.SUBMITTED)
    begin = 1.79e9 + 60.0 * order
    store.finish(
        calculation.id,
        CalculationState.SUBMITTED,
        [observation],
        started_at=begin,
        finished_at=begin + 55.0,
        seconds=55.0,
        cores=1,
    )
    return observation.id, float(np.log10(value))


def _add_card(
    store: Store, spec: CampaignSpec, known: list[tuple[str, float]], rng: np.random.Generator
) -> None:
    held_out = [
        {"row": row, "observed": y, "mean": y + 0.2 * rng.normal(), "std": 0.25}
        for row, (_, y) in enumerate(known)
    ]
    part = {"rows": len(known), "scale": 1.0, "coverage_50": 0.55, "coverage_90": 0.92}
    store.add_model_card(
        ModelCard(
            id=f"{len(known):016x}",
            surrogate=spec.surrogate.name,
            created_at=1.79e9 + 60.0 * len(known),
            data_hash="made-up",
            n_observations=len(known),
            observations=tuple(name for name, _ in known),
            fit_seconds=1.0,
            metrics={"mae": 0.2, "spearman": 0.9, "coverage_50": 0.55, "coverage_90": 0.92},
            details={
                "held_out": held_out,
                "domain": {"inside": part, "outside": part},
                "unpicked": {"candidates": 5000, "quantiles": np.linspace(-0.5, 2.2, 200).tolist()},
            },
        )
    )


def _seconds(base: str, what: str) -> float:
    api = what.removeprefix("api/")
    address = f"{base}/api/campaigns/{NAME}/{api}" if what else f"{base}/campaigns/{NAME}"
    return _timed(address)


def _timed(address: str) -> float:
    started = time.perf_counter()
    with urllib.request.urlopen(address, timeout=120) as answer:  # noqa: S310 - our own server
        answer.read()
    return time.perf_counter() - started


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> float:
    """Seconds until the server answers; ServerError where it does not."""
    started = time.perf_counter()
    while time.perf_counter() - started < START_SECONDS and process.poll() is None:
        try:
            _timed(address)
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
        else:
            return time.perf_counter() - started
    raise ServerError("the page's server did not start")

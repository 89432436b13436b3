"""`discover up`: campaigns launched by REST and by Prefect's own command; what is refused; the end."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from flows.polling import Polling

pytestmark = pytest.mark.slow

LOOPBACK = "0100007F"
"""127.0.0.1 as in /proc/net/tcp."""


class Service(NamedTuple):
    """A deployment that is served, and campaigns to launch."""

    command: Any
    prefect: Any
    deployment: dict[str, Any]
    spec: dict[str, Any]

    @property
    def create(self) -> str:
        return f"/deployments/{self.deployment['id']}/create_flow_run"

    def campaign(self, name: str, **changes: Any) -> dict[str, Any]:
        """Parameters of a quick campaign of two calculations with changes to its keys."""
        spec = {**self.spec, "name": name}
        for key, value in changes.items():
            spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
        return {"campaign": spec}

    def launch(self, name: str, **changes: Any) -> str:
        parameters = self.campaign(name, **changes)
        launched: str = self.prefect.ask(self.create, {"parameters": parameters})["id"]
        return launched

    def folder(self, name: str) -> Path:
        return Path(self.command.home / "campaigns" / name)


@pytest.fixture(scope="module")
def service(command: Any, prefect_at: Any, quick_spec: str) -> Iterator[Service]:
    told = command.run("discover", "up")
    prefect = prefect_at(command.daemon("server")[1])
    deployment = prefect.ask("/deployments/name/launch-campaign/discover")
    assert deployment["id"] in told
    spec = yaml.safe_load(quick_spec)
    spec["budget"]["calculations"] = 2
    yield Service(command, prefect, deployment, spec)
    command.run("discover", "down")


def _spec(folder: Path) -> CampaignSpec:
    return CampaignFolder.at(folder).load()


def _is_steered(folder: Path) -> bool:
    with closing(CampaignFolder.at(folder).open_existing_store(_spec(folder))) as store:
        return store.lease() is not None


def leaves(
    schema: dict[str, Any], node: dict[str, Any], key: str = ""
) -> Iterator[tuple[str, Any]]:
    """Every field of the form that holds a value, by its dotted key."""
    target = schema["definitions"].get(node.get("$ref", "").rpartition("/")[2], node)
    if "properties" not in target:
        yield key, node
        return
    for name, field in target["properties"].items():
        yield from leaves(schema, field, f"{key}.{name}" if key else name)


def test_the_form_is_the_campaign_schema_and_explains_every_key(service: Service) -> None:
    schema = service.deployment["parameter_openapi_schema"]
    assert list(schema["properties"]) == ["campaign"]
    form = schema["definitions"][schema["properties"]["campaign"]["$ref"].rpartition("/")[2]]
    assert list(form["properties"]) == list(CampaignSpec.model_fields)
    fields = dict(leaves(schema, form))
    assert {"objective.goal", "generator.name", "calculation.engine", "seed"} <= set(fields)
    assert not [key for key, field in fields.items() if not field.get("description")]


def test_a_second_up_finds_what_serves(service: Service) -> None:
    names = ("server", "service", "page")
    before = [service.command.daemon(name) for name in names]
    assert service.deployment["id"] in service.command.run("discover", "up")
    assert [service.command.daemon(name) for name in names] == before


def test_server_service_and_page_listen_on_loopback_only(
    service: Service, listening: Callable[[int], set[str]]
) -> None:
    for name in ("server", "service", "page"):
        assert listening(service.command.daemon(name)[0].pid) <= {LOOPBACK}
    for name in ("server", "page"):
        assert listening(service.command.daemon(name)[0].pid)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("generator.name", {"generator": {"name": "evil/generator.py:Evil", "options": {}}}),
        ("acquisition.name", {"acquisition": {"name": "evil.py:score"}}),
        ("surrogate.name", {"surrogate": {"name": "/tmp/evil.py:Evil"}}),
        ("calculation.kind", {"calculation": {"kind": "evil.py:Evil"}}),
        ("calculation.engine", {"calculation": {"engine": "../evil.py:Evil"}}),
        ("dispatch.name", {"dispatch": {"name": "evil.py:Evil"}}),
        ("descriptors", {"descriptors": ["structure", "evil.py:Evil"]}),
        ("potential", {"potential": "mace:/tmp/evil.model"}),
        ("name", {"name": "../../outside"}),
        ("budget.calculations", {"budget": {"calculations": 0}}),
        ("'genrator'", {"genrator": {"name": "prototypes"}}),
    ],
)
def test_what_rest_refuses_at_once(key: str, changes: dict[str, Any], service: Service) -> None:
    parameters = service.campaign("refused", **{k: v for k, v in changes.items() if k != "name"})
    parameters["campaign"].update({k: v for k, v in changes.items() if k == "name"})
    code, detail = service.prefect.refusal(service.create, {"parameters": parameters})
    assert code == 409
    assert key in detail
    assert not service.prefect.flow_runs("refused")


def test_campaigns_launched_from_remote(service: Service) -> None:
    prefect = service.prefect
    launched = service.launch("by-rest")
    hidden = service.launch(
        "hidden-file", calculation={"engine_settings": {"potential": "mace:/tmp/evil.model"}}
    )
    state = prefect.ended(launched)
    assert (state["type"], state["message"]) == ("COMPLETED", "budget: 2 calculations")
    (run,) = prefect.flow_runs("by-rest")  # the run is called like the campaign
    assert run["id"] == launched
    assert {artifact["key"] for artifact in prefect.artifacts(run)} == {
        "by-rest-report",
        "by-rest-progress",
    }
    folder = service.folder("by-rest")
    wanted = CampaignSpec.model_validate(service.campaign("by-rest")["campaign"])
    assert CampaignSpec.model_validate(yaml.safe_load((folder / "campaign.yaml").read_text())) == (
        wanted
    )
    first = json.loads(service.command.run("discover", "results", folder, "--json"))
    assert len(first) == 2
    with urllib.request.urlopen(f"{service.command.daemon('page')[1]}/api/campaigns") as answer:
        shown = {one["name"]: one["state"] for one in json.load(answer)}
    assert shown["by-rest"] == "finished"  # beside what other tests of this process ran
    assert "hidden-file" not in shown

    state = prefect.ended(hidden)
    assert state["type"] == "FAILED"
    assert state["message"].startswith(
        "calculation.engine_settings.potential: files are refused from remote"
    )
    assert not service.folder("hidden-file").exists()

    other = service.launch("by-rest", initial=1)
    parameters = service.campaign("by-rest", budget={"calculations": 3})
    told = service.command.run(
        *("prefect", "deployment", "run", "launch-campaign/discover"),
        *("--params", json.dumps(parameters)),
        PREFECT_API_URL=prefect.url,
    )
    state = prefect.ended(other)
    assert state["type"] == "FAILED"
    assert state["message"].startswith("a campaign called 'by-rest' exists and differs in: initial")
    resumed = re.search(r"flow-run/([0-9a-f-]{36})", told)
    assert resumed, told
    state = prefect.ended(resumed[1])
    assert (state["type"], state["message"]) == ("COMPLETED", "budget: 3 calculations")
    second = json.loads(service.command.run("discover", "results", folder, "--json"))
    assert len(second) == 3
    assert {row["calculation"] for row in first} < {row["calculation"] for row in second}


def test_what_is_killed_comes_back_and_its_campaign_goes_on(
    service: Service, wait_until: Callable[[Callable[[], Any], str], Any]
) -> None:
    service.launch("killed", budget={"calculations": 12})
    folder = service.folder("killed")
    wait_until(lambda: list(folder.glob("jobs/*/result.json")), "the first result")

    def lease() -> Any:
        with closing(CampaignFolder.at(folder).open_existing_store(_spec(folder))) as store:
            return store.lease()

    def goes_on_after(steering: Any) -> None:
        wait_until(lambda: (now := lease()) and now.pid != steering.pid, "the campaign to go on")

    first = lease()
    os.kill(first.pid, signal.SIGKILL)
    goes_on_after(first)
    # together with the service, which cannot tell Prefect: the run is running for ever
    before, second = service.command.daemon("service")[0], lease()
    before.send(signal.SIGKILL)
    os.kill(second.pid, signal.SIGKILL)
    wait_until(lambda: service.command.daemon("service")[0] != before, "the service")
    goes_on_after(second)
    wait_until(lambda: len(list(folder.glob("jobs/*/result.json"))) == 12, "all results")
    wait_until(lambda: not _is_steered(folder), "the end")
    states = [run["state"]["type"] for run in service.prefect.flow_runs("killed")]
    # nobody told Prefect of the second, but the next one did if it had come as far as to be noted
    assert states[0] == "CRASHED"
    assert states[1] in {"RUNNING", "CRASHED"}


def test_a_killed_keeper_is_brought_back_by_the_service_it_keeps(
    service: Service, wait_until: Callable[[Callable[[], Any], str], Any]
) -> None:
    def comes_back(name: str) -> None:
        before = service.command.daemon(name)[0]
        before.send(signal.SIGKILL)
        wait_until(lambda: service.command.daemon(name)[0] != before, name)
        assert service.command.daemon(name)[0].is_alive

    comes_back("keeper")
    comes_back("page")  # by the new keeper


def test_of_two_keepers_the_noted_one_stays(
    service: Service, wait_until: Callable[[Callable[[], Any], str], Any]
) -> None:
    noted = service.command.daemon("keeper")[0]
    other = service.command.start("flows.keeper")
    assert other.wait(30) == 0
    assert noted.is_alive


def test_a_campaign_killed_before_it_read_what_to_do_begins_later_and_holds_nothing_up(
    service: Service, wait_until: Callable[[Callable[[], Any], str], Any]
) -> None:
    served = service.command.daemon("service")[0]
    wait_until(lambda: not _spawned(served.pid), "the processes of earlier campaigns to be gone")
    launched = service.launch("killed-at-birth")
    os.kill(_frozen_at_birth(served.pid), signal.SIGKILL)
    (killed,) = wait_until(lambda: _states(service, launched, "CRASHED"), "the crash to be told")
    assert "-9" in killed["message"]
    assert not service.folder("killed-at-birth").exists()
    assert service.prefect.ended(service.launch("after-it"))["type"] == "COMPLETED"
    assert service.command.daemon("service")[0] == served
    wait_until(lambda: _states(service, launched, "COMPLETED"), "it to begin and to end")


def test_a_service_that_asks_no_more_is_ended_and_comes_back(
    service: Service,
    wait_until: Callable[[Callable[[], Any], str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISCOVER_HOME", str(service.command.home))
    frozen = service.command.daemon("service")[0]
    frozen.send(signal.SIGSTOP)
    told: list[str] = []
    polling = Polling(told.append, silent_seconds=20.0)

    def seen() -> list[str]:
        polling.look()
        return told

    wait_until(seen, "the silence to be noticed")
    wait_until(lambda: service.command.daemon("service")[0] != frozen, "the service")
    state = service.prefect.ended(service.launch("after-the-freeze"))
    assert (len(told), state["type"]) == (1, "COMPLETED")
    polling.look()
    assert len(told) == 1


def _spawned(parent: int) -> list[int]:
    """Living processes of campaigns that this one spawned."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # not a process, or gone by now
            words = (entry / "cmdline").read_text()
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if "multiprocessing.spawn" in words and int(stat[1]) == parent:
                found.append(int(entry.name))
    return found


def _frozen_at_birth(parent: int) -> int:
    """The next process that this one, which has none, spawns; frozen before it reads what to do."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        for pid in _spawned(parent):
            os.kill(pid, signal.SIGSTOP)
            return pid
        time.sleep(0.001)
    raise AssertionError("waited in vain for: the campaign's process")


def _states(service: Service, flow_run: str, wanted: str) -> list[Any]:
    """All states of this type that a run was ever in."""
    states = service.prefect.ask(f"/flow_run_states/?flow_run_id={flow_run}")
    return [state for state in states if state["type"] == wanted]

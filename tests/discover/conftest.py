"""What the tests of a campaign's parts share: examples, an engine that can be held, a real Slurm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mongomock.collection
import pytest

from discover.folder import CampaignFolder
from discover.processes import Process
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Observation,
    Provenance,
)
from discover.store import Store, open_store
from discover.structures.crystal import Crystal

# mongomock 4.3 does not know an option that pymongo, since 4.11, hands to the updates of a bulk.
_add_update = mongomock.collection.BulkOperationBuilder.add_update


def _add_update_in_any_order(*args: Any, sort: None = None, **options: Any) -> None:
    _add_update(*args, **options)


mongomock.collection.BulkOperationBuilder.add_update = _add_update_in_any_order

SLURM_TEST = Path(__file__).parents[2] / "deploy" / "slurm-test.sh"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")

HELD_ENGINE = '''
"""An engine that computes when it is let go, and ends in other ways when it is told to."""

import os
import sys
import time
from pathlib import Path

from ase.calculators.emt import EMT, parameters

from discover.errors import CalculationError

HERE = Path(__file__).parent


class Held:
    name = "held"

    def check(self):
        pass

    def elements(self):
        return frozenset(parameters)

    def calculator(self, atoms, directory):
        while not (HERE / "go").exists():
            time.sleep(0.02)
        if (HERE / "refuse").exists():
            raise CalculationError("the engine refuses")
        crashes = HERE / "crashes"
        if crashes.exists() and (left := int(crashes.read_text())):
            crashes.write_text(str(left - 1))
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        return EMT()

    def versions(self):
        return {}
'''


@pytest.fixture
def held_campaign(quick_campaign: Path) -> Path:
    """Folder of a campaign of two calculations that wait until there is a file `go` in the folder."""
    (quick_campaign / "held.py").write_text(HELD_ENGINE)
    spec = quick_campaign / "campaign.yaml"
    text = spec.read_text()
    text = text.replace("engine: potential", "engine: held.py:Held")
    text = text.replace("engine_settings: {potential: emt}", "engine_settings: {}")
    text = text.replace("calculations: 10", "calculations: 2").replace("initial: 3", "initial: 2")
    spec.write_text(text)
    return quick_campaign


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = open_store(tmp_path / "store.sqlite", "test")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def metal() -> Callable[..., Candidate]:
    """A ready candidate: an fcc metal that the embedded-atom potential knows."""

    def make(symbol: str = "Cu", **changes: Any) -> Candidate:
        from ase.build import bulk

        fields: dict[str, Any] = {
            "id": f"candidate-{symbol}",
            "formula": symbol,
            "spacegroup": 225,
            "prototype": "fcc",
            "structure": Crystal.from_atoms(bulk(symbol)),
            "provenance": Provenance(generator="test", operation="none"),
            "state": CandidateState.READY,
        }
        return Candidate(**{**fields, **changes})

    return make


@pytest.fixture
def computed(metal: Callable[..., Candidate]) -> Callable[..., Calculation]:
    """A calculation that is done, with its candidate and observation, put into a store."""

    def add(
        store: Store,
        order: int,
        value: float,
        *,
        quarantined: str | None = None,
        features: tuple[float, ...] | None = None,
        **changes: Any,
    ) -> Calculation:
        candidate = metal(id=f"candidate-{order}", features=features)
        fields: dict[str, Any] = {
            "id": f"calculation-{order}",
            "candidate": candidate.id,
            "order": order,
            "kind": "agl",
            "engine": "emt",
            "fidelity": "agl/emt",
            "picked_by": "initial",
        }
        calculation = Calculation(**{**fields, **changes})
        observation = Observation(
            id=f"{calculation.id}-thermal_conductivity",
            candidate=candidate.id,
            calculation=calculation.id,
            property="thermal_conductivity",
            value=value,
            unit="W/m/K",
            fidelity="agl/emt",
            source="test",
            quarantined=quarantined,
        )
        store.add_candidates([candidate])
        store.add_calculation(calculation)
        store.transition(calculation.id, CalculationState.PROPOSED, CalculationState.SUBMITTED)
        return store.finish(
            calculation.id,
            CalculationState.SUBMITTED,
            [observation],
            started_at=10.0 * order,
            finished_at=10.0 * order + 5.0,
            seconds=5.0,
        )

    return add


SEVERAL = """
name: several
objectives:
  - {property: thermal_conductivity, goal: max, reference: 1}
  - {property: bulk_modulus, goal: min, reference: 1000}
constraints:
  - {property: debye_temperature, below: 900}
calculation: {kind: agl, engine: potential, engine_settings: {potential: emt}}
"""
COMPROMISES = (
    # thermal conductivity (W/m/K), bulk modulus (GPa), Debye temperature (K)
    (10.0, 100.0, 300.0),  # dominated by the next
    (20.0, 90.0, 500.0),
    (5.0, 10.0, 200.0),
    (100.0, 400.0, 1200.0),  # too stiff
    (50.0, 300.0, None),  # not known in all
)


@pytest.fixture
def several(tmp_path: Path, computed: Callable[..., Calculation]) -> CampaignFolder:
    """A campaign of two objectives and a constraint with five candidates, two of them on the front."""
    folder = CampaignFolder.at(tmp_path / "several")
    folder.root.mkdir()
    folder.spec_file.write_text(SEVERAL)
    with closing(folder.open_store(folder.load())) as opened:
        for order, (conductivity, modulus, debye) in enumerate(COMPROMISES):
            calculation = computed(opened, order, conductivity)
            opened.add_observations(
                [
                    Observation(
                        id=f"{calculation.id}-{name}",
                        candidate=calculation.candidate,
                        calculation=calculation.id,
                        property=name,
                        value=value,
                        unit=unit,
                        fidelity=calculation.fidelity,
                        source="test",
                    )
                    for name, value, unit in (
                        ("bulk_modulus", modulus, "GPa"),
                        ("debye_temperature", debye, "K"),
                    )
                    if value is not None
                ]
            )
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, which only root can make."""
    place = tmp_path / "small disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here (not root, or a container)")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@dataclass(frozen=True)
class SlurmCluster:
    """The cluster's folder; its programs find it by SLURM_CONF, which is set while it runs."""

    folder: Path

    @property
    def node(self) -> str:
        """Name of its node."""
        return self._ask("sinfo", "--noheader", "--format=%N").strip()

    def daemon(self, name: str) -> Process:
        """`slurmctld` or `slurmd`."""
        return Process.of(int((self.folder / f"{name}.pid").read_text()))

    def start(self, name: str) -> None:
        """Start one that was killed."""
        subprocess.run([SLURM_TEST, "daemon", self.folder, name], check=True, timeout=60)

    def saved_at(self) -> float:
        """When slurmctld last saved its jobs; what came later it forgets when it is killed."""
        try:
            return (self.folder / "state" / "job_state").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def heal(self) -> None:
        """What an administrator does after slurmctld has forgotten jobs that run: it gives their ids
        again, and then holds the new job and drains the node.
        """
        node, _, state = self._ask("sinfo", "--noheader", "--format=%N %t").strip().partition(" ")
        if state.startswith("drain"):
            self._ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        waiting = self._ask("squeue", "--noheader", "--states=PD", "--format=%i %r")
        for line in waiting.splitlines():
            if "requeued held" in line:
                self._ask("scontrol", "release", line.split()[0])

    @staticmethod
    def _ask(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def submitted(self) -> int:
        """Jobs that it was ever given: its ids count from 1."""
        done = subprocess.run(
            ["sbatch", "--parsable", "--hold", "--wrap=true"],
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        subprocess.run(["scancel", done.stdout.strip()], check=True)
        return int(done.stdout) - 1


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A cluster for all tests: a test that kills its daemons starts them again."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        pytest.skip(f"no Slurm here ({', '.join(missing)}): deploy/setup.sh test installs it")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of our own needs root")
    folder = tmp_path_factory.mktemp("slurm")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        started = subprocess.run(
            [SLURM_TEST, "start", folder], capture_output=True, text=True, timeout=120, check=False
        )
        assert started.returncode == 0, started.stderr
        yield SlurmCluster(folder)
    finally:
        subprocess.run([SLURM_TEST, "stop", folder], timeout=60, check=False)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before

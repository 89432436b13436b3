"""A campaign folder with a real store, as a campaign of fourteen results leaves it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase.build import bulk

from discover.calculations.base import JobResult
from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    ModelCard,
    Observation,
    Pass,
    Prediction,
    Provenance,
)
from discover.report.page import write_report
from discover.store import Store
from discover.structures.crystal import Crystal

BEGIN = 1_763_600_000.0
JOB_SECONDS = 38.0
INITIAL = 5

COMPOUNDS = (
    # formula, prototype, space group, lattice constant in Å, made-up kappa in W/m/K
    ("KCl", "rocksalt", 225, 6.34, 1.7),
    ("GaP", "zincblende", 216, 5.51, 8.5),
    ("NaCl", "rocksalt", 225, 5.69, 2.3),
    ("CsCl", "cesiumchloride", 221, 4.20, 0.9),
    ("CaF2", "fluorite", 225, 5.50, 7.9),
    ("MgO", "rocksalt", 225, 4.25, 28.7),
    ("AlP", "zincblende", 216, 5.51, 16.8),
    ("LiF", "rocksalt", 225, 4.07, 9.4),
    ("AlN", "wurtzite", 186, 3.13, 71.0),
    ("BeO", "wurtzite", 186, 2.71, 64.0),
    ("Li2O", "fluorite", 225, 4.63, 11.2),
    ("BN", "zincblende", 216, 3.62, 310.0),
    ("SiC", "zincblende", 216, 4.38, 122.0),
    ("BP", "zincblende", 216, 4.55, 188.0),
)


def crystal(formula: str, prototype: str, a: float) -> Crystal:
    """A primitive cell as ASE builds it."""
    name = {"Li2O": "OLi2"}.get(formula, formula)  # ASE wants the corner atom of a fluorite first
    lattice = {"c": 1.6 * a} if prototype == "wurtzite" else {}
    return Crystal.from_atoms(bulk(name, prototype, a=a, **lattice))


def candidate(formula: str, prototype: str, spacegroup: int, a: float, **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "id": f"candidate-{formula}-{prototype}",
        "formula": formula,
        "spacegroup": spacegroup,
        "prototype": prototype,
        "structure": crystal(formula, prototype, a),
        "provenance": Provenance(generator="prototypes", operation="decorate"),
        "state": CandidateState.READY,
    }
    return Candidate(**(fields | changes))


def expectation(order: int, value: float) -> Prediction | None:
    """Made up: off by up to 0.9 standard deviations, and by 2.2 for the ninth pick."""
    if order < INITIAL:
        return None
    std = 0.42 - 0.02 * order
    z = -2.2 if order == 8 else 0.9 * math.sin(3.0 * order)
    return Prediction(mean=math.log10(value) + z * std, std=std, score=0.1, model=f"model-{order}")


@dataclass(frozen=True)
class Campaign:
    """What a report is written from, and how to put more into it."""

    folder: CampaignFolder
    spec: CampaignSpec
    store: Store

    def add_result(self, order: int, prediction: Prediction | None = None) -> Calculation:
        """One finished calculation of `COMPOUNDS`, with its candidate and its observation."""
        formula, prototype, spacegroup, a, value = COMPOUNDS[order]
        proposed = candidate(formula, prototype, spacegroup, a)
        job = self._add_calculation(order, proposed, prediction or expectation(order, value))
        self.store.transition(job.id, CalculationState.PROPOSED, CalculationState.SUBMITTED)
        started = BEGIN + order * (JOB_SECONDS + 1)
        observation = Observation(
            id=f"{job.id}-thermal_conductivity",
            candidate=job.candidate,
            calculation=job.id,
            property="thermal_conductivity",
            value=value,
            unit="W/m/K",
            fidelity=job.fidelity,
            source=f"jobs/{job.id}",
        )
        return self.store.finish(
            job.id,
            CalculationState.SUBMITTED,
            [observation],
            started_at=started,
            finished_at=started + JOB_SECONDS,
            seconds=JOB_SECONDS + order / 10,
            cores=1,
        )

    def add_failure(self, order: int, formula: str, reason: str) -> None:
        job = self._add_calculation(order, candidate(formula, "rocksalt", 225, 5.0), None)
        self.store.transition(
            job.id, CalculationState.PROPOSED, CalculationState.FAILED, reason=reason, attempts=1
        )

    def add_rejected(self, formulas: Sequence[str], reason: str) -> None:
        """`reason` is completed with a number that differs from candidate to candidate."""
        self.store.add_candidates(
            [
                candidate(
                    formula,
                    "rocksalt",
                    225,
                    4.5,
                    state=CandidateState.REJECTED,
                    reason=reason.format(0.13 * i),
                )
                for i, formula in enumerate(formulas, start=1)
            ]
        )

    def add_card(self, n: int) -> None:
        """A model trained on n observations."""
        self.store.add_model_card(
            ModelCard(
                id=f"model-{n}",
                surrogate="gp",
                created_at=BEGIN + 39 * n,
                data_hash=f"{n:04d}",
                n_observations=n,
                fit_seconds=0.4 + n / 50,
                metrics={
                    "mae": 0.75 / n**0.5 + 0.05 * math.sin(n),
                    "spearman": 1 - 2.0 / n + 0.1 * math.sin(2 * n),
                    "coverage_50": 0.5 + 0.2 * math.sin(n),
                    "coverage_90": min(1.0, 0.85 + 0.08 * math.cos(n)),
                },
            )
        )

    def add_pass(self, number: int, job: Calculation) -> None:
        """A pass that collected one job and picked another."""
        proposes = number % 4 == 0
        self.store.add_pass(
            Pass(
                number=number,
                started_at=BEGIN + 39 * number,
                finished_at=BEGIN + 39 * number + 1.5,
                actions=("collect", "train", "propose" if proposes else "pick", "wait"),
                collected=(job.id,),
                picked=("next",),
                proposed=16 if proposes else 0,
                rejected=6 if proposes else 0,
            )
        )

    def write_result(self, job: Calculation) -> None:
        """What the job itself left in its directory."""
        directory = self.folder.job(job.id)
        directory.mkdir(parents=True)
        result = JobResult(
            id=job.id,
            status="done",
            fidelity=job.fidelity,
            kind=job.kind,
            engine=job.engine,
            settings={},
            engine_settings={},
            versions={"gpaw": "25.7.0", "libxc": "7.0.0"},
            started_at=BEGIN,
            finished_at=BEGIN + JOB_SECONDS,
            seconds=JOB_SECONDS,
            cores=1,
        )
        (directory / "result.json").write_text(result.model_dump_json(), encoding="utf-8")

    def fill(self) -> None:
        """Fourteen results with their models and passes, failures and rejections."""
        for order in range(len(COMPOUNDS)):
            job = self.add_result(order)
            self.write_result(job)
            if order >= INITIAL:
                self.add_card(order)
            self.add_pass(order, job)
        self.add_failure(
            14, "MgS", "no minimum between -3 % and +3 % in length <after two widenings>"
        )
        self.add_failure(15, "LiCl", "no result after 2 attempt(s): exit code 137")
        self.add_rejected(
            ["NaF", "KF", "RbF"], "formation energy {:.2f} eV/atom is above the limit 0.0"
        )
        self.add_rejected(["SrO"], "did not converge: largest force {:.2f} eV/Å after 150 steps")
        self.store.set_value("hours", 0.17)

    def _add_calculation(
        self, order: int, proposed: Candidate, prediction: Prediction | None
    ) -> Calculation:
        self.store.add_candidates([proposed])
        job = Calculation(
            id=f"{order:02d}{proposed.formula.lower():0<14}",
            candidate=proposed.id,
            order=order,
            kind="agl",
            engine="gpaw",
            fidelity="agl/gpaw",
            picked_by="initial" if order < INITIAL else "logei",
            prediction=prediction,
        )
        self.store.add_calculation(job)
        return job


def spec_of(goal: str) -> CampaignSpec:
    return CampaignSpec.model_validate(
        {
            "name": "heat-spreaders",
            "objective": {"property": "thermal_conductivity", "goal": goal},
            "initial": INITIAL,
            "budget": {"calculations": 20},
        }
    )


@contextmanager
def opened(root: Path, goal: str) -> Iterator[Campaign]:
    spec = spec_of(goal)
    folder = CampaignFolder(root)
    folder.root.mkdir()
    folder.spec_file.write_text(
        "# the best heat spreaders\n" + yaml.safe_dump(spec.model_dump(mode="json")),
        encoding="utf-8",
    )
    with closing(folder.open_store(spec)) as store:
        yield Campaign(folder, spec, store)


@pytest.fixture
def campaign_of(tmp_path: Path) -> Iterator[Callable[..., Campaign]]:
    """Makes an empty campaign with a goal."""
    with ExitStack() as stack:
        yield lambda goal="max": stack.enter_context(opened(tmp_path / f"campaign {goal}", goal))


@pytest.fixture
def campaign(campaign_of: Callable[..., Campaign]) -> Campaign:
    """A campaign of fourteen results."""
    made = campaign_of()
    made.fill()
    return made


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """The same with its page written, to look at and leave as it is."""
    with opened(tmp_path_factory.mktemp("reported") / "campaign", "max") as made:
        made.fill()
        write_report(made.folder, made.spec, made.store)
        yield made

"""A campaign folder with a real store, as a campaign of fourteen results leaves it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

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


@dataclass(frozen=True)
class Campaign:
    """What a report is written from."""

    folder: CampaignFolder
    spec: CampaignSpec
    store: Store


def crystal(formula: str, prototype: str, a: float) -> Crystal:
    """A primitive cell as ASE builds it."""
    from ase.build import bulk

    name = {"Li2O": "OLi2"}.get(formula, formula)  # ASE wants the metal of a fluorite first
    lattice = {"c": 1.6 * a} if prototype == "wurtzite" else {}
    return Crystal.from_atoms(bulk(name, prototype, a=a, **lattice))


def candidate(formula: str, prototype: str, spacegroup: int, a: float, draw: int = 0) -> Candidate:
    return Candidate(
        id=f"candidate-{formula}-{prototype}",
        formula=formula,
        spacegroup=spacegroup,
        prototype=prototype,
        crystal=crystal(formula, prototype, a),
        provenance=Provenance(generator="prototypes", operation="decorate", draw=draw),
        state=CandidateState.READY,
    )


def calculation(order: int, formula: str, prediction: Prediction | None = None) -> Calculation:
    return Calculation(
        id=f"{order:02d}{formula.lower():0<14}",
        candidate=f"candidate-{formula}-{COMPOUNDS[order][1]}" if order < len(COMPOUNDS) else "",
        order=order,
        kind="agl",
        engine="gpaw",
        fidelity="agl/gpaw",
        picked_by="initial" if prediction is None else "logei",
        prediction=prediction,
    )


def expectation(order: int, value: float) -> Prediction | None:
    """Made up: off by up to 0.9 standard deviations, and by 2.2 for the ninth pick."""
    if order < INITIAL:
        return None
    std = 0.42 - 0.02 * order
    z = -2.2 if order == 8 else 0.9 * math.sin(3.0 * order)
    return Prediction(mean=math.log10(value) + z * std, std=std, score=0.1, model=f"model-{order}")


def add_result(store: Store, order: int, *, quarantined: str | None = None) -> Calculation:
    """One finished calculation of `COMPOUNDS`, with its candidate and its observation."""
    formula, prototype, spacegroup, a, value = COMPOUNDS[order]
    store.add_candidates([candidate(formula, prototype, spacegroup, a, draw=order)])
    job = calculation(order, formula, expectation(order, value))
    store.add_calculation(job)
    store.transition(job.id, CalculationState.PROPOSED, CalculationState.SUBMITTED)
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
        quarantined=quarantined,
    )
    return store.finish(
        job.id,
        CalculationState.SUBMITTED,
        [observation],
        started_at=started,
        finished_at=started + JOB_SECONDS,
        seconds=JOB_SECONDS + order / 10,
        cores=1,
    )


def add_failure(store: Store, order: int, formula: str, reason: str) -> None:
    store.add_candidates([candidate(formula, "rocksalt", 225, 5.0, draw=order)])
    job = calculation(order, formula).model_copy(
        update={"candidate": f"candidate-{formula}-rocksalt", "picked_by": "logei"}
    )
    store.add_calculation(job)
    store.transition(
        job.id, CalculationState.PROPOSED, CalculationState.FAILED, reason=reason, attempts=1
    )


def add_rejected(store: Store, formulas: Sequence[str], reason: str) -> None:
    """`reason` is completed with a number that differs from candidate to candidate."""
    store.add_candidates(
        [
            candidate(formula, "rocksalt", 225, 4.5 + 0.1 * i).model_copy(
                update={
                    "state": CandidateState.REJECTED,
                    "reason": reason.format(0.13 * (i + 1)),
                }
            )
            for i, formula in enumerate(formulas)
        ]
    )


def add_card(store: Store, n: int) -> None:
    store.add_model_card(
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


def write_result(folder: CampaignFolder, job: Calculation) -> None:
    directory = folder.job(job.id)
    directory.mkdir(parents=True)
    result = JobResult(
        id=job.id,
        status="done",
        fidelity=job.fidelity,
        kind=job.kind,
        engine=job.engine,
        settings={},
        engine_settings={},
        versions={"gpaw": "25.7.0", "ase": "3.29.0"},
        started_at=BEGIN,
        finished_at=BEGIN + JOB_SECONDS,
        seconds=JOB_SECONDS,
        cores=1,
    )
    (directory / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def spec_of(goal: str) -> CampaignSpec:
    return CampaignSpec.model_validate(
        {
            "name": "heat-spreaders",
            "objective": {"property": "thermal_conductivity", "goal": goal},
            "initial": INITIAL,
            "budget": {"calculations": 20},
        }
    )


def fill(campaign: Campaign) -> None:
    """Fourteen results, one more in quarantine, failures, rejections, models and passes."""
    store = campaign.store
    for order in range(len(COMPOUNDS)):
        job = add_result(store, order)
        write_result(campaign.folder, job)
        if order >= INITIAL:
            add_card(store, order)
        store.add_pass(
            Pass(
                number=order,
                started_at=BEGIN + 39 * order,
                finished_at=BEGIN + 39 * order + 1.5,
                actions=("collect", "train", "pick", "wait"),
                collected=(job.id,),
                picked=(f"{order + 1}",),
                proposed=16 if order % 4 == 0 else 0,
                rejected=6 if order % 4 == 0 else 0,
            )
        )
    add_failure(
        store, 14, "MgS", "no minimum between -3 % and +3 % in length <after two widenings>"
    )
    add_failure(store, 15, "LiCl", "no result after 2 attempt(s): exit code 137")
    add_rejected(
        store, ["NaF", "KF", "RbF"], "formation energy {:.2f} eV/atom is above the limit 0.0"
    )
    add_rejected(store, ["SrO"], "did not converge: largest force {:.2f} eV/Å after 150 steps")
    store.set_value("hours", 0.17)


@pytest.fixture
def campaign_of(tmp_path: Path) -> Iterator[Callable[..., Campaign]]:
    """Makes an empty campaign with a goal."""
    opened: list[Store] = []

    def make(goal: str = "max") -> Campaign:
        spec = spec_of(goal)
        folder = CampaignFolder(tmp_path / f"campaign {goal}")
        folder.root.mkdir()
        folder.spec_file.write_text(
            "# the best heat spreaders\n" + yaml.safe_dump(spec.model_dump(mode="json")),
            encoding="utf-8",
        )
        opened.append(folder.open_store(spec))
        return Campaign(folder, spec, opened[-1])

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def campaign(campaign_of: Callable[..., Campaign]) -> Campaign:
    """A campaign of fourteen results."""
    made = campaign_of()
    fill(made)
    return made

"""Labels by the embedded-atom potential, which stands in for DFT with a zero of energy of its own."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from discover.calculations.base import JobResult
from discover.calculations.job import FRAMES, RESULT
from discover.folder import CampaignFolder
from discover.potentials.learning.labels import Label
from discover.records import Calculation
from discover.store import Store
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula

LATTICE = {"Al": 4.05, "Cu": 3.61, "Ag": 4.09, "Ni": 3.52}


def alloy(
    one: str,
    other: str,
    seed: int,
    *,
    stiffness: float = 1.0,
    zeros: dict[str, float] | None = None,
) -> Atoms:
    """Four atoms, strained and rattled, with labels of EMT scaled by `stiffness` and other zeros."""
    random = np.random.default_rng(seed)
    atoms = bulk(one, "fcc", a=4.0, cubic=True)
    if other != one:
        atoms.symbols[[0, 1]] = other
    length = (LATTICE[one] + LATTICE[other]) / 2 * random.uniform(0.97, 1.03)
    atoms.set_cell(length * np.eye(3), scale_atoms=True)
    atoms.positions += random.normal(0, 0.08, atoms.positions.shape)
    atoms.calc = EMT()
    shift = sum((zeros or {}).get(symbol, 0.0) for symbol in atoms.get_chemical_symbols())
    results = {
        "energy": stiffness * atoms.get_potential_energy() + shift,
        "forces": stiffness * atoms.get_forces(),
        "stress": stiffness * atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


@pytest.fixture(scope="session")
def labelled() -> Callable[..., Label]:
    """`labelled(one, other, seed, kind=..., stiffness=..., zeros=...)`: one label."""

    def make(
        one: str, other: str, seed: int, *, kind: str = "rattled", level: str = "dft", **how: object
    ) -> Label:
        atoms = alloy(one, other, seed, **how)  # type: ignore[arg-type]
        formula = reduced_formula(Crystal.from_atoms(atoms))
        return Label(atoms, kind, formula, level, "job", f"{one}{other}{seed}{level}")

    return make


@pytest.fixture
def campaign(
    tmp_path: Path, store: Store, computed: Callable[..., Calculation]
) -> tuple[CampaignFolder, Store, Callable[..., Calculation]]:
    """A folder, its store, and `add(engine, frames, ...)`: a finished calculation and its frames."""
    folder = CampaignFolder(tmp_path)
    orders = itertools.count()

    def add(
        engine: str,
        frames: Sequence[Atoms],
        *,
        engine_settings: dict[str, Any] | None = None,
        quarantined: str | None = None,
    ) -> Calculation:
        calculation = computed(store, next(orders), 1.0, quarantined=quarantined, engine=engine)
        directory = folder.job(calculation.id)
        directory.mkdir(parents=True)
        result = JobResult(
            id=calculation.id,
            status="done",
            fidelity=calculation.fidelity,
            kind="agl",
            engine=engine,
            settings={},
            engine_settings=engine_settings or {},
            versions={},
            started_at=0.0,
            finished_at=1.0,
            seconds=1.0,
            cores=1,
        )
        (directory / RESULT).write_text(result.model_dump_json())
        if frames:
            write(directory / FRAMES, list(frames), format="extxyz")
        return calculation

    return folder, store, add


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small MACE that knows Al, Ni, Cu and Ag a little."""
    from discover.potentials.mace_training import (
        Architecture,
        Example,
        NewModel,
        TrainingSettings,
        train_mace,
    )
    from discover.potentials.mace_weights import save_weights

    folder = tmp_path_factory.mktemp("tiny")
    pairs = list(itertools.combinations_with_replacement(LATTICE, 2))
    frames = [Example(alloy(a, b, seed)) for seed in range(5) for a, b in pairs]
    architecture = Architecture(channels=8, max_ell=2, correlation=2, r_max_angstrom=4.5)
    settings = TrainingSettings(epochs=15, batch_size=4)
    trained = train_mace(frames[4:], frames[:4], folder / "t", settings, NewModel(architecture))
    file = folder / "tiny.safetensors"
    save_weights(trained.load(), file)
    return file

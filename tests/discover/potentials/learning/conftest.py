"""Labels by the embedded-atom potential, which stands in for DFT with a zero of energy of its own."""

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from discover.potentials.learning.labels import Label
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

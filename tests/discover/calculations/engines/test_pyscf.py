from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from discover import plugins
from discover.calculations.engines.pyscf import PySCFEngine
from discover.calculations.engines.pyscf_fields import converge, make
from discover.calculations.molecules.base import MolecularEngine
from discover.errors import CalculationError

pytest.importorskip("pyscf")

SMALL: dict[str, Any] = {"functional": "pbe0", "basis": "def2-svp"}


@pytest.fixture(scope="module")
def engine() -> PySCFEngine:
    return PySCFEngine(**SMALL)


def water(charge: int = 0, spin: int = 1) -> Atoms:
    atoms = molecule("H2O")
    atoms.info |= {"charge": charge, "spin": spin}
    return atoms


def test_it_is_in_the_registry_and_can_run() -> None:
    made = plugins.create("engines", "pyscf", {"preset": "tight"})
    assert isinstance(made, MolecularEngine)
    made.check()
    assert {"H", "C", "Li", "I"} <= made.elements()
    assert set(made.versions()) == {"pyscf"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"functional": "b3lyb"}, "functional"),
        ({"basis": "def2-huge"}, "basis"),
        ({"geometry_basis": "def2-huge"}, "geometry_basis"),
    ],
)
def test_an_unknown_functional_or_basis_is_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(CalculationError, match=named):
        PySCFEngine(**settings).check()


def test_elements_are_those_of_the_basis() -> None:
    pople = PySCFEngine(basis="6-31g*")
    assert "Rb" not in pople.elements()
    assert "6-31g*" in pople.why_not("Rb")


def test_solvents_are_those_of_smd_or_a_dielectric_constant(engine: PySCFEngine) -> None:
    assert engine.dielectric_constant("acetone") == pytest.approx(20.493)
    assert engine.dielectric_constant(7.5) == 7.5
    with pytest.raises(CalculationError, match="did you mean 'acetone'"):
        engine.dielectric_constant("aceton")


@pytest.mark.parametrize(
    ("charge", "spin", "solvent"), [(0, 1, None), (1, 2, "acetone"), (0, 1, 20.5)]
)
def test_forces_are_the_derivative_of_the_energy(
    charge: int, spin: int, solvent: str | float | None, tmp_path: Path
) -> None:
    atoms = water(charge, spin)
    engine = PySCFEngine(functional="pbe0", basis="sto-3g", grid_level=3, energy_tolerance_ev=1e-8)
    atoms.calc = engine.calculator(atoms, tmp_path, solvent)
    forces = atoms.get_forces()
    energies = []
    for step in (-0.01, 0.01):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[1, 1] += step
        energies.append(moved.get_potential_energy())
    assert forces[1, 1] == pytest.approx(-(energies[1] - energies[0]) / 0.02, abs=0.01)
    assert forces.sum(axis=0) == pytest.approx([0, 0, 0], abs=0.01)


def test_a_cavity_that_keeps_its_integrals_is_pyscfs(engine: PySCFEngine) -> None:
    from pyscf import dft, gto

    ours = engine.single_point(water(), solvent="water")
    mol = gto.M(
        atom=list(zip(molecule("H2O").symbols, molecule("H2O").positions, strict=True)),
        basis="def2-svp",
        verbose=0,
    )
    field = dft.RKS(mol, xc="pbe0").density_fit().SMD()
    field.grids.level = 0
    field.with_solvent.solvent = "water"
    field.with_solvent.lebedev_order = 17
    assert ours.energy_ev == pytest.approx(field.kernel() * 27.211386245, abs=1e-4)


def test_dipole_and_polarizability_of_water_are_the_measured_ones() -> None:
    found = PySCFEngine().single_point(water(), polarizability=True)
    assert found.dipole == pytest.approx(1.855, rel=0.07)  # CRC Handbook
    assert found.polarizability_angstrom3 == pytest.approx(1.45, rel=0.06)  # CRC Handbook
    assert found.homo_ev < 0 < found.lumo_ev


def test_a_ghost_has_functions_and_no_electrons(engine: PySCFEngine) -> None:
    both = Atoms("OH2Li", positions=[*molecule("H2O").positions, [0, 0, 2]])
    both.info |= {"charge": 0, "spin": 1}
    with_ghost = engine.single_point(both, ghosts={3})
    alone = engine.single_point(water())
    assert 0 < alone.energy_ev - with_ghost.energy_ev < 0.5


def test_a_field_that_does_not_converge_is_tried_by_other_means() -> None:
    level = PySCFEngine(**SMALL, max_cycles=4)._level("def2-svp")
    field, notes = converge(make(water(), level))
    assert notes
    plain, none = converge(make(water(), PySCFEngine(**SMALL)._level("def2-svp")))
    assert none == ()
    assert field.e_tot == pytest.approx(plain.e_tot, abs=1e-5)


def test_a_field_that_never_converges_says_what_was_tried() -> None:
    with pytest.raises(CalculationError, match=r"level shift.*second-order"):
        PySCFEngine(**SMALL, max_cycles=1).single_point(water())


def test_an_ion_far_from_the_origin_has_the_same_dipole(engine: PySCFEngine) -> None:
    near, far = water(1, 2), water(1, 2)
    far.positions += [3, -4, 5]
    assert engine.single_point(far).dipole == pytest.approx(
        engine.single_point(near).dipole, abs=1e-3
    )
    assert np.isfinite(engine.single_point(near).spin_squared)

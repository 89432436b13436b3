"""Copper by the effective medium theory: a crystal whose phonons take a second."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.calculations.lattice.conductivity import conductivity
from discover.calculations.lattice.force_constants import (
    displace,
    fit_force_constants,
    force_sets,
    phonon_calculation,
)

MESH = (7, 7, 7)
TEMPERATURES_K = (300.0, 600.0)


def copper(a=3.5898):
    """The primitive cell; 3.5898 Å is the minimum of the potential's energy."""
    return bulk("Cu", "fcc", a=a)


def nickel_aluminium():
    """CsCl structure, dynamically unstable with this potential."""
    return Atoms("NiAl", cell=[3.0487] * 3, scaled_positions=[[0] * 3, [0.5] * 3], pbc=True)


def fitted(cell, supercell=(3, 3, 3), method="symfc", **options):
    """A Phono3py with force constants, and the number of displaced supercells they took."""
    ph3 = phonon_calculation(
        cell, [[n if i == j else 0 for j in range(3)] for i, n in enumerate(supercell)]
    )
    count = displace(
        ph3, method, **({"distance_angstrom": 0.03, "snapshots": None, "seed": 0} | options)
    )
    fit_force_constants(ph3, force_sets(ph3, EMT()), method)
    return ph3, count


@pytest.fixture(scope="session")
def copper_phonons():
    return fitted(copper())[0]


@pytest.fixture(scope="session")
def copper_conductivity(copper_phonons):
    return conductivity(copper_phonons, MESH, TEMPERATURES_K)


@pytest.fixture(scope="session")
def unstable_phonons():
    return fitted(nickel_aluminium(), (2, 2, 2))[0]

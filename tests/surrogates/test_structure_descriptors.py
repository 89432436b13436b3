"""Surroundings of atoms: known crystals have known numbers, and the choice of cell does not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import StructureError
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from surrogates.compound_descriptor import CompoundDescriptor
from surrogates.conformance import DescriptorConformance
from surrogates.structure_descriptors import (
    ORDERS,
    LocalStructureDescriptor,
    bond_orders,
    environments,
)


class TestConformance(DescriptorConformance):
    @pytest.fixture(params=[LocalStructureDescriptor, CompoundDescriptor])
    def make_descriptor(self, request: pytest.FixtureRequest) -> Any:
        return request.param


def candidate(atoms: Atoms) -> Candidate:
    return Candidate(
        id="x",
        formula="ZnS",
        spacegroup=1,
        prototype="unknown",
        structure=Crystal.from_atoms(atoms),
        provenance=Provenance(generator="test", operation="test"),
    )


def distorted_wurtzite() -> Atoms:
    atoms = bulk("ZnS", "wurtzite", a=3.82, c=6.26)
    atoms.rattle(0.05, seed=4)
    return atoms


def described(atoms: Atoms) -> dict[str, float]:
    descriptor = LocalStructureDescriptor()
    row = descriptor.describe([candidate(atoms)])[0]
    return dict(zip(descriptor.names, row.tolist(), strict=True))


@pytest.mark.parametrize("descriptor", [LocalStructureDescriptor(), CompoundDescriptor()])
@settings(max_examples=15)
@given(
    shears=st.lists(st.integers(-2, 2), min_size=3, max_size=3),
    repeats=st.tuples(*[st.integers(1, 2)] * 3),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
    order=st.randoms(use_true_random=False),
)
def test_the_choice_of_cell_does_not_matter(
    descriptor: Any, shears: Any, repeats: Any, angles: Any, shift: Any, order: Any
) -> None:
    """Skewed, turned, moved and repeated cells with their atoms in any order are the same crystal."""
    here = descriptor.describe([candidate(distorted_wurtzite())])
    skew = np.array([[1, shears[0], shears[1]], [0, 1, shears[2]], [0, 0, 1]])
    atoms = make_supercell(distorted_wurtzite(), skew).repeat(repeats)
    atoms.positions += np.array(shift) @ atoms.cell.array
    atoms.wrap()
    for angle, axis in zip(angles, "xyz", strict=True):
        atoms.rotate(angle, axis, rotate_cell=True)
    shuffled = list(range(len(atoms)))
    order.shuffle(shuffled)
    there = descriptor.describe([candidate(atoms[shuffled])])
    np.testing.assert_allclose(there, here, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("atoms", "q4", "q6"),
    [
        (bulk("Cu", "fcc", a=3.6), 0.1909, 0.5745),
        (bulk("Mg", "hcp", a=3.2, c=3.2 * np.sqrt(8 / 3)), 0.0972, 0.4848),
        (bulk("Po", "sc", a=3.3), 0.7638, 0.3536),
    ],
)
def test_bond_orders_are_those_of_steinhardt(atoms: Atoms, q4: float, q6: float) -> None:
    """Table I of Mickel et al., J. Chem. Phys. 138, 044501 (2013): fcc, hcp and simple cubic."""
    orders = bond_orders(environments(Crystal.from_atoms(atoms), "x"))
    # the second shells at √2 are nearly outside of the bonds: 2 % of their strength is left
    assert orders[0, ORDERS.index(4)] == pytest.approx(q4, rel=0.1)
    assert orders[0, ORDERS.index(6)] == pytest.approx(q6, rel=0.1)


def test_coordination_and_angles_of_zincblende() -> None:
    """Four unlike neighbours at the tetrahedral angle, whose cosine is -1/3."""
    row = described(bulk("ZnS", "zincblende", a=5.41))
    assert row["bonds_mean"] == pytest.approx(4.0)
    assert row["unlike_bonds_share"] == pytest.approx(1.0)
    cosines = {name: value for name, value in row.items() if name.startswith("bond_cosine")}
    assert max(cosines, key=lambda name: cosines[name]) == "bond_cosine_-0.25"
    assert row["bond_order_3_mean"] > 0.7


def test_the_radial_distribution_is_that_of_a_gas_far_away() -> None:
    """Around one, and without scale: the same crystal blown up has the same numbers."""
    small, large = (described(bulk("NaCl", "rocksalt", a=a)) for a in (5.0, 6.0))
    assert small == pytest.approx(large)
    radial = [
        value for name, value in small.items() if name.startswith("rdf_") and "like" not in name
    ]
    assert 0.5 < np.mean(radial[4:]) < 1.5


def test_it_changes_smoothly() -> None:
    """Moving atoms by a ten-thousandth of an Ångström changes no number by more than a thousandth."""
    atoms = distorted_wurtzite()
    moved = atoms.copy()
    moved.rattle(1e-4, seed=1)
    here, there = described(atoms), described(moved)
    assert all(abs(there[name] - here[name]) < 1e-3 * max(1.0, abs(here[name])) for name in here)


def test_two_atoms_on_one_site_are_refused() -> None:
    atoms = Atoms("NaCl", cell=[4, 4, 4], scaled_positions=[(0, 0, 0)] * 2, pbc=True)
    for descriptor in (LocalStructureDescriptor(), CompoundDescriptor()):
        with pytest.raises(StructureError, match="candidate x: two atoms are on one site"):
            descriptor.describe([candidate(atoms)])


def test_an_atom_far_from_all_others_is_refused() -> None:
    """A molecule's worth of atoms beside one alone: nothing within 2.4 times the mean spacing."""
    atoms = Atoms("H200", positions=[(0.1 * i, 0, 0) for i in range(199)] + [(0, 0, 15)], pbc=True)
    atoms.cell = [30, 30, 30]
    with pytest.raises(StructureError, match="candidate x: an atom has no neighbour within"):
        environments(Crystal.from_atoms(atoms), "x")

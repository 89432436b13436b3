"""Crystals as rows of numbers, and back."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from discover.errors import StructureError, SurrogateError
from discover.structures.crystal import Crystal
from surrogates.conformance import DescriptorConformance, NewDescriptor, example_candidates
from surrogates.graph_descriptor import CrystalDescriptor, crystal_of, graph_of


def invariants(row: np.ndarray) -> np.ndarray:
    graph = graph_of(crystal_of(row))
    return np.concatenate([graph.nodes.mean(axis=0), graph.edges.sum(axis=1).mean(axis=0)])


class TestConformance(DescriptorConformance):
    @pytest.fixture
    def make_descriptor(self) -> NewDescriptor:
        return CrystalDescriptor

    def test_how_a_structure_is_given_does_not_matter(self, make_descriptor: NewDescriptor) -> None:
        """The rows are cells, which may be written in several ways; the graphs are the same."""
        primitive = make_descriptor().describe(example_candidates())
        conventional = make_descriptor().describe(example_candidates(conventional=True))
        for one, other in zip(primitive, conventional, strict=True):
            np.testing.assert_allclose(invariants(one), invariants(other), atol=1e-9)


def test_a_row_gives_the_crystal_back() -> None:
    for candidate in example_candidates(conventional=True):
        row = CrystalDescriptor().describe([candidate])[0]
        crystal = crystal_of(row)
        assert sorted(crystal.numbers) == sorted(set(candidate.crystal.numbers))
        per_atom = candidate.crystal.volume_angstrom3 / len(candidate.crystal.numbers)
        assert crystal.volume_angstrom3 / 2 == pytest.approx(per_atom)


def test_a_supercell_has_the_same_graph() -> None:
    """Summed over images, an atom's edges do not depend on the cell that they are found in."""
    atoms = bulk("ZnS", "wurtzite", a=3.82, c=6.26)
    small, large = (graph_of(Crystal.from_atoms(a)) for a in (atoms, atoms.repeat((2, 1, 1))))
    np.testing.assert_allclose(large.edges.sum(axis=1)[:4], small.edges.sum(axis=1), atol=1e-9)


def test_too_many_atoms_are_refused() -> None:
    with pytest.raises(StructureError, match="candidate NaCl: its primitive cell has 2 atoms"):
        CrystalDescriptor(max_atoms=1).describe(example_candidates())


@pytest.mark.parametrize("row", [np.ones(7), np.zeros(13), np.full(13, 1.5), np.full(137, -4.0)])
def test_other_rows_are_no_crystals(row: np.ndarray) -> None:
    with pytest.raises(SurrogateError, match="a row is no crystal"):
        graph_of(crystal_of(row))

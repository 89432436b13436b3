"""Pooled features of a MACE: invariant, and the same in any batch."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("mace")

from discover.errors import PotentialError, StructureError
from discover.potentials import load_potential
from surrogates.conformance import DescriptorConformance, NewDescriptor, example_candidates
from surrogates.embedding import EmbeddingDescriptor

MACE = load_potential("mace:bundled")


class TestConformance(DescriptorConformance):
    @pytest.fixture
    def make_descriptor(self) -> NewDescriptor:
        return partial(EmbeddingDescriptor, MACE)


def test_turned_crystals_have_the_same_features() -> None:
    """Only scalars are pooled: the vectors of the first layer would show the turn."""
    from discover.structures.crystal import Crystal

    candidate = example_candidates()[1]
    atoms = candidate.crystal.to_atoms()
    atoms.rattle(0.1, seed=2)
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    rows = EmbeddingDescriptor(MACE).describe(
        [candidate.model_copy(update={"structure": Crystal.from_atoms(a)}) for a in (atoms, turned)]
    )
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-5, atol=1e-6)


def test_a_crystal_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = EmbeddingDescriptor(MACE)
    first = descriptor.describe(example_candidates())
    monkeypatch.setattr(descriptor, "_compute", None)
    np.testing.assert_array_equal(descriptor.describe(example_candidates()[::-1]), first[::-1])


def test_elements_that_it_was_not_trained_on_are_named() -> None:
    candidate = example_candidates()[0]
    crystal = candidate.crystal.model_copy(update={"numbers": (94, 17)})
    with pytest.raises(StructureError, match=r"candidate NaCl: mace:bundled.* does not know Pu"):
        EmbeddingDescriptor(MACE).describe([candidate.model_copy(update={"structure": crystal})])


def test_another_potential_is_refused() -> None:
    with pytest.raises(PotentialError, match="needs a MACE potential, not 'emt"):
        EmbeddingDescriptor("emt").describe(example_candidates())

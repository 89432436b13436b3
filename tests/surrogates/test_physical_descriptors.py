"""What a potential says of a crystal, against what is known of it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from ase.build import bulk

from discover.errors import StructureError
from discover.potentials import load_potential
from discover.potentials.emt import EMTPotential
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from surrogates.conformance import DescriptorConformance, NewDescriptor, example_candidates
from surrogates.physical_descriptors import PhysicalDescriptor


class TestConformance(DescriptorConformance):
    @pytest.fixture(scope="class")
    def make_descriptor(self) -> NewDescriptor:
        pytest.importorskip("mace")
        return partial(PhysicalDescriptor, load_potential("mace:bundled"))

    def test_how_a_structure_is_given_does_not_matter(self, make_descriptor: NewDescriptor) -> None:
        """As far as the potential's single precision goes in a third derivative."""
        descriptor = make_descriptor()
        primitive = descriptor.describe(example_candidates()[:2])
        conventional = descriptor.describe(example_candidates(conventional=True)[:2])
        np.testing.assert_allclose(conventional, primitive, rtol=1e-3)


def metal(symbol: str, length: float) -> Candidate:
    return Candidate(
        id="x",
        formula=symbol,
        spacegroup=225,
        prototype="fcc",
        structure=Crystal.from_atoms(bulk(symbol, "fcc", a=length)),
        provenance=Provenance(generator="test", operation="test"),
    )


def test_copper_is_that_of_the_embedded_atom_potential() -> None:
    """EMT was fitted to copper: 134 GPa; the phonons' measured mean is near 5 THz, their top 7.2.

    θ_D measured is 343 K; that of the Debye model with the Poisson ratio of a Cauchy solid is higher.
    """
    descriptor = PhysicalDescriptor(EMTPotential())
    row = descriptor.describe([metal("Cu", 3.61)])[0]
    values = dict(zip(descriptor.names, row.tolist(), strict=True))
    assert 10 ** values["log10_bulk_modulus_gpa"] == pytest.approx(134, rel=0.05)
    assert 10 ** values["log10_debye_temperature_k"] == pytest.approx(434, rel=0.02)
    assert 1.5 < values["gruneisen_parameter"] < 3
    assert values["mean_phonon_frequency_thz"] == pytest.approx(5.0, rel=0.15)


def test_it_is_that_of_the_potentials_own_volume() -> None:
    """Given 2 % too long, the same crystal is described, so that two relaxations give one row."""
    descriptor = PhysicalDescriptor(EMTPotential())
    rows = descriptor.describe([metal("Cu", 3.61), metal("Cu", 1.02 * 3.61)])
    np.testing.assert_allclose(rows[0], rows[1], rtol=0.02)


@pytest.mark.parametrize(
    ("candidate", "problem"),
    [
        (metal("Fe", 3.6), "candidate x: emt.* does not know Fe"),
        (metal("Cu", 4.4), "candidate x: emt.* has no minimum of the energy within 5 %"),
    ],
)
def test_what_cannot_be_described_is_named(candidate: Candidate, problem: str) -> None:
    with pytest.raises(StructureError, match=problem):
        PhysicalDescriptor(EMTPotential()).describe([candidate])

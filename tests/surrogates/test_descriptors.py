import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import StructureError
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from surrogates.conformance import DescriptorConformance
from surrogates.descriptors import (
    CompositionDescriptor,
    StructureDescriptor,
    descriptors_named,
    featurize,
    point_group,
)

A = 5.64


class TestDescriptors(DescriptorConformance):
    @pytest.fixture(params=[CompositionDescriptor, StructureDescriptor])
    def make_descriptor(self, request):
        return request.param


def candidate(crystal, formula="NaCl", spacegroup=225):
    return Candidate(
        id="x",
        formula=formula,
        spacegroup=spacegroup,
        prototype="rocksalt",
        structure=crystal,
        provenance=Provenance(generator="test", operation="test"),
    )


def rocksalt(cell=((0, A / 2, A / 2), (A / 2, 0, A / 2), (A / 2, A / 2, 0))):
    return Crystal(numbers=(11, 17), cell_angstrom=cell, scaled_positions=((0, 0, 0), (0.5,) * 3))


def described(crystal, **of):
    descriptor = StructureDescriptor()
    row = descriptor.describe([candidate(crystal, **of)])[0]
    return dict(zip(descriptor.names, row, strict=True))


def test_rock_salt():
    """Halite (CRC Handbook): 2.165 g/cm³ at a = 5.64 Å, six neighbours at a/2."""
    row = described(rocksalt())
    assert row["density_g_cm3"] == pytest.approx(2.165, abs=0.01)
    assert row["volume_per_atom_angstrom3"] == pytest.approx(A**3 / 8)
    assert row["coordination_min"] == row["coordination_max"] == 6
    assert row["bond_length_min_angstrom"] == pytest.approx(A / 2)
    assert row["bond_over_radii_mean"] == pytest.approx(A / 2 / (1.66 + 1.02))
    assert row["packing_fraction"] == pytest.approx(4 * 4 / 3 * np.pi * (1.66**3 + 1.02**3) / A**3)
    assert (row["point_group_order"], row["inversion_centre"]) == (48, 1)
    assert row["mass_ratio"] == pytest.approx(35.45 / 22.990, rel=1e-3)


@pytest.mark.parametrize(
    ("numbers", "name", "spacegroup", "coordination"),
    [((31, 33), "zincblende", 216, 4), ((55, 17), "cesiumchloride", 221, 8)],
)
def test_coordination_of_prototypes(numbers, name, spacegroup, coordination):
    from ase.build import bulk
    from ase.data import chemical_symbols

    symbols = "".join(chemical_symbols[z] for z in numbers)
    crystal = Crystal.from_atoms(bulk(symbols, name, a=4.1 if coordination == 8 else 5.65))
    row = described(crystal, formula=symbols, spacegroup=spacegroup)
    assert row["coordination_mean"] == coordination
    assert row["atoms_in_primitive_cell"] == 2


@settings(max_examples=25, deadline=None)
@given(
    shears=st.lists(st.integers(-2, 2), min_size=3, max_size=3),
    repeats=st.tuples(*[st.integers(1, 2)] * 3),
    shift=st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_the_choice_of_cell_does_not_matter(shears, repeats, shift):
    """Skewed cells, supercells and another origin describe the same crystal."""
    from ase.build import make_supercell

    skew = np.array([[1, shears[0], shears[1]], [0, 1, shears[2]], [0, 0, 1]])
    atoms = make_supercell(rocksalt().to_atoms(), skew).repeat(repeats)
    atoms.positions += np.array(shift) @ atoms.cell.array
    atoms.wrap()
    here = StructureDescriptor().describe([candidate(rocksalt())])
    there = StructureDescriptor().describe([candidate(Crystal.from_atoms(atoms))])
    np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-9)


def test_point_groups_are_those_of_the_international_tables():
    """Order and inversion for all 230 space groups, from spglib's own operations."""
    import spglib

    found = {}
    for hall in range(1, 531):
        number = spglib.get_spacegroup_type(hall).number
        rotations = spglib.get_symmetry_from_database(hall)["rotations"]
        unique = {tuple(rotation.ravel()) for rotation in rotations}
        found[number] = (len(unique), tuple(-np.eye(3, dtype=int).ravel()) in unique)
    assert found == {number: point_group(number) for number in range(1, 231)}


def test_two_atoms_on_one_site_are_refused():
    crystal = Crystal(
        numbers=(11, 17), cell_angstrom=rocksalt().cell_angstrom, scaled_positions=((0, 0, 0),) * 2
    )
    with pytest.raises(StructureError, match="candidate x: two atoms are on one site"):
        StructureDescriptor().describe([candidate(crystal)])


def test_composition_is_magpie():
    """Atomic numbers of Na and Cl: 11 and 17, mean 14; the same row whatever the structure."""
    descriptor = CompositionDescriptor()
    rows = descriptor.describe([candidate(rocksalt()), candidate(rocksalt(), formula="KCl")])
    row = dict(zip(descriptor.names, rows[0], strict=True))
    assert rows.shape == (2, 132)
    assert row["MagpieData minimum Number"] == 11
    assert row["MagpieData mean Number"] == 14
    assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("formula", ["PuO2", "XeF2", "CmN", "LaN"])
def test_no_element_gives_nan(formula):
    row = CompositionDescriptor().describe([candidate(rocksalt(), formula=formula)])
    assert np.isfinite(row).all()


def test_a_formula_that_is_none_is_refused():
    with pytest.raises(StructureError, match=r"'Na1.0\*'"):
        CompositionDescriptor().describe([candidate(rocksalt(), formula="Na1.0*")])


def test_featurize_puts_descriptors_side_by_side():
    descriptors = [CompositionDescriptor(), StructureDescriptor()]
    (featured,) = featurize([candidate(rocksalt())], descriptors)
    assert len(featured.features) == sum(len(d.names) for d in descriptors) == 149
    assert featured.features[132:] == tuple(descriptors[1].describe([featured])[0])
    assert featured.model_copy(update={"features": None}) == candidate(rocksalt())
    assert featurize([], descriptors) == []


def test_the_potential_of_the_campaign_is_handed_to_those_that_want_one(tmp_path):
    """A plug-in with an option of that name gets the potential, with paths from the campaign's folder."""
    (tmp_path / "mine.py").write_text(
        """
class Mine:
    names = ("name",)
    def __init__(self, potential=None):
        self.potential = potential
"""
    )
    plain, mine = descriptors_named(["structure", "mine.py:Mine"], tmp_path, "emt")
    assert isinstance(plain, StructureDescriptor)
    assert mine.potential.name.startswith("emt")
    (alone,) = descriptors_named(["mine.py:Mine"], tmp_path)
    assert alone.potential is None

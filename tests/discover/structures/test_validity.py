import numpy as np
import pytest

from discover.errors import StructureError
from discover.structures.crystal import Crystal
from discover.structures.validity import distance_problem, symmetry_problem


def salt(a, numbers=(11, 17)):
    """Rocksalt with lattice constant `a` in Å."""
    half = a / 2
    return Crystal(
        numbers=numbers,
        cell_angstrom=((0, half, half), (half, 0, half), (half, half, 0)),
        scaled_positions=((0, 0, 0), (0.5, 0.5, 0.5)),
    )


def test_a_real_crystal_has_no_problem():
    assert distance_problem(salt(5.64), 0.6) is None


def test_the_closest_pair_is_named_with_its_share():
    """Na-Cl at 1.34 Å is half of 1.66 + 1.02 Å (Cordero 2008)."""
    problem = distance_problem(salt(2.68), 0.6)
    assert problem is not None
    assert problem.startswith("Cl-Na only 1.34 Å apart, 50% of the sum of the covalent radii")
    assert "60%" in problem


def test_the_limit_is_where_it_says():
    a = 2 * (1.66 + 1.02)
    assert distance_problem(salt(0.79 * a), 0.8) is not None
    assert distance_problem(salt(0.81 * a), 0.8) is None


def test_periodic_images_count():
    """One atom alone in a short cell is too close to its own image."""
    lone = Crystal(
        numbers=(55,),
        cell_angstrom=((9, 0, 0), (0, 9, 0), (0, 0, 2)),
        scaled_positions=((0.2, 0.3, 0.4),),
    )
    problem = distance_problem(lone, 0.6)
    assert problem is not None
    assert problem.startswith("Cs-Cs only 2.00 Å")


def test_atoms_on_top_of_one_another():
    on_top = salt(5.64).model_copy(update={"scaled_positions": ((0.0, 0.0, 0.0),) * 2})
    problem = distance_problem(on_top, 0.6)
    assert problem is not None
    assert "0.00 Å" in problem


def test_elements_without_a_covalent_radius_are_refused():
    with pytest.raises(StructureError, match="Bk"):
        distance_problem(salt(5.64, numbers=(97, 17)), 0.6)


def test_symmetry_kept_and_lost():
    before = salt(5.64)
    assert symmetry_problem(before, salt(5.8)) is None
    stretched = np.array(before.cell_angstrom) * [1, 1, 1.2]
    after = before.model_copy(update={"cell_angstrom": tuple(map(tuple, stretched.tolist()))})
    assert symmetry_problem(before, after) == "space group changed from 225 to 139"


def test_higher_symmetry_is_a_change_too():
    """A wurtzite whose layers become flat is P6_3/mmc."""
    a, c = 3.25, 5.2
    cell = ((a, 0, 0), (-a / 2, a * 3**0.5 / 2, 0), (0, 0, c))
    third, two_thirds = 1 / 3, 2 / 3

    def wurtzite(u):
        return Crystal(
            numbers=(30, 30, 8, 8),
            cell_angstrom=cell,
            scaled_positions=(
                (third, two_thirds, 0),
                (two_thirds, third, 0.5),
                (third, two_thirds, u),
                (two_thirds, third, 0.5 + u),
            ),
        )

    assert symmetry_problem(wurtzite(0.375), wurtzite(0.38)) is None
    assert symmetry_problem(wurtzite(0.375), wurtzite(0.5)) == "space group changed from 186 to 194"

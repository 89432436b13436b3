import pytest

from generators.chemistry import (
    Ion,
    contact_distance,
    covalent_distance,
    default_elements,
    electronegativity,
    ionic_radius,
    known_elements,
    valences,
)


@pytest.mark.parametrize(
    ("symbol", "role", "expected"),
    [
        ("Na", "cation", {1}),
        ("Fe", "cation", {2, 3}),
        ("Cu", "cation", {1, 2}),
        ("O", "cation", set()),
        ("N", "cation", set()),
        ("Si", "cation", {4}),
        ("O", "anion", {-2}),
        ("N", "anion", {-3}),
        ("Cl", "anion", {-1}),
        ("Si", "anion", {-4}),
        ("Na", "anion", set()),
        ("H", "anion", set()),
        ("Ti", "heusler_x", {4}),
        ("La", "heusler_x", {3}),
        ("Er", "heusler_x", {3}),
        ("H", "heusler_x", set()),
        ("Ni", "heusler_y", {10}),
        ("Al", "heusler_y", {3}),
        ("Sn", "heusler_z", {4}),
        ("Ti", "heusler_z", set()),
    ],
)
def test_valences(symbol, role, expected):
    assert set(valences(symbol, role)) == expected


def test_weights_are_shares():
    assert sum(valences("Fe", "cation").values()) == pytest.approx(1.0, abs=0.05)
    assert valences("Fe", "cation")[3] > valences("Fe", "cation")[2]


def test_electronegativity_follows_the_oxidation_state_of_lead():
    assert electronegativity(Ion("Pb", 2)) == 1.87
    assert electronegativity(Ion("Pb", 4)) == 2.33
    assert electronegativity(Ion("O", -2)) == 3.44


@pytest.mark.parametrize(
    ("ion", "coordination", "radius"),
    [  # Shannon 1976, table 1
        (Ion("Na", 1), 6, 1.02),
        (Ion("O", -2), 6, 1.40),
        (Ion("O", -2), 4, 1.38),
        (Ion("Zn", 2), 4, 0.60),
        (Ion("S", -2), 4, 1.84),  # only six-coordinate sulfide is tabulated
        (Ion("P", -3), 4, None),
    ],
)
def test_ionic_radius(ion, coordination, radius):
    assert ionic_radius(ion, coordination) == (radius and pytest.approx(radius))


def test_contact_distance_is_ionic_or_covalent_or_between():
    ionic = ionic_radius(Ion("Zn", 2), 4) + ionic_radius(Ion("S", -2), 4)
    covalent = covalent_distance("Zn", "S")
    assert covalent < contact_distance(Ion("Zn", 2), 4, Ion("S", -2), 4) < ionic
    assert contact_distance(Ion("Na", 1), 6, Ion("Cl", -1), 6) == pytest.approx(1.02 + 1.81)
    assert contact_distance(Ion("Ga", 3), 4, Ion("As", -3), 4) == covalent_distance("Ga", "As")


def test_ions_are_written_as_chemists_do():
    assert [str(ion) for ion in (Ion("Na", 1), Ion("Ti", 4), Ion("Cl", -1), Ion("O", -2))] == [
        "Na+",
        "Ti4+",
        "Cl-",
        "O2-",
    ]


def test_elements():
    assert {"H", "He", "Xe"}.isdisjoint(known_elements())
    assert set(default_elements()) < set(known_elements())
    assert {"Tc", "Pm", "Gd", "U"}.isdisjoint(default_elements())
    assert {"La", "Lu", "Bi", "O", "Ag"} <= set(default_elements())

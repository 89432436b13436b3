import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import DataError
from discover.importing.units import Conversion
from discover.properties import PROPERTIES, property_named


@pytest.mark.parametrize(
    ("unit", "name", "value", "expected"),
    [
        ("W/mK", "thermal_conductivity", 2.0, 2.0),
        ("W m-1 K-1", "thermal_conductivity", 2.0, 2.0),
        ("mW/cm/K", "thermal_conductivity", 2.0, 0.2),
        ("S cm-1", "ionic_conductivity", 2.0, 2.0),
        ("mS/cm", "ionic_conductivity", 2.0, 2e-3),
        ("S/m", "ionic_conductivity", 2.0, 0.02),
        ("log10(S/cm)", "ionic_conductivity", -3.0, 1e-3),
        ("log(mS/cm)", "ionic_conductivity", -3.0, 1e-6),
        ("kcal/mol", "solvation_free_energy", -1.0, -4.184),
        ("eV", "solvation_free_energy", -1.0, -96.4853),
        ("bohr**3", "polarizability", 1.0, 0.148185),
        ("kg/m³", "density", 1000.0, 1.0),
        ("", "gruneisen_parameter", 1.5, 1.5),
    ],
)
def test_known_conversions(unit, name, value, expected):
    assert Conversion(unit, property_named(name))(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("unit", "says"), [("GPa", "is no unit of"), ("smoots?", "can be read")])
def test_other_units_are_refused(unit, says):
    with pytest.raises(DataError, match=says):
        Conversion(unit, property_named("thermal_conductivity"))


def test_what_is_not_finite_is_refused():
    with pytest.raises((ValueError, OverflowError)):
        Conversion("log10(S/cm)", property_named("ionic_conductivity"))(1e6)


@given(st.sampled_from(sorted(PROPERTIES)), st.floats(1e-6, 1e6))
def test_the_unit_of_a_property_is_left_as_it_is(name, value):
    target = property_named(name)
    assert Conversion(target.unit, target)(value) == pytest.approx(value)


def test_energies_per_atom_are_not_those_per_mole() -> None:
    hull_distance = property_named("hull_distance")
    assert Conversion("meV/atom", hull_distance)(50.0) == pytest.approx(0.05)
    for other in ("eV", "kJ/mol"):
        with pytest.raises(DataError, match="is no unit of hull_distance"):
            Conversion(other, hull_distance)

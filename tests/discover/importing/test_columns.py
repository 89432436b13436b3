import pytest

from discover.errors import DataError
from discover.importing.columns import map_columns

PHONIX = ["formula", "klat[W/mK]", "calc_time[sec]"]
OBELIX = [
    "ID",
    "Reduced Composition",
    "Ionic conductivity (S cm-1)",
    "Space group",
    "Space group #",
    "DOI",
]


def test_usual_names_and_units_in_brackets():
    phonix = map_columns(PHONIX, ["thermal_conductivity"], [], {})
    assert phonix.told() == [
        "klat[W/mK] -> thermal_conductivity, from W/mK to W/m/K",
        "formula -> formula",
    ]
    obelix = map_columns(OBELIX, ["ionic_conductivity"], [], {})
    assert obelix.values[0].convert(2.0) == 2.0
    assert obelix.fields == {
        "formula": "Reduced Composition",
        "spacegroup": "Space group #",
        "citation": "DOI",
    }


def test_columns_that_are_named():
    found = map_columns(
        ["a", "b", "c", "smiles"],
        ["oxidation_potential", "dipole_moment"],
        ["mV", "D"],
        {"a": "dipole_moment", "b": "oxidation_potential", "c": "citation"},
    )
    assert {v.target.name: v.column for v in found.values} == {
        "oxidation_potential": "b",
        "dipole_moment": "a",
    }
    assert found.fields == {"citation": "c", "smiles": "smiles"}


@pytest.mark.parametrize(
    ("properties", "units", "mapping", "says"),
    [
        (["kappa"], [], {}, "unknown property 'kappa'"),
        (["density"], [], {}, "no column is density"),
        (["thermal_conductivity"], ["K", "K"], {}, "2 --unit for 1 --property"),
        (["thermal_conductivity"], [], {"klat": "value"}, "there is no column 'klat' .allowed"),
        (["thermal_conductivity"], [], {"formula": "formla"}, "did you mean 'formula'"),
        (["thermal_conductivity"], [], {"formula": "value"}, "does not tell its unit"),
        (["thermal_conductivity"], ["GPa"], {}, "is no unit of thermal_conductivity"),
    ],
)
def test_everything_wrong_is_told(properties, units, mapping, says):
    with pytest.raises(DataError, match=says):
        map_columns(PHONIX, properties, units, mapping)


def test_all_at_once():
    with pytest.raises(DataError) as told:
        map_columns(PHONIX, ["kappa"], ["K", "K"], {"x": "y"})
    for part in ("no column 'x'", "no field 'y'", "unknown property 'kappa'", "2 --unit"):
        assert part in str(told.value)

"""Reference energies: formation energies against experiment, and the file they are kept in."""

import pytest
from ase.build import bulk
from ase.spacegroup import crystal
from hypothesis import given
from hypothesis import strategies as st

from discover.campaign import RelaxationSettings
from discover.errors import PotentialError
from discover.potentials.chgnet import CHGNetPotential
from discover.potentials.emt import EMTPotential
from discover.potentials.reference import ReferenceEnergies, ReferenceTable
from discover.potentials.relaxation import relax
from discover.structures.crystal import Crystal

EV_PER_KJ_PER_MOL = 0.0103643
FLUORITE = crystal(
    ["Ca", "F"],
    [(0, 0, 0), (0.25, 0.25, 0.25)],
    spacegroup=225,
    cellpar=[5.46, 5.46, 5.46, 90, 90, 90],
    primitive_cell=True,
)


@pytest.fixture(scope="module")
def chgnet_references():
    return ReferenceEnergies(CHGNetPotential())


# Standard enthalpies of formation at 298 K in kJ/mol: CRC Handbook of Chemistry and Physics, 97th ed.
@pytest.mark.parametrize(
    ("atoms", "enthalpy"),
    [
        (bulk("NaCl", "rocksalt", a=5.64), -411.2),
        (bulk("MgO", "rocksalt", a=4.21), -601.6),
        (bulk("ZnS", "zincblende", a=5.41), -206.0),
        (bulk("AlN", "wurtzite", a=3.11, c=4.98), 2 * -318.0),
        (FLUORITE, -1228.0),
    ],
    ids=["NaCl", "MgO", "ZnS", "AlN", "CaF2"],
)
def test_formation_energies_are_those_of_experiment(chgnet_references, atoms, enthalpy):
    potential = CHGNetPotential()
    relaxed = relax(Crystal.from_atoms(atoms), potential, RelaxationSettings())
    found = chgnet_references.formation_energy(relaxed.crystal, relaxed.record.energy_ev_per_atom)
    assert found == pytest.approx(enthalpy * EV_PER_KJ_PER_MOL / len(atoms), abs=0.2)


def test_an_element_has_no_formation_energy():
    references = ReferenceEnergies(EMTPotential())
    relaxed = relax(Crystal.from_atoms(bulk("Cu")), EMTPotential(), RelaxationSettings())
    energy = references.formation_energy(relaxed.crystal, relaxed.record.energy_ev_per_atom)
    assert energy == pytest.approx(0.0, abs=1e-3)


def test_fractions_weigh_the_elements():
    references = ReferenceEnergies(EMTPotential())
    gold = bulk("Cu", cubic=True)
    gold.symbols[0] = "Au"
    expected = -(
        0.25 * references.energy_ev_per_atom("Au") + 0.75 * references.energy_ev_per_atom("Cu")
    )
    assert references.formation_energy(Crystal.from_atoms(gold), 0.0) == pytest.approx(expected)


def test_kept_on_disk_and_not_computed_again(tmp_path):
    computed = ReferenceEnergies(EMTPotential(), tmp_path / "models").energy_ev_per_atom("Cu")
    file = tmp_path / "models" / "references-emt.json"
    table = ReferenceTable.model_validate_json(file.read_text())
    assert table.energies_ev_per_atom == {"Cu": computed}
    file.write_text(
        table.model_copy(update={"energies_ev_per_atom": {"Cu": -7.0}}).model_dump_json()
    )
    assert ReferenceEnergies(EMTPotential(), tmp_path / "models").energy_ev_per_atom("Cu") == -7.0
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_failure_is_kept_with_its_reason(tmp_path):
    for _ in range(2):
        references = ReferenceEnergies(EMTPotential(), tmp_path)
        with pytest.raises(
            PotentialError, match="no reference energy of Na with emt: emt does not know"
        ):
            references.energy_ev_per_atom("Na")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ('{"potential": "emt", "energies_ev_per_atom": {"Cu": "low"}}', "cannot be read"),
        ('{"potential": "chgnet:0.3.0"}', "was made with chgnet"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, said):
    (tmp_path / "references-emt.json").write_text(content)
    with pytest.raises(PotentialError, match=f"(?s){said}.*"):
        ReferenceEnergies(EMTPotential(), tmp_path)


@given(
    st.builds(
        ReferenceTable,
        potential=st.text(),
        energies_ev_per_atom=st.dictionaries(
            st.text(max_size=2), st.floats(allow_nan=False, allow_infinity=False)
        ),
        failures=st.dictionaries(st.text(max_size=2), st.text()),
    )
)
def test_json_and_back(table):
    assert ReferenceTable.model_validate_json(table.model_dump_json()) == table

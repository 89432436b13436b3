"""EMT: its contract, and what it knows."""

from ase.build import bulk

from discover.potentials.conformance import check_potential
from discover.potentials.emt import EMTPotential
from discover.structures.crystal import Crystal


def test_contract():
    check_potential(EMTPotential(), Crystal.from_atoms(bulk("CuAu", "rocksalt", a=5.0)), 0.01)


def test_elements():
    assert {"Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt"} <= EMTPotential().elements()
    assert "Na" not in EMTPotential().elements()

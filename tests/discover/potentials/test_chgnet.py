"""CHGNet: its contract, silence, and lattice constants."""

import numpy as np
import pytest
from ase.build import bulk

from discover.campaign import RelaxationSettings
from discover.potentials.chgnet import CHGNetPotential
from discover.potentials.conformance import check_potential
from discover.potentials.relaxation import relax
from discover.structures.crystal import Crystal


@pytest.fixture(scope="module")
def chgnet():
    return CHGNetPotential()


def test_contract(chgnet):
    check_potential(chgnet, Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.4)))


def test_elements_of_its_training_set(chgnet):
    assert len(chgnet.elements()) == 89  # Deng et al., Nat. Mach. Intell. 5, 1031 (2023)
    assert {"H", "Bi", "Pu"} <= chgnet.elements()
    assert not {"Po", "At", "Rn", "Fr", "Ra", "Am"} & chgnet.elements()


def test_nothing_is_printed(capfd, recwarn):
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    relax(Crystal.from_atoms(atoms), CHGNetPotential(), RelaxationSettings())
    assert capfd.readouterr().out == ""
    assert not [w for w in recwarn if "FixAtoms" in str(w.message)]


# Experimental lattice constants at room temperature: Wyckoff, Crystal Structures, vol. 1 (1963).
@pytest.mark.parametrize(
    ("formula", "prototype", "a_angstrom"),
    [
        ("MgO", "rocksalt", 4.213),
        ("NaCl", "rocksalt", 5.640),
        ("ZnS", "zincblende", 5.409),
        ("GaAs", "zincblende", 5.654),
    ],
)
def test_lattice_constants(chgnet, formula, prototype, a_angstrom):
    start = Crystal.from_atoms(bulk(formula, prototype, a=0.93 * a_angstrom))
    relaxed = relax(start, chgnet, RelaxationSettings())
    assert relaxed.problem is None
    found = np.cbrt(4 * relaxed.crystal.volume_angstrom3)
    assert found == pytest.approx(a_angstrom, rel=0.02)


def test_a_lonely_atom_is_a_problem_and_not_a_zero(chgnet):
    far = Crystal.from_atoms(bulk("Cu", "sc", a=8.0))
    assert "isolated" in relax(far, chgnet, RelaxationSettings()).problem

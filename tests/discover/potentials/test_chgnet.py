"""CHGNet: its contract, silence, and lattice constants."""

import numpy as np
import pytest
from ase.build import bulk

from discover.benchmark.relaxation_peers import ase_bfgs
from discover.campaign import RelaxationSettings
from discover.potentials.chgnet import CHGNetPotential
from discover.potentials.conformance import check_potential
from discover.potentials.relaxation import relax, relax_many
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup
from generators import GeneratorContext
from generators.prototypes import PrototypeGenerator


@pytest.fixture(scope="module")
def chgnet():
    return CHGNetPotential()


def test_contract(chgnet):
    check_potential(chgnet, Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.4)))


def test_batches_give_the_calculator_s_numbers(chgnet):
    structures = [
        bulk("NaCl", "rocksalt", a=5.5),
        bulk("ZnO", "wurtzite", a=3.3, c=5.2, u=0.38),
        bulk("GaAs", "zincblende", a=5.6) * (1, 1, 2),
    ]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
    lonely = bulk("Cu", "sc", a=8.0)
    first, bad, *others = chgnet.evaluate([structures[0], lonely, *structures[1:]])
    assert "isolated" in bad
    for atoms, answer in zip(structures, [first, *others], strict=True):
        atoms.calc = chgnet.calculator()
        assert answer.energy_ev == pytest.approx(float(atoms.get_potential_energy()), abs=1e-5)
        forces = atoms.get_forces()
        rounding = 2e-5 * float(np.abs(forces).max())  # of single precision
        assert answer.forces_ev_per_angstrom == pytest.approx(forces, abs=rounding)
        assert answer.stress_ev_per_angstrom3 == pytest.approx(atoms.get_stress(), abs=1e-5)


def prototype(name, *elements):
    generator = PrototypeGenerator(prototypes=(name,), elements=elements)
    context = GeneratorContext(seed=0, position=0, known=frozenset())
    return generator.propose(1, context).candidates[0].crystal


def test_batches_relax_to_what_ase_finds_one_by_one(chgnet):
    crystals = [
        prototype("rocksalt", "Mg", "O"),
        prototype("wurtzite", "Zn", "O"),
        prototype("fluorite", "Ca", "F"),
        prototype("perovskite", "Sr", "Ti", "O"),
        prototype("chalcopyrite", "Cu", "Ga", "S"),
        prototype("half-Heusler", "Ti", "Ni", "Sn"),
    ]
    settings = RelaxationSettings(fmax_ev_per_angstrom=0.01)
    ours = relax_many(crystals, chgnet, settings)
    theirs = ase_bfgs(crystals, chgnet, settings)
    for start, mine, other in zip(crystals, ours, theirs, strict=True):
        assert mine.problem is None
        assert other.converged
        assert mine.record.energy_ev_per_atom == pytest.approx(other.energy_ev_per_atom, abs=1e-3)
        assert spacegroup(mine.crystal, symprec=1e-5) == spacegroup(start, symprec=1e-5)


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

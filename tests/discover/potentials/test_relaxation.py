"""Relaxation: physics against independent scans with the same potential, and every way to fail."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa
from scipy.optimize import minimize_scalar

from discover.benchmark.relaxation_peers import ase_bfgs
from discover.campaign import RelaxationSettings
from discover.potentials import relaxation
from discover.potentials.base import Evaluation
from discover.potentials.emt import EMTPotential
from discover.potentials.relaxation import relax, relax_many
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup

TIGHT = RelaxationSettings(fmax_ev_per_angstrom=1e-3, max_volume_change=1.0)
EMT_POTENTIAL = EMTPotential()


def energy(atoms):
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def fcc(a, symbol="Cu"):
    return Crystal.from_atoms(bulk(symbol, "fcc", a=a))


class BrokenPotential(EMTPotential):
    """EMT with a fault that begins after some sound calls."""

    def __init__(self, fault, sound_calls=1):
        self._fault, self._sound_calls = fault, sound_calls

    def calculator(self):
        fault, sound_calls = self._fault, self._sound_calls

        class Broken(EMT):
            calls = 0

            def calculate(self, *args, **kwargs):
                super().calculate(*args, **kwargs)
                self.calls += 1
                if self.calls > sound_calls:
                    fault(self.results)

        return Broken()


@pytest.mark.parametrize("start", [3.3, 3.9])
@pytest.mark.parametrize("symbol", ["Cu", "Al"])
def test_fcc_lattice_constant_is_the_minimum_of_a_scan(symbol, start):
    scan = minimize_scalar(
        lambda a: energy(bulk(symbol, "fcc", a=a)), bracket=(3.4, 4.2), options={"xtol": 1e-6}
    )
    relaxed = relax(fcc(start, symbol), EMT_POTENTIAL, TIGHT)
    assert relaxed.problem is None
    assert np.cbrt(4 * relaxed.crystal.volume_angstrom3) == pytest.approx(scan.x, rel=1e-3)
    assert relaxed.record.energy_ev_per_atom == pytest.approx(scan.fun, abs=1e-5)


def test_free_coordinates_and_cell_relax_together_inside_the_space_group():
    atoms = bulk("Cu", "hcp", a=2.4, c=4.2) * (2, 1, 1)
    atoms.symbols[0] = "Au"
    start = Crystal.from_atoms(atoms)
    relaxed = relax(start, EMT_POTENTIAL, TIGHT)
    assert relaxed.record.converged
    assert relaxed.record.max_force_ev_per_angstrom < 1e-3
    assert relaxed.record.max_stress_gpa < 0.05
    assert spacegroup(relaxed.crystal) == spacegroup(start)
    optimum = relaxed.crystal.to_atoms()
    for strain in (-0.01, 0.01):
        moved = optimum.copy()
        moved.set_cell(moved.cell * (1 + strain), scale_atoms=True)
        assert energy(moved) > energy(optimum)
    optimum_energy = energy(optimum)
    optimum.rattle(0.02, seed=1)
    assert energy(optimum) > optimum_energy


def test_the_record():
    relaxed = relax(fcc(3.8), EMT_POTENTIAL, RelaxationSettings())
    record = relaxed.record
    assert record.potential == "emt"
    assert record.steps > 0
    assert record.seconds > 0
    assert record.volume_ratio == pytest.approx(
        relaxed.crystal.volume_angstrom3 / fcc(3.8).volume_angstrom3
    )


def test_evaluated_only_where_relaxation_is_off():
    crystal = fcc(3.7)
    evaluated = relax(crystal, EMT_POTENTIAL, RelaxationSettings(enabled=False))
    assert evaluated.crystal == crystal
    assert (evaluated.record.steps, evaluated.record.converged) == (0, False)
    # The stress of a cubic crystal is dE/dV.
    volumes, energies = zip(
        *((a.get_volume(), energy(a)) for a in (bulk("Cu", "fcc", a=x) for x in (3.699, 3.701))),
        strict=True,
    )
    slope = (energies[1] - energies[0]) / (volumes[1] - volumes[0]) / GPa
    assert evaluated.record.max_stress_gpa == pytest.approx(abs(slope), rel=1e-3)


def test_the_same_crystal_relaxes_to_the_same_numbers():
    first, second = (relax(fcc(3.9), EMT_POTENTIAL, TIGHT) for _ in range(2))
    assert first.crystal == second.crystal


@pytest.mark.parametrize(
    ("a", "problem"),
    [
        (4.1, r"^volume fell to [78]\d % of the start \(limit 90 %\)$"),
        (3.2, r"^volume grew to 1[1-4]\d % of the start \(limit 110 %\)$"),
    ],
)
def test_a_volume_out_of_bounds_is_given_up_and_kept(a, problem):
    import re

    relaxed = relax(fcc(a), EMT_POTENTIAL, RelaxationSettings(max_volume_change=0.1))
    assert re.search(problem, relaxed.problem)
    assert not relaxed.record.converged
    assert relaxed.crystal != fcc(a)


def test_too_few_steps():
    relaxed = relax(
        fcc(3.9), EMT_POTENTIAL, RelaxationSettings(max_steps=1, fmax_ev_per_angstrom=1e-4)
    )
    assert "not converged after 1 steps" in relaxed.problem
    assert not relaxed.record.converged


def test_an_unknown_element():
    salt = Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.6))
    relaxed = relax(salt, EMT_POTENTIAL, RelaxationSettings())
    assert relaxed.problem == "emt does not know Cl, Na"
    assert (relaxed.crystal, relaxed.record) == (salt, None)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("key", ["energy", "forces", "stress"])
def test_numbers_that_are_not_finite(enabled, key):
    def fault(results):
        results[key] = results[key] * float("nan")

    broken = BrokenPotential(fault, sound_calls=1 if enabled else 0)
    relaxed = relax(fcc(3.9), broken, RelaxationSettings(enabled=enabled))
    assert "not finite" in relaxed.problem
    assert (relaxed.crystal, relaxed.record) == (fcc(3.9), None)


def test_a_calculator_that_raises():
    def fault(results):
        raise ZeroDivisionError("no neighbours")

    relaxed = relax(fcc(3.9), BrokenPotential(fault), RelaxationSettings())
    assert relaxed.problem == "emt failed: ZeroDivisionError('no neighbours')"
    assert (relaxed.crystal, relaxed.record) == (fcc(3.9), None)


class Counting(EMTPotential):
    """EMT that evaluates batches, and notes which volumes were in each."""

    def __init__(self):
        self.batches = []

    def evaluate(self, structures):
        self.batches.append([round(s.get_volume(), 6) for s in structures])
        calculator, answers = EMT(), []
        for structure in structures:
            atoms = structure.copy()
            atoms.calc = calculator
            answers.append(
                Evaluation(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())
            )
        return answers


def alloys():
    """Copper and gold in cells of one to four atoms, some with free coordinates."""
    ordered = bulk("Cu", "fcc", a=3.9, cubic=True)
    ordered.symbols[0] = "Au"
    hexagonal = bulk("Cu", "hcp", a=2.6, c=4.5) * (2, 1, 1)
    hexagonal.symbols[:2] = "Au"
    layered = bulk("Cu", "fcc", a=3.8) * (1, 1, 3)
    layered.symbols[0] = "Au"
    shifted = bulk("Cu", "sc", a=2.5) * (1, 1, 2)
    shifted.symbols[0] = "Au"
    shifted.positions[1] += (0.1, 0.1, 0.0)
    return [fcc(3.8), *(Crystal.from_atoms(a) for a in (ordered, hexagonal, layered, shifted))]


def test_batches_relax_to_what_ase_finds_one_by_one():
    crystals = alloys()
    ours = relax_many(crystals, Counting(), TIGHT)
    theirs = ase_bfgs(crystals, EMT_POTENTIAL, TIGHT)
    assert all(relaxed.problem is None for relaxed in ours)
    for start, mine, other in zip(crystals, ours, theirs, strict=True):
        assert other.converged
        assert mine.record.energy_ev_per_atom == pytest.approx(other.energy_ev_per_atom, abs=1e-4)
        assert spacegroup(mine.crystal, symprec=1e-5) == spacegroup(start, symprec=1e-5)


def test_fewer_force_calls_than_ase():
    near_a_minimum = alloys()[:4]
    calls = sum(r.record.steps + 1 for r in relax_many(near_a_minimum, EMT_POTENTIAL, TIGHT))
    assert calls < 0.8 * sum(o.calls for o in ase_bfgs(near_a_minimum, EMT_POTENTIAL, TIGHT))


def test_company_changes_nothing():
    crystals = alloys()
    together = relax_many(crystals, EMT_POTENTIAL, TIGHT)
    for crystal, relaxed in zip(crystals, together, strict=True):
        alone = relax(crystal, EMT_POTENTIAL, TIGHT)
        assert alone.crystal == relaxed.crystal
        assert alone.record.steps == relaxed.record.steps


def test_who_has_ended_makes_room(monkeypatch):
    monkeypatch.setattr(relaxation, "_AT_ONCE", 2)
    potential = Counting()
    relaxed = relax_many(alloys(), potential, TIGHT)
    assert all(r.problem is None for r in relaxed)
    *full, _ = [len(batch) for batch in potential.batches]
    assert full.count(2) > len(full) - max(r.record.steps for r in relaxed)
    assert sum(map(len, potential.batches)) == sum(r.record.steps + 1 for r in relaxed)
    assert [r.crystal for r in relaxed] == [
        relax(c, EMT_POTENTIAL, TIGHT).crystal for c in alloys()
    ]


def test_bad_structures_cost_no_other():
    overlapping = Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 1e-7)], cell=[3, 3, 3], pbc=True)
    close = Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 0.05)], cell=[3, 3, 3], pbc=True)
    bad = [Crystal.from_atoms(a) for a in (overlapping, bulk("NaCl", "rocksalt", a=5.6), close)]
    relaxed = relax_many([bad[0], fcc(3.7), bad[1], fcc(3.5), bad[2]], EMT_POTENTIAL, TIGHT)
    assert [r.problem is None for r in relaxed] == [False, True, False, True, False]
    assert "on top of one another" in relaxed[0].problem
    assert relaxed[2].problem == "emt does not know Cl, Na"
    assert [r.crystal for r in relaxed[::2]][:2] == bad[:2]


def test_the_step_limit_is_each_structure_s_own(monkeypatch):
    monkeypatch.setattr(relaxation, "_AT_ONCE", 1)
    settings = RelaxationSettings(max_steps=3, fmax_ev_per_angstrom=1e-3)
    minimum = relax(fcc(3.6), EMT_POTENTIAL, TIGHT).crystal
    first, second, third = relax_many([fcc(4.1), minimum, fcc(4.1)], EMT_POTENTIAL, settings)
    assert "not converged after 3 steps" in first.problem
    assert (second.problem, second.record.steps) == (None, 0)
    assert first.crystal == third.crystal


def test_a_step_too_far_is_taken_back():
    # From a cell 18 % too small, EMT's aluminium overshoots the limit of twice the volume.
    relaxed = relax(fcc(3.3, "Al"), EMT_POTENTIAL, TIGHT)
    assert relaxed.problem is None
    assert 1.5 < relaxed.record.volume_ratio < 2.0


def test_no_crystals():
    assert relax_many([], EMT_POTENTIAL, TIGHT) == []

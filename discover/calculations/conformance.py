"""What every engine and every kind of calculation must do, as tests that the author of one runs.

Subclass `EngineConformance` in a test module and give it two fixtures:

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def engine(self):
            return MyEngine(...)

        @pytest.fixture
        def crystal(self):
            return Crystal.from_atoms(bulk("Si"))  # near its equilibrium volume

`CalculationKindConformance` wants a third one, `kind`, beside an engine that can compute the crystal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from discover.calculations.base import CalculationKind, ForceEngine, Outcome
from discover.errors import CalculationError
from discover.properties import property_named
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


class EngineConformance:
    """The contract of `discover.calculations.base.ForceEngine`; give it `engine` and `crystal`."""

    tolerance = 0.02
    """Share of the pressure by which it may differ from the energy's derivative."""

    def test_it_can_run_here(self, engine: ForceEngine, crystal: Crystal) -> None:
        """It has a name and versions, and knows the elements of the crystal."""
        from ase.data import chemical_symbols

        engine.check()
        assert engine.name
        assert all(isinstance(v, str) for pair in engine.versions().items() for v in pair)
        assert set(crystal.to_atoms().get_chemical_symbols()) <= engine.elements()
        assert engine.elements() <= set(chemical_symbols)

    def test_stress_is_the_derivative_of_the_energy(
        self, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """In eV/Å³, positive under tension; by central differences, 2 % in length below `crystal`."""
        step = 0.002
        atoms = _at(crystal, 0.98)
        atoms.calc = engine.calculator(atoms, tmp_path)
        stress, volume = atoms.get_stress(), atoms.get_volume()
        assert stress.shape == (6,)
        assert atoms.get_forces().shape == (len(atoms), 3)
        energies = []
        for scale in (1 - step, 1 + step):
            scaled = atoms.copy()
            scaled.set_cell(atoms.cell * scale, scale_atoms=True)
            scaled.calc = atoms.calc
            energies.append(scaled.get_potential_energy())
        expected = (energies[1] - energies[0]) / (6 * step * volume)
        assert stress[:3].mean() == pytest.approx(expected, rel=self.tolerance)

    def test_one_calculator_serves_every_scaling(
        self, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """It gives what a calculator of its own gives, whatever it computed before."""
        small, large = _at(crystal, 0.99), _at(crystal, 1.01)
        calculator = engine.calculator(small, tmp_path)
        small.calc = calculator
        first = small.get_potential_energy()
        large.calc = calculator
        assert large.get_potential_energy() != pytest.approx(first, abs=1e-6)
        again = _at(crystal, 0.99)
        again.calc = engine.calculator(again, tmp_path)
        assert again.get_potential_energy() == pytest.approx(first, abs=1e-3 * len(small))

    def test_it_writes_below_its_directory_only(
        self,
        engine: ForceEngine,
        crystal: Crystal,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nothing is left in the folder that a process happens to be in."""
        directory, elsewhere = _folders(tmp_path, "job", "elsewhere")
        monkeypatch.chdir(elsewhere)
        atoms = crystal.to_atoms()
        atoms.calc = engine.calculator(atoms, directory)
        atoms.get_potential_energy()
        assert not list(elsewhere.iterdir())


class CalculationKindConformance:
    """The contract of `base.CalculationKind`; give it `kind`, `engine` and `crystal`."""

    def test_it_computes_the_properties_it_names(
        self, kind: CalculationKind, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """In the units of `discover.properties`, with details that JSON can hold."""
        outcome = kind.run(crystal, engine, tmp_path)
        assert kind.name
        assert {value.property for value in outcome.values} == set(kind.properties)
        for value in outcome.values:
            assert value.unit == property_named(value.property).unit
        assert json.loads(json.dumps(outcome.details, allow_nan=False)) == outcome.details
        for frame in outcome.frames:
            assert np.isfinite(frame.get_potential_energy())
            assert frame.get_forces().shape == (len(frame), 3)

    def test_the_same_question_has_the_same_answer(
        self, kind: CalculationKind, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """Anew in another directory, and going on in one where all is computed already."""
        here, there = _folders(tmp_path, "here", "there")
        answers = [_values(kind.run(crystal, engine, folder)) for folder in (here, there, here)]
        assert answers[1] == pytest.approx(answers[0], rel=1e-6)
        assert answers[2] == pytest.approx(answers[0], rel=1e-6)

    def test_an_element_that_the_engine_lacks_is_refused(
        self, kind: CalculationKind, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """CalculationError before anything is computed."""
        with pytest.raises(CalculationError):
            kind.run(crystal, _Without(engine, elements=frozenset()), tmp_path)

    def test_the_failure_of_an_engine_is_passed_on(
        self, kind: CalculationKind, engine: ForceEngine, crystal: Crystal, tmp_path: Path
    ) -> None:
        """With its reason: a calculation without an energy has no values."""
        with pytest.raises(CalculationError, match="did not converge"):
            kind.run(crystal, _Without(engine, elements=engine.elements()), tmp_path)

    def test_it_writes_below_its_directory_only(
        self,
        kind: CalculationKind,
        engine: ForceEngine,
        crystal: Crystal,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Nothing is left in the folder that a process happens to be in."""
        directory, elsewhere = _folders(tmp_path, "job", "elsewhere")
        monkeypatch.chdir(elsewhere)
        kind.run(crystal, engine, directory)
        assert not list(elsewhere.iterdir())


class _Without:
    """An engine that knows these elements and computes nothing."""

    def __init__(self, engine: ForceEngine, elements: frozenset[str]) -> None:
        self.name = engine.name
        self.check = engine.check
        self.versions = engine.versions
        self._elements = elements

    def elements(self) -> frozenset[str]:
        return self._elements

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:  # noqa: ARG002
        raise CalculationError("the field did not converge")


def _folders(root: Path, *names: str) -> list[Path]:
    folders = [root / name for name in names]
    for folder in folders:
        folder.mkdir()
    return folders


def _at(crystal: Crystal, scale: float) -> Atoms:
    """The crystal with all lengths scaled."""
    atoms = crystal.to_atoms()
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    return atoms


def _values(outcome: Outcome) -> dict[str, float]:
    return {value.property: value.value for value in outcome.values}

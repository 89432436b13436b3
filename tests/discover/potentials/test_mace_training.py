"""MACE is trained for real, on a few copper crystals labelled by the embedded-atom potential."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from discover.errors import PotentialError
from discover.potentials.mace_training import (
    Architecture,
    Epoch,
    Example,
    NewModel,
    TrainedModel,
    TrainingSettings,
    train_mace,
)

TINY = NewModel(Architecture(channels=4, max_ell=1, correlation=1, r_max_angstrom=4.0))
SETTINGS = TrainingSettings(epochs=2, batch_size=4)


def labelled(symbol: str, seed: int) -> Example:
    random = np.random.default_rng(seed)
    atoms = bulk(symbol, cubic=True)
    atoms.set_cell(atoms.cell.array * random.uniform(0.97, 1.03), scale_atoms=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **results, stress=atoms.get_stress())
    return Example(atoms)


EXAMPLES = [labelled("Cu", seed) for seed in range(8)] + [labelled("Au", seed) for seed in range(4)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, list[Epoch], Path]:
    told: list[Epoch] = []
    folder = tmp_path_factory.mktemp("with a space") / "training"
    model = train_mace(EXAMPLES[:10], EXAMPLES[10:], folder, SETTINGS, TINY, told.append)
    return model, told, folder


def energy(model: torch.nn.Module, atoms: Atoms) -> float:
    from mace.calculators import MACECalculator

    copy = atoms.copy()
    copy.calc = MACECalculator(models=model, device="cpu", default_dtype="float32")
    return float(copy.get_potential_energy())


def test_training_tells_of_every_epoch_and_returns_the_best(
    trained: tuple[TrainedModel, list[Epoch], Path],
) -> None:
    model, told, _ = trained
    assert [epoch.number for epoch in told] == [1, 2]
    assert {epoch.of for epoch in told} == {2}
    assert model.best == min(told, key=lambda epoch: epoch.loss)
    assert sorted(int(z) for z in model.load().atomic_numbers) == [29, 79]


def test_the_errors_told_are_those_of_the_model(
    trained: tuple[TrainedModel, list[Epoch], Path],
) -> None:
    model, _, _ = trained
    loaded = model.load()
    errors = [
        (energy(loaded, e.atoms) - e.atoms.get_potential_energy()) / len(e.atoms)
        for e in EXAMPLES[10:]
    ]
    rmse = float(np.sqrt(np.mean(np.square(errors))))
    assert rmse == pytest.approx(model.best.energy_rmse_ev_per_atom, rel=0.02)


def test_a_finished_training_is_not_repeated(
    trained: tuple[TrainedModel, list[Epoch], Path],
) -> None:
    model, _, folder = trained
    told: list[Epoch] = []
    assert train_mace(EXAMPLES[:10], EXAMPLES[10:], folder, SETTINGS, TINY, told.append) == model
    assert told == []


def test_another_training_in_the_same_folder_is_refused(
    trained: tuple[TrainedModel, list[Epoch], Path],
) -> None:
    _, _, folder = trained
    other = SETTINGS.model_copy(update={"seed": 1})
    with pytest.raises(PotentialError, match="another training"):
        train_mace(EXAMPLES[:10], EXAMPLES[10:], folder, other, TINY)
    heavier = [replace(EXAMPLES[0], forces_weight=3.0), *EXAMPLES[1:10]]
    with pytest.raises(PotentialError, match="another training"):
        train_mace(heavier, EXAMPLES[10:], folder, SETTINGS, TINY)


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match="smaller batch_size"):
        train_mace(EXAMPLES[:3], EXAMPLES[10:], tmp_path, SETTINGS, TINY)


def test_an_example_without_an_energy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match="no energy"):
        train_mace([Example(bulk("Cu"))] * 4, EXAMPLES[10:], tmp_path, SETTINGS, TINY)


def test_fine_tuning_keeps_elements_and_energies_of_what_it_does_not_see(
    trained: tuple[TrainedModel, list[Epoch], Path], tmp_path: Path
) -> None:
    model, _, _ = trained
    before = model.load()
    gently = TrainingSettings(epochs=1, batch_size=4, learning_rate=1e-7, final_learning_rate=1e-7)
    after = train_mace(EXAMPLES[:4], EXAMPLES[4:6], tmp_path, gently, before).load()
    assert after.atomic_numbers.tolist() == [29, 79]
    for example in (EXAMPLES[0], EXAMPLES[11]):
        assert energy(after, example.atoms) == pytest.approx(
            energy(before, example.atoms), abs=1e-3
        )


@pytest.mark.slow
def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    """The process dies with its parent, and the epochs that are done are not repeated."""
    script = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_mace_training import EXAMPLES, TINY, TrainingSettings, train_mace
        train_mace(
            EXAMPLES[:10], EXAMPLES[10:], Path({str(tmp_path)!r}),
            TrainingSettings(epochs=40, batch_size=4), TINY,
            lambda epoch: print(epoch.number, flush=True),
        )
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 3:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    told: list[Epoch] = []
    settings = TrainingSettings(epochs=40, batch_size=4)
    train_mace(EXAMPLES[:10], EXAMPLES[10:], tmp_path, settings, TINY, told.append)
    assert told[0].number >= 2
    assert told[-1].number == 40

"""Training and fine-tuning of MACE models by `mace_run_train`, in a process that may be killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from discover.errors import PotentialError
from discover.files import write_atomically
from discover.records import Record, content_hash

if TYPE_CHECKING:
    import torch
    from ase import Atoms


class Architecture(Record):
    """Size of a ScaleShiftMACE (Batatia et al., NeurIPS 35, 11423 (2022)) with two interactions.

    `channels` of messages with angular momentum up to `max_l`; `max_ell` of the edges' spherical
    harmonics; body order is `correlation` + 1.
    """

    channels: Annotated[int, Field(ge=1)] = 64
    max_l: Annotated[int, Field(ge=0, le=2)] = 0
    max_ell: Annotated[int, Field(ge=1, le=3)] = 3
    correlation: Annotated[int, Field(ge=1, le=3)] = 2
    r_max_angstrom: Annotated[float, Field(gt=0)] = 5.0


@dataclass(frozen=True)
class NewModel:
    """A model with random weights on top of fixed atomic energies (eV, by atomic number).

    Without them the atomic energies are those that fit the examples best. An atom that has no
    neighbour within the cutoff has just its atomic energy.
    """

    architecture: Architecture
    atomic_energies_ev: Mapping[int, float] | None = None


class TrainingSettings(Record):
    """How a model is trained, in single precision, with Adam and an average of its weights.

    The learning rate falls by the same factor each epoch, from `learning_rate` to
    `final_learning_rate`. The loss is the sum of weighted mean squares of the errors of energies
    (eV/atom), force components (eV/Å) and stress components (eV/Å³).
    """

    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)] = 16
    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    final_learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    energy_weight: Annotated[float, Field(ge=0)] = 10.0
    forces_weight: Annotated[float, Field(ge=0)] = 1.0
    stress_weight: Annotated[float, Field(ge=0)] = 100.0
    average_decay: Annotated[float, Field(gt=0, lt=1)] = 0.995
    seed: int = 0


@dataclass(frozen=True)
class Example:
    """A configuration whose calculator holds labels (eV, eV/Å, eV/Å³), and how much each counts.

    Labels that the calculator does not hold are not trained on.
    """

    atoms: Atoms
    energy_weight: float = 1.0
    forces_weight: float = 1.0
    stress_weight: float = 1.0


@dataclass(frozen=True)
class Epoch:
    """Root mean square errors on the validation examples after an epoch (counted from 1)."""

    number: int
    of: int
    loss: float
    energy_rmse_ev_per_atom: float
    forces_rmse_ev_per_angstrom: float


@dataclass(frozen=True)
class TrainedModel:
    """The model's file (as mace-torch writes it) and the epoch with the lowest validation loss."""

    file: Path
    best: Epoch

    def load(self) -> torch.nn.Module:
        """The model itself, unpickled: from a file that this training wrote."""
        import torch

        model: torch.nn.Module = torch.load(self.file, map_location="cpu", weights_only=False)
        return model


def train_mace(
    train: Sequence[Example],
    valid: Sequence[Example],
    directory: Path,
    settings: TrainingSettings,
    start: NewModel | torch.nn.Module,
    told: Callable[[Epoch], None] = lambda _: None,
) -> TrainedModel:
    """Train a MACE in `directory`, or go on where a killed training of the same data left it.

    `start` is a new model, or a model to fine-tune: that keeps its elements, those absent from the
    new data too, and its atomic energies. A training that has finished is not repeated. One thread.
    A checkpoint is kept when the validation loss falls, so a resumed training repeats what came after
    the last of them, with the same order of examples as at its start: it ends near, not at, the same
    weights. PotentialError where the examples are fewer than a batch or hold too little, the folder
    holds another training, or mace_run_train fails.
    """
    if len(train) < settings.batch_size or not valid:
        raise PotentialError(
            f"training needs at least one batch ({settings.batch_size}) of examples and one to"
            f" validate on: there are {len(train)} and {len(valid)}; take a smaller batch_size"
        )
    directory.mkdir(parents=True, exist_ok=True)
    _write_examples(directory / "train.xyz", train)
    _write_examples(directory / "valid.xyz", valid)
    arguments = _arguments(directory, settings, start)
    _claim(directory, arguments)
    log, model = directory / "training.log", directory / f"{_NAME}.model"
    if not zipfile.is_zipfile(model):
        _delete_torn(directory / "checkpoints")
        _run(arguments, directory, log, lambda line: _tell(line, settings.epochs, told))
    if not zipfile.is_zipfile(model):
        raise PotentialError(f"mace_run_train wrote no {model.name}; its output is in {log}")
    return TrainedModel(model, _best_epoch(log, settings.epochs))


_NAME = "mace"
_CLAIM = "training.json"


def _write_examples(file: Path, examples: Sequence[Example]) -> None:
    from ase.io import write

    frames = []
    for example in examples:
        frame = example.atoms.copy()
        results = example.atoms.calc.results if example.atoms.calc else {}
        if "energy" not in results:
            raise PotentialError(f"a training example ({frame.symbols}) has no energy")
        frame.info = {
            "REF_energy": float(results["energy"]),
            "config_energy_weight": example.energy_weight,
            "config_forces_weight": example.forces_weight,
            "config_stress_weight": example.stress_weight,
        }
        if "stress" in results:
            frame.info["REF_stress"] = example.atoms.get_stress(voigt=False)
        frame.arrays = {key: frame.arrays[key] for key in ("numbers", "positions")}
        if "forces" in results:
            frame.arrays["REF_forces"] = results["forces"]
        frames.append(frame)
    partial = file.with_suffix(".partial")
    write(partial, frames, format="extxyz")
    partial.replace(file)


def _arguments(
    directory: Path, settings: TrainingSettings, start: NewModel | torch.nn.Module
) -> dict[str, str]:
    """Options of mace_run_train."""
    gamma = (settings.final_learning_rate / settings.learning_rate) ** (1 / settings.epochs)
    options: dict[str, object] = {
        "name": _NAME,
        "work_dir": directory,
        "train_file": directory / "train.xyz",
        "valid_file": directory / "valid.xyz",
        "seed": settings.seed,
        "device": "cpu",
        "default_dtype": "float32",
        "loss": "stress",
        "energy_weight": settings.energy_weight,
        "forces_weight": settings.forces_weight,
        "stress_weight": settings.stress_weight,
        "batch_size": settings.batch_size,
        "valid_batch_size": settings.batch_size,
        "max_num_epochs": settings.epochs,
        "patience": settings.epochs,
        "lr": settings.learning_rate,
        "scheduler": "ExponentialLR",
        "lr_scheduler_gamma": gamma,
        "ema_decay": settings.average_decay,
        "plot": False,
        "error_table": "PerAtomRMSE",
    }
    if isinstance(start, NewModel):
        architecture, energies = start.architecture, start.atomic_energies_ev
        options |= {
            "model": "ScaleShiftMACE",
            "num_channels": architecture.channels,
            "max_L": architecture.max_l,
            "max_ell": architecture.max_ell,
            "correlation": architecture.correlation,
            "r_max": architecture.r_max_angstrom,
            "E0s": "average" if energies is None else dict(energies),
        }
    else:
        import torch

        foundation = directory / "foundation.model"
        torch.save(start, foundation)
        options |= {
            "foundation_model": foundation,
            "foundation_model_elements": True,
            "multiheads_finetuning": False,
            "r_max": float(start.get_buffer("r_max")),
            "E0s": "foundation",
        }
    return {key: str(value) for key, value in options.items()}


def _claim(directory: Path, arguments: dict[str, str]) -> None:
    """Write down what is trained here; PotentialError where it is something else already."""
    files = [file for key, file in arguments.items() if key in {"train_file", "valid_file"}]
    options = {key: value for key, value in arguments.items() if str(directory) not in value}
    claim = {
        "options": options,
        "data": content_hash({Path(f).name: Path(f).read_text(encoding="utf-8") for f in files}),
    }
    file = directory / _CLAIM
    if not file.exists():
        write_atomically(file, json.dumps(claim, indent=2))
    elif json.loads(file.read_text(encoding="utf-8")) != claim:
        raise PotentialError(
            f"{directory} holds another training (see {file.name}): give an empty folder, or delete it"
        )


def _delete_torn(checkpoints: Path) -> None:
    """A kill while one is written leaves an archive without its end, which mace cannot go on from."""
    for file in checkpoints.glob("*.pt"):
        if not zipfile.is_zipfile(file):
            file.unlink()


_ENDS_WITH_ITS_PARENT = """\
import os, sys, threading
def watch():
    sys.stdin.read()
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
from mace.cli.run_train import main
main()
"""
"""Standard input is a pipe that nobody writes to: it ends when the parent does, however it dies."""


def _run(
    arguments: dict[str, str], directory: Path, log: Path, told: Callable[[str], None]
) -> None:
    flags = ["--amsgrad", "--ema", "--restart_latest", "--keep_checkpoints"]
    options = [f"--{key}={value}" for key, value in arguments.items()]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _ENDS_WITH_ITS_PARENT, *options, *flags],
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    last: list[str] = []
    try:
        with log.open("a", encoding="utf-8") as file:
            for line in process.stdout:
                file.write(line)
                file.flush()
                last = [*last[-4:], line.strip()]
                told(line)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        code = process.wait()
    if code != 0:
        raise PotentialError(
            f"mace_run_train ended with code {code}; its output is in {log}, which ends with:\n"
            + "\n".join(last)
        )


_EPOCH = re.compile(
    r"Epoch (\d+): .*loss=\s*([\d.eE+-]+|nan|inf), RMSE_E_per_atom=\s*([\d.eE+-]+|nan|inf) meV,"
    r" RMSE_F=\s*([\d.eE+-]+|nan|inf) meV"
)


def _epoch(line: str, epochs: int) -> Epoch | None:
    found = _EPOCH.search(line)
    if found is None:
        return None
    number, loss, energy, forces = found.groups()
    return Epoch(int(number) + 1, epochs, float(loss), float(energy) / 1e3, float(forces) / 1e3)


def _tell(line: str, epochs: int, told: Callable[[Epoch], None]) -> None:
    epoch = _epoch(line, epochs)
    if epoch is not None:
        told(epoch)


def _best_epoch(log: Path, epochs: int) -> Epoch:
    """The one whose weights the model has, as the log says at its end."""
    text = log.read_text(encoding="utf-8")
    loaded = re.findall(r"Loaded Stage one model from epoch (\d+)", text)
    told = [epoch for line in text.splitlines() if (epoch := _epoch(line, epochs)) is not None]
    of_model = [epoch for epoch in told if loaded and epoch.number == int(loaded[-1]) + 1]
    if not of_model:
        raise PotentialError(f"{log} does not say from which epoch the model is")
    return of_model[-1]

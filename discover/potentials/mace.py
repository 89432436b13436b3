"""MACE: equivariant message-passing potentials: bundled, from a file, or a foundation model."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.errors import MissingDependencyError, PotentialError
from discover.plugins import suggestion
from discover.potentials.base import Evaluation
from discover.potentials.batches import MemoryBatches
from discover.potentials.bundled import WEIGHTS
from discover.potentials.devices import torch_device
from discover.potentials.mace_weights import digest, load_weights, quiet_mace

if TYPE_CHECKING:
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_BUNDLED = "bundled"
_PLAIN = ".safetensors"
_SUFFIXES = {".model", ".pt", ".pth", _PLAIN}

_ATOMS_A_CALL = {"cpu": 96, "cuda": 16384}
"""More are no faster on a CPU; on a GPU memory sets the limit."""


class MACEPotential:
    """MACE (Batatia et al., NeurIPS 35, 11423 (2022)) in the model's own precision.

    `model` is `bundled` for the one that comes with this package, `*.safetensors` for a file of ours
    (see `mace_weights`), a file written by mace-torch, or the name of a MACE-MP foundation model, such
    as `medium-mpa-0`, which mace-torch downloads on first use and then keeps. A file of mace-torch is a
    pickled Python module and can run any code when it is loaded: only load files that you trust.
    """

    def __init__(self, model: str) -> None:
        if importlib.util.find_spec("mace") is None:
            raise MissingDependencyError(
                "MACE potentials need the package mace-torch, which is not installed:"
                " pip install 'discover-materials[mace]'"
            )
        path = WEIGHTS if model == _BUNDLED else Path(model).expanduser()
        self._file = path if path.is_file() else None
        if self._file is None and (path.suffix in _SUFFIXES or len(path.parts) > 1):
            raise PotentialError(f"MACE model {model!r}: there is no such file")
        self._requested = model

    @cached_property
    def name(self) -> str:
        """`mace:` and the model's or its file's name, with the hash of its content where it is a file."""
        if self._file is None:
            return f"mace:{self._requested}"
        if self._file.suffix == _PLAIN:
            shown = _BUNDLED if self._requested == _BUNDLED else self._file.name
            return f"mace:{shown}@{digest(self._file)}"
        content = hashlib.sha256(self._file.read_bytes()).hexdigest()
        return f"mace:{self._file.name}@{content[:12]}"

    def elements(self) -> frozenset[str]:
        """Chemical symbols in the model's table."""
        from ase.data import chemical_symbols

        return frozenset(chemical_symbols[int(z)] for z in self._model.atomic_numbers)

    def calculator(self) -> Calculator:
        """A new calculator around a model that is loaded once.

        Sets this process to one torch thread: more are slower for cells of a few atoms, many times so
        on a busy machine.
        """
        import torch

        with quiet_mace():
            from mace.calculators import MACECalculator
            from mace.calculators.mace import get_model_dtype

        torch.set_num_threads(1)
        try:
            return MACECalculator(
                models=self._model,
                device=torch_device(),
                default_dtype=get_model_dtype(self._model),
            )
        except ValueError as error:
            raise PotentialError(
                f"MACE model {self._requested!r} cannot be used: {error}"
            ) from error

    def module(self) -> torch.nn.Module:
        """A copy of the model on the CPU, to be trained further."""
        model: torch.nn.Module = copy.deepcopy(self._model).cpu()
        return model

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        """Batched evaluation, see `BatchedPotential`; as many at once as memory holds."""
        return self._batches.evaluate(structures)

    @cached_property
    def _batches(self) -> MemoryBatches:
        from discover.potentials.mace_batch import evaluate_batch

        device = torch_device()
        calculator = self.calculator()  # it also puts the model on its device and chooses the head
        head = calculator.available_heads.index(calculator.head)
        model = calculator.models[0]
        return MemoryBatches(
            self.name,
            lambda batch: evaluate_batch(model, head, device, batch),
            _ATOMS_A_CALL[device],
        )

    @cached_property
    def _model(self) -> Any:
        import torch

        path = self._file or self._downloaded()
        if path.suffix == _PLAIN:
            return load_weights(path)
        try:
            with quiet_mace():
                model = torch.load(path, map_location="cpu", weights_only=False)
        except Exception as error:  # unpickling can raise anything
            raise PotentialError(f"{path} cannot be loaded as a MACE model: {error!r}") from error
        if not hasattr(model, "atomic_numbers") or not hasattr(model, "r_max"):
            raise PotentialError(f"{path} holds a {type(model).__name__}, not a MACE model")
        return model

    def _downloaded(self) -> Path:
        with quiet_mace():
            from mace.calculators.foundations_models import (
                download_mace_mp_checkpoint,
                mace_mp_urls,
            )

        if self._requested not in mace_mp_urls:
            raise PotentialError(
                f"{self._requested!r} is neither a file nor a MACE foundation model"
                f"{suggestion(self._requested, mace_mp_urls)}"
            )
        try:
            with quiet_mace():
                return Path(download_mace_mp_checkpoint(self._requested))
        except (OSError, RuntimeError) as error:
            raise PotentialError(
                f"MACE model {self._requested!r} cannot be downloaded ({error}): fetch"
                f" {mace_mp_urls[self._requested]} where there is a network and write"
                " 'mace:<path of that file>'"
            ) from error

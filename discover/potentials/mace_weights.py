"""MACE models on disk without pickled code: parameters as safetensors, architecture as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.errors import PotentialError
from discover.files import write_atomically

if TYPE_CHECKING:
    import torch

_FORMAT = 1

_FIXED = {
    "radial_type": "bessel",
    "distance_transform": None,
    "pair_repulsion": False,
    "use_so3": False,
    "use_edge_irreps_first": False,
    "use_agnostic_product": False,
    "use_last_readout_only": False,
    "use_embedding_readout": False,
    "apply_cutoff": True,
    "embedding_specs": None,
    "cueq_config": None,
}
"""What this format does not write down, and the only values it takes."""


_EXPECTED_WARNINGS = (
    "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD",  # mace-torch sets it
    "The TorchScript type system doesn't support instance-level annotations",
)


@contextlib.contextmanager
def quiet_mace() -> Iterator[None]:
    """Keep what mace-torch and e3nn say of themselves when imported or built from the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield


def save_weights(model: torch.nn.Module, file: Path) -> None:
    """Write a ScaleShiftMACE as `file` (`*.safetensors`) and a `*.json` beside it.

    PotentialError where the model is of a kind that could not be made again from them.
    """
    from safetensors.torch import save

    content = {"format": _FORMAT, "architecture": _architecture(model), "card": {}}
    parameters = {name: tensor.detach().contiguous() for name, tensor in model.named_parameters()}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, save(parameters))
    _write(file, content)


def load_weights(file: Path) -> torch.nn.Module:
    """The model that `save_weights` wrote; PotentialError where the files are absent or do not fit."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    architecture = _read(file)["architecture"]
    try:
        tensors = load_file(file)
        with quiet_mace():
            model = _rebuilt(architecture, next(iter(tensors.values())).dtype)
        for name in set(tensors) & {name for name, _ in model.named_buffers()}:
            _make_parameter(model, name)  # as fine-tuning does to the Bessel functions
        parameters = dict(model.named_parameters())
        if set(parameters) != set(tensors):
            raise PotentialError(
                f"{file}: mace-torch {_version()} makes a model with other parameters"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[name])
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError, StopIteration) as error:
        raise PotentialError(f"{file} cannot be loaded as a MACE model: {error!r}") from error
    return model.eval()


def _make_parameter(model: torch.nn.Module, name: str) -> None:
    import torch

    owner, _, attribute = name.rpartition(".")
    module = model.get_submodule(owner)
    buffer = getattr(module, attribute)
    delattr(module, attribute)
    setattr(module, attribute, torch.nn.Parameter(buffer))


def write_card(file: Path, card: dict[str, Any]) -> None:
    """Write down what should be known about the model; the weights stay as they are."""
    _write(file, _read(file) | {"card": card})


def read_card(file: Path) -> dict[str, Any]:
    """What was written down about the model; empty where nothing was."""
    card: dict[str, Any] = _read(file)["card"]
    return card


def elements_of(file: Path) -> frozenset[str]:
    """Chemical symbols of the model, read without loading it."""
    from ase.data import chemical_symbols

    return frozenset(
        chemical_symbols[number] for number in _read(file)["architecture"]["atomic_numbers"]
    )


def digest(file: Path) -> str:
    """Hex digest of architecture and parameters, but not of the card."""
    architecture = json.dumps(_read(file)["architecture"], sort_keys=True)
    return hashlib.sha256(architecture.encode() + file.read_bytes()).hexdigest()[:12]


def _read(file: Path) -> dict[str, Any]:
    beside = file.with_suffix(".json")
    try:
        content: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PotentialError(
            f"{beside}, which describes the model in {file.name}, cannot be read: {error}"
        ) from error
    if content.get("format") != _FORMAT:
        raise PotentialError(f"{beside}: format {content.get('format')}, not {_FORMAT}")
    return content


def _write(file: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(file.with_suffix(".json"), text + "\n")


def _version() -> str:
    return importlib.metadata.version("mace-torch")


def _architecture(model: torch.nn.Module) -> dict[str, Any]:
    """The constructor's arguments as plain data."""
    with quiet_mace():
        from mace.tools.scripts_utils import extract_config_mace_model

    config = extract_config_mace_model(model)
    if "error" in config:
        raise PotentialError(f"a {type(model).__name__} cannot be written: {config['error']}")
    other = {key for key, value in _FIXED.items() if config[key] != value}
    if other or len(config["heads"]) != 1:
        raise PotentialError(
            f"a model with its own {', '.join(sorted(other)) or 'heads'} cannot be written"
        )
    return {
        "r_max_angstrom": float(config["r_max"]),
        "num_bessel": int(config["num_bessel"]),
        "num_polynomial_cutoff": int(config["num_polynomial_cutoff"]),
        "max_ell": int(config["max_ell"]),
        "num_interactions": int(config["num_interactions"]),
        "interaction": config["interaction_cls"].__name__,
        "first_interaction": config["interaction_cls_first"].__name__,
        "hidden_irreps": str(config["hidden_irreps"]),
        "readout_irreps": str(config["MLP_irreps"]),
        "radial_mlp": [int(width) for width in config["radial_MLP"]],
        "correlation": int(config["correlation"]),
        "use_reduced_cg": bool(config["use_reduced_cg"]),
        "average_neighbours": float(config["avg_num_neighbors"]),
        "atomic_numbers": [int(number) for number in config["atomic_numbers"]],
        "atomic_energies_ev": [float(energy) for energy in config["atomic_energies"].ravel()],
        "scale": float(config["atomic_inter_scale"].item()),
        "shift": float(config["atomic_inter_shift"].item()),
        "heads": list(config["heads"]),
    }


def _rebuilt(architecture: dict[str, Any], dtype: torch.dtype) -> torch.nn.Module:
    import numpy as np
    import torch
    from mace.modules import ScaleShiftMACE, interaction_classes

    from e3nn.o3 import Irreps  # isort: skip - its constants load only after mace's import

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        model: torch.nn.Module = ScaleShiftMACE(
            r_max=architecture["r_max_angstrom"],
            num_bessel=architecture["num_bessel"],
            num_polynomial_cutoff=architecture["num_polynomial_cutoff"],
            max_ell=architecture["max_ell"],
            num_interactions=architecture["num_interactions"],
            interaction_cls=interaction_classes[architecture["interaction"]],
            interaction_cls_first=interaction_classes[architecture["first_interaction"]],
            hidden_irreps=Irreps(architecture["hidden_irreps"]),
            MLP_irreps=Irreps(architecture["readout_irreps"]),
            radial_MLP=architecture["radial_mlp"],
            gate=torch.nn.functional.silu,
            correlation=architecture["correlation"],
            use_reduced_cg=architecture["use_reduced_cg"],
            avg_num_neighbors=architecture["average_neighbours"],
            num_elements=len(architecture["atomic_numbers"]),
            atomic_numbers=architecture["atomic_numbers"],
            atomic_energies=np.array([architecture["atomic_energies_ev"]]),
            atomic_inter_scale=[architecture["scale"]],
            atomic_inter_shift=[architecture["shift"]],
            heads=architecture["heads"],
        )
        return model
    finally:
        torch.set_default_dtype(before)

"""Fitted models on disk: tensors as safetensors, everything else as JSON, nothing that runs code."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, cast, runtime_checkable

from pydantic import JsonValue

from discover import plugins
from discover.errors import SurrogateError
from discover.files import write_atomically

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

TENSORS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT = 1


@runtime_checkable
class Persistent(Protocol):
    """A model that can be taken apart into settings and tensors, and put together again."""

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """Settings (JSON) and tensors by name."""
        ...

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """A model with the same posterior as the one that was dumped."""
        ...


def save(model: Model, directory: Path) -> None:
    """Write `model.safetensors` and, last, `model.json` into `directory`; each is whole or not there.

    SurrogateError where the model has no `dump` and `restore`, OSError where it cannot be written.
    """
    import torch
    from safetensors.torch import save as serialized

    description, tensors = dump(model)
    directory.mkdir(parents=True, exist_ok=True)
    # safetensors refuses tensors that share memory or have gaps in it
    content = serialized(
        {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    )
    write_atomically(directory / TENSORS, content)
    write_atomically(
        directory / DESCRIPTION, json.dumps({"format": FORMAT} | description, indent=2)
    )


def is_saved(directory: Path) -> bool:
    """Whether `save` wrote a model into `directory`, whole."""
    return (directory / DESCRIPTION).is_file()


def load(directory: Path) -> Model:
    """The model in `directory`.

    SurrogateError where there is none, it is of another format, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = directory / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SurrogateError(f"{directory} holds no model: there is no {DESCRIPTION}") from None
    except ValueError as error:
        raise SurrogateError(f"{path} is not JSON: {error}") from error
    if not isinstance(description, dict) or description.pop("format", None) != FORMAT:
        raise SurrogateError(f"{path} is not of format {FORMAT}: a newer version wrote it")
    try:
        tensors = load_file(directory / TENSORS)
    except (OSError, SafetensorError) as error:
        raise SurrogateError(f"{directory / TENSORS} cannot be read: {error}") from error
    return restore(description, tensors)


def dump(model: Model) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
    """Class and settings of a model (JSON), and its tensors."""
    if not isinstance(model, Persistent):
        raise SurrogateError(
            f"a {type(model).__name__} cannot be saved: it has no dump and restore"
        )
    settings, tensors = model.dump()
    cls = type(model)
    return {"class": f"{cls.__module__}:{cls.__qualname__}", "settings": settings}, tensors


def restore(description: dict[str, JsonValue], tensors: dict[str, Tensor]) -> Model:
    """Inverse of `dump`; SurrogateError where the class or its tensors give no model."""
    from botorch.models.model import Model

    name = str(description.get("class"))
    module, _, attribute = name.partition(":")
    surrogates = {
        info.target.partition(".")[0] for info in plugins.available("surrogates").values()
    }
    if module not in sys.modules and module.partition(".")[0] not in surrogates:
        # importing it would run its code
        raise SurrogateError(
            f"the model's class {name!r} cannot be imported: no surrogate comes from there"
        )
    try:
        cls: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise SurrogateError(f"the model's class {name!r} cannot be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Model) and hasattr(cls, "restore")):
        raise SurrogateError(f"{name!r} is not a model that can be restored")
    try:
        return cast("Model", cls.restore(description["settings"], tensors))
    except Exception as error:  # a plug-in's own code
        raise SurrogateError(f"a {name!r} cannot be restored: {error!r}") from error

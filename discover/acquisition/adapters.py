"""Acquisition functions of either kind, behind one call: plain functions and BoTorch classes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from discover import plugins
from discover.acquisition.context import LOGARITHMIC, Array, Context, Orientation
from discover.acquisition.multi.context import is_joint
from discover.errors import DiscoverError, PluginError

if TYPE_CHECKING:
    from discover.acquisition.believed import Belief

CHUNK = 128
"""Candidates that a BoTorch class scores at once; each has a posterior of its own."""
SUPPLIED = ("model", "best_f", "X_pending", "X_baseline", "candidate_set")
"""What the loop itself hands to a BoTorch class, where its constructor asks for it."""


class Acquisition(Protocol):
    """Scores candidates in one orientation; the higher score is computed first.

    `logarithmic`: the scores are logarithms of what is gained.
    """

    @property
    def logarithmic(self) -> bool:
        """Whether they are."""
        ...

    def score(
        self,
        mean: Array,
        std: Array,
        context: Context,
        belief: Belief,
        orientation: Orientation,
    ) -> Array:
        """Scores (n) of the candidates in `context`.

        `mean` is oriented, `std` given that pending results are believed; `belief` is the model that
        both come from. PluginError where the scores are malformed.
        """
        ...


def load_acquisition(
    chosen: str | Callable[..., Any],
    options: Mapping[str, Any] | None = None,
    base: Path | None = None,
) -> Acquisition:
    """An acquisition by name, or from a BoTorch class or a function `score(mean, std, context)`.

    A function's options are its keyword-only parameters, a class's those of its constructor that the
    loop does not supply. PluginError where nothing has that name, it fits neither contract, or an
    option is wrong or missing; computes nothing.
    """
    name = chosen if isinstance(chosen, str) else getattr(chosen, "__name__", repr(chosen))
    target = plugins.load("acquisitions", chosen, base) if isinstance(chosen, str) else chosen
    given = dict(options or {})
    if inspect.isclass(target):
        return _of_class(name, target, given)
    if not callable(target):
        raise PluginError(f"acquisition {name!r} is neither a function nor a BoTorch class")
    parameters = inspect.signature(target).parameters.values()
    positional = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    try:
        inspect.Signature(positional).bind(None, None, None)
    except TypeError as error:
        raise PluginError(
            f"acquisition {name!r} must take (mean, std, context), and options after a *: {error}"
        ) from None
    checked = _checked(name, target, given, [p for p in parameters if p not in positional])
    return PlainFunction(
        name, partial(target, **checked), logarithmic=getattr(target, LOGARITHMIC, False)
    )


@dataclass(frozen=True)
class PlainFunction:
    """A function `score(mean, std, context) -> array` of length n."""

    name: str
    function: Callable[[Array, Array, Context], Array]
    logarithmic: bool = False

    def score(
        self,
        mean: Array,
        std: Array,
        context: Context,
        belief: Belief,  # noqa: ARG002 - for BoTorch classes
        orientation: Orientation,  # noqa: ARG002
    ) -> Array:
        """What the function answers, checked."""
        try:
            scores = self.function(mean, std, context)
        except DiscoverError:
            raise
        except Exception as error:
            raise PluginError(f"acquisition {self.name!r} fails: {error!r}") from error
        return _well_formed(self.name, scores, len(mean))


@dataclass(frozen=True)
class BoTorchClass:
    """A BoTorch `AcquisitionFunction` class, built anew for each pick and asked point by point.

    A class that takes `X_pending` is given them; for another one they are in the model's posterior.
    With the goal `max` and nothing pending behind its back, it gets the surrogate's own model.
    """

    name: str
    cls: Any
    options: dict[str, Any]

    @property
    def logarithmic(self) -> bool:
        """As BoTorch marks its classes."""
        return bool(getattr(self.cls, "_log", False))

    def score(
        self,
        mean: Array,  # noqa: ARG002 - it asks the model
        std: Array,  # noqa: ARG002
        context: Context,
        belief: Belief,
        orientation: Orientation,
    ) -> Array:
        """The acquisition value of each candidate on its own (q = 1)."""
        import torch
        from botorch.utils.sampling import manual_seed

        from discover.acquisition.believed import Belief, BelievedModel

        asks = inspect.signature(self.cls).parameters
        pending = belief.pending
        if "X_pending" in asks:
            belief = Belief(belief.model, pending[:0])
        plain = orientation == Orientation(1.0, 0.0) and not len(belief.pending)
        points = torch.from_numpy(context.features)
        known = context.observed_features
        supplied = {
            "model": belief.model if plain else BelievedModel(belief, orientation),
            "best_f": context.best,
            "X_pending": pending if len(pending) else None,
            "candidate_set": points,
        }
        if known is not None:
            supplied["X_baseline"] = torch.from_numpy(known)
        arguments = {key: value for key, value in supplied.items() if key in asks}
        try:
            with manual_seed(context.seed):  # Monte Carlo ones draw their base samples
                function = self.cls(**arguments, **self.options)
                scores = torch.cat([function(x) for x in points.unsqueeze(-2).split(CHUNK)])
        except DiscoverError:
            raise
        except Exception as error:
            raise PluginError(f"acquisition {self.name!r} fails: {error!r}") from error
        return _well_formed(self.name, scores.detach().numpy(), len(points))


def _of_class(name: str, target: Any, given: dict[str, Any]) -> Acquisition:
    from botorch.acquisition import AcquisitionFunction

    if is_joint(target):
        raise PluginError(
            f"acquisition {name!r} trades off several objectives, and here there is one: list them "
            "under objectives, or choose another acquisition"
        )
    if not issubclass(target, AcquisitionFunction):
        raise PluginError(
            f"acquisition {name!r} is a class but not a BoTorch AcquisitionFunction; "
            "write a function score(mean, std, context) instead"
        )
    everything = inspect.signature(target).parameters.values()
    parameters = [
        p
        for p in everything
        if p.name not in SUPPLIED and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in given]
    if missing:
        raise PluginError(
            f"acquisition {name!r} needs {', '.join(missing)}: the loop supplies "
            f"{', '.join(SUPPLIED)}; give the rest as options"
        )
    known = {p.name for p in parameters}
    unknown = [key for key in given if key not in known]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in everything):
        raise PluginError(
            f"acquisition {name!r}: {unknown[0]}: unknown key{plugins.suggestion(unknown[0], known)}"
        )
    return BoTorchClass(name, target, given)


def _checked(
    name: str, target: Any, given: dict[str, Any], parameters: list[inspect.Parameter]
) -> dict[str, Any]:
    """The options of a function, checked and completed like those of every other plug-in."""

    def options(**values: Any) -> dict[str, Any]:
        return values

    hints = typing.get_type_hints(target, include_extras=True)
    options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    options.__annotations__ = {p.name: hints[p.name] for p in parameters if p.name in hints}
    problems = plugins.option_problems(options, given)
    if problems:
        listed = "; ".join(f"{key}: {problem}" for key, problem in problems)
        raise PluginError(f"acquisition {name!r}: {listed}")
    return options(**plugins.options_model(options)(**given).__dict__)


def _well_formed(name: str, scores: Any, n: int) -> Array:
    array = np.asarray(scores, dtype=np.float64)
    if array.shape != (n,):
        raise PluginError(
            f"acquisition {name!r} must give {n} scores, one for each candidate; "
            f"it gave an array of shape {array.shape}"
        )
    if np.isnan(array).any():
        raise PluginError(f"acquisition {name!r} gave {int(np.isnan(array).sum())} scores of nan")
    limit = np.finfo(np.float64).max
    return array.clip(-limit, limit)

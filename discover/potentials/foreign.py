"""What potentials share that run in another environment, or here where their package is installed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from abc import ABC
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from discover.errors import PotentialError
from discover.plugins import suggestion
from discover.potentials.base import Evaluation
from discover.potentials.environments import Environment
from discover.potentials.remote import Description, RemoteModel
from discover.potentials.worker import models
from discover.potentials.worker.structures import Answer

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_NEEDED_E3NN = (0, 5)
"""SevenNet, MatterSim and fairchem all need it; MACE holds our own environment at 0.4.4."""


class _Model(Protocol):
    def describe(self) -> Description: ...

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]: ...


class ForeignPotential(ABC):
    """A potential whose package clashes with ours, by its name there or by a checkpoint file.

    It runs in this process where its package and an e3nn that suits it are installed here, else in a
    worker in its own environment (MissingDependencyError where there is none). A checkpoint file can
    run any code when it is loaded: only load files that you trust.
    """

    environment: ClassVar[Environment]
    models: ClassVar[Mapping[str, str]]
    """Known names, and what the package calls each."""
    shipped: ClassVar[frozenset[str]] = frozenset()
    """Names of `models` whose weights come with the package; others are downloaded on first use."""

    def __init__(self, model: str) -> None:
        path = Path(model).expanduser()
        self._file = path.resolve() if path.is_file() else None
        if self._file is None and (path.suffix or len(path.parts) > 1):
            raise PotentialError(f"{self.environment.name} model {model!r}: there is no such file")
        self._requested = model.lower()
        if self._file is None and self._requested not in self.models:
            raise PotentialError(
                f"{self.environment.name} has no model {model!r}{suggestion(model, self.models)}"
            )
        self._here = self.runs_here()
        if not self._here:
            self.environment.check()

    @classmethod
    def runs_here(cls) -> bool:
        """Whether its package is installed in this very environment, with an e3nn that suits it."""
        if importlib.util.find_spec(cls.environment.module.partition(".")[0]) is None:
            return False
        version = importlib.metadata.version("e3nn").split(".")
        return (int(version[0]), int(version[1])) >= _NEEDED_E3NN

    @cached_property
    def name(self) -> str:
        """Family and model, or the file's name and the hash of its content."""
        if self._file is None:
            return f"{self.environment.name}:{self._requested}"
        digest = hashlib.sha256(self._file.read_bytes()).hexdigest()
        return f"{self.environment.name}:{self._file.name}@{digest[:12]}"

    def elements(self) -> frozenset[str]:
        """Chemical symbols the loaded model has; PotentialError where it cannot be loaded."""
        return self._describe().elements

    def versions(self) -> dict[str, str]:
        """Its packages and their versions; PotentialError where it cannot be loaded."""
        return self._describe().versions

    def device(self) -> str:
        """`cpu` or `cuda`; PotentialError where it cannot be loaded."""
        return self._describe().device

    def calculator(self) -> Calculator:
        """A new calculator around a model that is loaded once."""
        from discover.potentials.calculator import EvaluatingCalculator

        self._describe()
        return EvaluatingCalculator(self)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        """One answer for each structure, in order, of several structures in one call where it can.

        A string says what is wrong with that structure. PotentialError where the model cannot be
        loaded, or its worker dies again and again.
        """
        answers = self._model.answers(structures)
        return [answer if isinstance(answer, str) else Evaluation(*answer) for answer in answers]

    def _describe(self) -> Description:
        try:
            return self._model.describe()
        except PotentialError as error:
            if self._file or self._requested in self.shipped:
                raise
            raise PotentialError(
                f"{error}\nIts weights are downloaded on first use: where there is no network, fetch the"
                f" file elsewhere and write '{self.environment.name}:<path of that file>'"
            ) from error

    @cached_property
    def _model(self) -> _Model:
        name = str(self._file) if self._file else self.models[self._requested]
        family = self.environment.name
        if self._here:
            return _InProcess(family, name)
        return RemoteModel(self.environment.python, family, name)


class _InProcess:
    """A model in this process."""

    def __init__(self, family: str, model: str) -> None:
        self._family = family
        self._name = model

    def describe(self) -> Description:
        return Description(self._model.elements, self._model.device, self._model.versions)

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        return models.evaluate(self._model, structures)

    @cached_property
    def _model(self) -> models.Model:
        try:
            return models.load(self._family, self._name)
        except Exception as error:  # a model's package may raise anything
            raise PotentialError(
                f"{self._family}:{self._name}: cannot be loaded: {type(error).__name__}: {error}"
            ) from error

"""Engine `potential`: an interatomic potential where a campaign would otherwise ask for DFT."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from discover import plugins
from discover.errors import PotentialError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from discover.potentials.base import Potential


class PotentialEngine:
    """An interatomic potential in place of DFT: quick, and only as good as the potential.

    `potential` is a name as in a campaign file, such as `chgnet` or `mace:/path/to.model`. The path of a
    model file must be absolute (PotentialError), for a job works in a directory of its own.
    """

    name = "potential"

    def __init__(self, *, potential: str = "chgnet") -> None:
        _refuse_relative_path(potential)
        self._potential_name = potential

    def check(self) -> None:
        """PluginError or MissingDependencyError where there is no such potential."""
        self._potential  # noqa: B018

    def elements(self) -> frozenset[str]:
        """Chemical symbols the potential was trained on."""
        return self._potential.elements()

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:  # noqa: ARG002
        """The potential's own calculator."""
        return self._potential.calculator()

    def versions(self) -> dict[str, str]:
        """The potential's full name, and its packages where it runs in an environment of its own."""
        own: Callable[[], dict[str, str]] = getattr(self._potential, "versions", dict)
        return {"potential": self._potential.name} | own()

    @cached_property
    def _potential(self) -> Potential:
        from discover.potentials import load_potential

        return load_potential(self._potential_name)


def _refuse_relative_path(potential: str) -> None:
    kind, _, model = potential.partition(":")
    file = Path(kind if plugins.is_file_plugin(kind) else model).expanduser()
    has_suffix = file.suffix[1:].isalpha()  # unlike the version in chgnet:0.3.0
    if not file.is_absolute() and (len(file.parts) > 1 or has_suffix or file.is_file()):
        raise PotentialError(
            f"engine 'potential': {potential!r} names a file by a relative path; give its absolute "
            "path, for a job works in a directory of its own"
        )

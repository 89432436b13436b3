"""Engine `vasp`: density functional theory with VASP, its inputs as pymatgen's sets write them."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.resources
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, JsonValue

from discover.calculations.engines.paths import AbsolutePath
from discover.calculations.engines.potcars import PATH_VARIABLES, find_potcar, potcar_root
from discover.calculations.engines.programs import check_command
from discover.errors import CalculationError, MissingDependencyError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_KEY = "engine_settings.potcar_dir"
_FIXED: dict[str, JsonValue] = {"NSW": 0, "IBRION": -1}
_ALLOWED = _FIXED | {"PSTRESS": 0}


def _single_point(settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for tag, value in _ALLOWED.items():
        if settings.get(tag, value) != value:
            raise ValueError(
                f"the tag {tag} must be {value}: atoms and cell are moved from outside"
            )
    if wrong := [tag for tag in settings if tag != tag.upper()]:
        raise ValueError(f"write INCAR tags in upper case: {', '.join(wrong)}")
    return settings


class VASPEngine:
    """Density functional theory with VASP, for those who have a licence.

    `command` is what runs VASP, with its launcher, such as `mpirun -np 32 vasp_std`. INCAR, KPOINTS
    and the choice of POTCAR are those of pymatgen's `input_set` for a single point; whatever stands in
    `user_incar_settings`, `user_kpoints_settings` and `user_potcar_settings` takes precedence, as in
    pymatgen. For phonons give a smaller EDIFF than the sets have (1e-7). POTCAR files lie in
    `potcar_dir`, else where PMG_VASP_PSP_DIR or VASP_PP_PATH says, in pymatgen's or VASP's layout.

    The plane-wave cutoff is the same at every volume, so that energies jump as waves come and go; the
    cutoffs of the sets keep that small.
    """

    name = "vasp"
    first_principles = True

    def __init__(
        self,
        *,
        command: str = "vasp_std",
        input_set: Literal[
            "MPStaticSet", "MPRelaxSet", "MPScanStaticSet", "MP24StaticSet", "MatPESStaticSet"
        ] = "MPStaticSet",
        potcar_dir: AbsolutePath | None = None,
        user_incar_settings: Annotated[dict[str, JsonValue], AfterValidator(_single_point)]
        | None = None,
        user_kpoints_settings: dict[str, JsonValue] | None = None,
        user_potcar_settings: dict[str, str] | None = None,
        user_potcar_functional: Literal["PBE", "PBE_52", "PBE_54", "PBE_64", "LDA", "LDA_54"]
        | None = None,
    ) -> None:
        self._command = command
        self._set_name = input_set
        self._potcar_dir = potcar_dir
        self._incar = user_incar_settings or {}
        self._kpoints = user_kpoints_settings or {}
        self._potcars = user_potcar_settings or {}
        self._potcar_functional = user_potcar_functional
        self._noticed: dict[str, str] = {}

    def check(self) -> None:
        """MissingDependencyError or CalculationError, with the key, for what is not here.

        VASP or its launcher, the folder of POTCAR files, any POTCAR in it; an unknown INCAR tag.
        """
        check_command(
            self._command,
            "vasp_std",
            "VASP needs a licence (vasp.at); where it is installed, load its module or give the "
            "command line that runs it",
        )
        self._check_tags()
        if not self.elements():
            raise MissingDependencyError(
                f"{_KEY}: {self._why_no_potcar(next(iter(self._symbols)))}"
            )

    def elements(self) -> frozenset[str]:
        """Chemical symbols whose POTCAR, as the set chooses it, is in the folder."""
        return frozenset(
            element
            for element, symbol in self._symbols.items()
            if find_potcar(self._root, self._functional, symbol)
        )

    def why_not(self, element: str) -> str:
        """Why an element cannot be computed, and which key to change."""
        if element not in self._symbols:
            return (
                f"engine_settings.input_set: {self._set_name} has no POTCAR for {element}; "
                "choose one in engine_settings.user_potcar_settings"
            )
        return f"{_KEY}: {self._why_no_potcar(element)}"

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:  # noqa: ARG002
        """A calculator for any atoms of these elements; it runs in `vasp/`."""
        from discover.calculations.engines.vasp_calculator import VASPCalculator

        return VASPCalculator(
            directory,
            command=self._command,
            input_set=self._input_set,
            options={
                "user_incar_settings": _FIXED | self._incar,
                "user_kpoints_settings": self._kpoints,
                "user_potcar_settings": self._potcars,
                "user_potcar_functional": self._potcar_functional,
            },
            potcar=self._potcar,
            noticed=self._noticed,
        )

    def versions(self) -> dict[str, str]:
        """Pymatgen's and, once it ran, VASP's own and the titles of the POTCARs."""
        return {"pymatgen": importlib.metadata.version("pymatgen"), **self._noticed}

    @cached_property
    def _input_set(self) -> Any:
        from pymatgen.io.vasp import sets

        return getattr(sets, self._set_name)

    @property
    def _functional(self) -> str:
        functional: str = self._potcar_functional or self._input_set.CONFIG["POTCAR_FUNCTIONAL"]
        return functional

    @cached_property
    def _symbols(self) -> dict[str, str]:
        """POTCAR symbol by element."""
        from ase.data import chemical_symbols

        chosen = self._input_set.CONFIG["POTCAR"] | self._potcars
        return {element: chosen[element] for element in chemical_symbols if element in chosen}

    def _potcar(self, symbol: str) -> Path:
        path = find_potcar(self._root, self._functional, symbol)
        if path is None:
            raise CalculationError(
                f"{_KEY}: there is no POTCAR {symbol} ({self._functional}) in {self._root}"
            )
        return path

    @property
    def _root(self) -> Path:
        root = Path(self._potcar_dir).expanduser() if self._potcar_dir else potcar_root()
        if root is None:
            raise MissingDependencyError(
                f"{_KEY}: name the folder of the POTCAR files there, or in the environment variable "
                f"{' or '.join(PATH_VARIABLES)}"
            )
        if not root.is_dir():
            raise MissingDependencyError(f"{_KEY}: there is no folder {root}")
        return root

    def _why_no_potcar(self, element: str) -> str:
        return (
            f"no POTCAR {self._symbols[element]} ({self._functional}) for {element} in {self._root}, "
            f"as {self._set_name} asks for: put it there, name another folder, choose another in "
            "engine_settings.user_potcar_settings, or leave the element out"
        )

    def _check_tags(self) -> None:
        listed = importlib.resources.files("pymatgen.io.vasp") / "incar_parameters.json"
        known = json.loads(listed.read_text(encoding="utf-8"))
        for tag in self._incar:
            if tag not in known:
                close = difflib.get_close_matches(tag, known, n=1)
                raise CalculationError(
                    f"engine_settings.user_incar_settings.{tag}: no such INCAR tag"
                    + (f"; did you mean {close[0]}?" if close else "")
                )

"""Pseudopotential files in the Unified Pseudopotential Format: what their headers say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from discover.errors import CalculationError

_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SUFFIX = ".upf"
_FUNCTIONALS = {
    "PBE": ("SLA PW PBX PBC", "SLA PW PBE PBE"),
    "PBESOL": ("SLA PW PSX PSC",),
    "LDA": ("PZ", "SLA PZ NOGX NOGC", "SLA PZ"),
    "PW": ("SLA PW NOGX NOGC", "SLA PW"),
    "BLYP": ("SLA LYP B88 BLYP", "B88 LYP"),
}
"""Names of functionals, and what Quantum ESPRESSO's own headers call them (its `Modules/funct.f90`)."""


@dataclass(frozen=True)
class Pseudopotential:
    """What matters of a file's header; a cutoff is None where the file suggests none."""

    path: Path
    element: str
    functional: str
    norm_conserving: bool
    fully_relativistic: bool
    bare_coulomb: bool
    ecutwfc_ry: float | None
    ecutrho_ry: float | None


def functional_name(written: str) -> str:
    """One name for a functional, however a header (or a person) writes it: `PBE`, `LDA`, ..."""
    words = " ".join(written.replace("+", " ").replace("-", " ").upper().split())
    for name, others in _FUNCTIONALS.items():
        if words in (name, *others):
            return name
    return words


def read_header(path: Path) -> Pseudopotential:
    """The header of a UPF file of version 1 or 2.

    Raises CalculationError where the file is not one or its header is not whole.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CalculationError(f"{path} cannot be read: {error.strerror}") from error
    _, found, rest = text.partition("<PP_HEADER")
    header = re.split(r"</PP_HEADER>|<PP_MESH", rest, maxsplit=1)[0]
    if not found:
        raise CalculationError(f"{path} is no pseudopotential in UPF: there is no <PP_HEADER in it")
    try:
        return _second_version(path, header) or _first_version(path, header)
    except (ValueError, LookupError) as error:
        raise CalculationError(f"{path} is no pseudopotential in UPF: {error}") from error


def _second_version(path: Path, header: str) -> Pseudopotential | None:
    attributes = {key: a or b for key, a, b in reversed(_ATTRIBUTE.findall(header))}
    if "element" not in attributes:
        return None
    suggested = _number(attributes.get("wfc_cutoff"))
    return Pseudopotential(
        path=path,
        element=_symbol(attributes["element"]),
        functional=functional_name(attributes["functional"]),
        norm_conserving=attributes["pseudo_type"].strip().upper() in {"NC", "SL"},
        fully_relativistic=attributes.get("has_so", "f").strip(". \n").lower().startswith("t"),
        bare_coulomb=attributes.get("is_coulomb", "f").strip(". \n").lower().startswith("t"),
        ecutwfc_ry=suggested,
        # without a cutoff for the waves this is a radius in some files (those of ONCVPSP)
        ecutrho_ry=_number(attributes.get("rho_cutoff")) if suggested else None,
    )


def _first_version(path: Path, header: str) -> Pseudopotential:
    """Lines in a fixed order, each a value and then what it is."""
    lines = [line.split() for line in header.strip().lstrip(">").strip().splitlines()]
    functional = lines[4][: lines[4].index("Exchange-Correlation")]
    suggested, density = (_number(word) for word in lines[7][:2])
    return Pseudopotential(
        path=path,
        element=_symbol(lines[1][0]),
        functional=functional_name(" ".join(functional[:4])),
        norm_conserving=lines[2][0].upper() == "NC",
        fully_relativistic=False,
        bare_coulomb=False,
        ecutwfc_ry=suggested,
        ecutrho_ry=density if suggested else None,
    )


class PseudopotentialFolder:
    """The pseudopotentials of one functional in a folder, one an element.

    `chosen` names files by element. Elsewhere an element is covered where exactly one scalar
    relativistic file of the folder is for it; what is not is explained by `why_not`.
    """

    def __init__(self, folder: Path, functional: str, chosen: Mapping[str, str]) -> None:
        self._folder = folder
        self._functional = functional_name(functional)
        self._candidates: dict[str, list[Pseudopotential]] = {}
        self._unreadable: list[str] = []
        for path in self._files():
            try:
                header = read_header(path)
            except CalculationError:
                self._unreadable.append(path.name)
                continue
            if header.functional != self._functional or header.bare_coulomb:
                continue
            if not header.fully_relativistic:
                self._candidates.setdefault(header.element, []).append(header)
        for element, name in chosen.items():
            self._candidates[element] = [self._chosen(element, folder / name)]

    def elements(self) -> frozenset[str]:
        """Chemical symbols with one pseudopotential."""
        return frozenset(element for element, files in self._candidates.items() if len(files) == 1)

    def of(self, element: str) -> Pseudopotential:
        """The pseudopotential of an element; CalculationError, as `why_not` has it, if not one."""
        if element not in self.elements():
            raise CalculationError(self.why_not(element))
        return self._candidates[element][0]

    def why_not(self, element: str) -> str:
        """Why an element is not covered, and what to do."""
        several = ", ".join(file.path.name for file in self._candidates.get(element, ()))
        if several:
            return (
                f"engine_settings.pseudopotentials.{element}: name one of the several "
                f"{self._functional} pseudopotentials for {element} in {self._folder}: {several}"
            )
        garbled = f" ({', '.join(self._unreadable)}: not readable)" if self._unreadable else ""
        return (
            f"engine_settings.pseudo_dir: no {self._functional} pseudopotential for "
            f"{element} in {self._folder}{garbled}: put a UPF file of it there, name another folder, "
            "or leave the element out"
        )

    def _files(self) -> Iterator[Path]:
        return (path for path in sorted(self._folder.iterdir()) if path.suffix.lower() == _SUFFIX)

    def _chosen(self, element: str, path: Path) -> Pseudopotential:
        where = f"engine_settings.pseudopotentials.{element}"
        try:
            header = read_header(path)
        except CalculationError as error:
            raise CalculationError(f"{where}: {error}") from error
        if header.element != element:
            raise CalculationError(f"{where}: {path} is a pseudopotential of {header.element}")
        if header.functional != self._functional:
            raise CalculationError(
                f"{where}: {path} was made with {header.functional}, where "
                f"engine_settings.xc asks for {self._functional}"
            )
        return header


def _symbol(written: str) -> str:
    symbol = written.strip().capitalize()
    if not re.fullmatch(r"[A-Z][a-z]?", symbol):
        raise ValueError(f"{written!r} is no chemical symbol")
    return symbol


def _number(written: str | None) -> float | None:
    """None for nothing and for zero, which is how a header says that it suggests none."""
    value = float(re.sub("[dD]", "e", written)) if written else 0.0
    return value if value > 0 else None

"""Engine `pyscf`: density functional theory of molecules with PySCF, from wheels, with no network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from discover.calculations.molecules.base import SinglePoint, Solvent
from discover.errors import CalculationError, MissingDependencyError
from discover.plugins import suggestion

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from discover.calculations.engines.pyscf_fields import Level

LAST_ELEMENT = 86


@dataclass(frozen=True)
class Preset:
    """Defaults of the engine's settings; `cavity_order` is the Lebedev order on each sphere."""

    functional: str
    basis: str
    geometry_basis: str
    grid_level: int
    cavity_order: int


PRESETS = {
    "cheap": Preset("wb97x", "def2-svpd", "def2-svp", 0, 17),
    "tight": Preset("wb97x", "def2-tzvpd", "def2-svpd", 3, 29),
}


class PySCFEngine:
    """Density functional theory in Gaussian bases, in vacuum or in an implicit solvent.

    `preset` gives what is None: `functional` (a name of LibXC), `basis` for energies and
    `geometry_basis` for forces, `grid_level` (0 to 9, of PySCF), `cavity_order` (the Lebedev order of
    the solvent's cavity). The solvent is SMD by its name (A. V. Marenich et al., J. Phys. Chem. B 113,
    6378 (2009)) or, by its dielectric constant, IEF-PCM: electrostatics alone, without the cavity's own
    energy. A field that does not converge in `max_cycles` is tried again with a level shift, then by the
    second-order solver.
    """

    name = "pyscf"
    first_principles = True

    def __init__(
        self,
        *,
        preset: Literal["cheap", "tight"] = "cheap",
        functional: str | None = None,
        basis: str | None = None,
        geometry_basis: str | None = None,
        grid_level: Annotated[int, Field(ge=0, le=9)] | None = None,
        cavity_order: Literal[7, 11, 17, 23, 29, 41] | None = None,
        density_fitting: bool = True,
        energy_tolerance_ev: Annotated[float, Field(gt=0, le=1e-2)] = 3e-6,
        max_cycles: Annotated[int, Field(ge=1)] = 60,
    ) -> None:
        chosen = PRESETS[preset]
        self._functional = functional or chosen.functional
        self._basis = basis or chosen.basis
        self._geometry_basis = geometry_basis or (
            basis if basis is not None else chosen.geometry_basis
        )
        self._grid_level = chosen.grid_level if grid_level is None else grid_level
        self._cavity_order = cavity_order or chosen.cavity_order
        self._density_fitting = density_fitting
        self._energy_tolerance_ev = energy_tolerance_ev
        self._max_cycles = max_cycles

    def check(self) -> None:
        """MissingDependencyError without PySCF; CalculationError for a functional or basis it lacks."""
        if importlib.util.find_spec("pyscf") is None:
            raise MissingDependencyError(
                "the engine 'pyscf' is not installed: pip install 'discover-materials[molecules]'"
            )
        from pyscf.dft import libxc

        try:
            libxc.parse_xc(self._functional)
        except (KeyError, ValueError) as error:
            raise CalculationError(
                f"engine 'pyscf', functional: LibXC knows no {self._functional!r}"
            ) from error
        for key, basis in (("basis", self._basis), ("geometry_basis", self._geometry_basis)):
            if not _elements_of(basis):
                raise CalculationError(f"engine 'pyscf', {key}: PySCF knows no {basis!r}")

    def elements(self) -> frozenset[str]:
        """Chemical symbols that both bases cover."""
        return self._elements

    def why_not(self, element: str) -> str:
        """Which basis lacks this chemical symbol."""
        lacking = [b for b in (self._basis, self._geometry_basis) if element not in _elements_of(b)]
        return f"the engine 'pyscf' does not know {element}: it is not in {' or '.join(lacking)}"

    def dielectric_constant(self, solvent: Solvent) -> float:
        """That of SMD's table; CalculationError with close names where it does not list the solvent."""
        from pyscf.solvent.smd import solvent_db

        if not isinstance(solvent, str):
            return float(solvent)
        if solvent not in solvent_db:
            raise CalculationError(
                f"SMD has no parameters for the solvent {solvent!r}{suggestion(solvent, solvent_db)}"
            )
        return float(solvent_db[solvent][5])

    def single_point(
        self,
        atoms: Atoms,
        *,
        solvent: Solvent | None = None,
        ghosts: Collection[int] = (),
        polarizability: bool = False,
    ) -> SinglePoint:
        """One self-consistent field in `basis`; CalculationError where it does not converge."""
        from discover.calculations.engines import pyscf_fields as fields

        field = fields.make(atoms, self._level(self._basis), solvent=solvent, ghosts=ghosts)
        converged = fields.converge(field)
        return fields.summary(*converged, polarizability=polarizability)

    def calculator(
        self,
        atoms: Atoms,
        directory: Path,  # noqa: ARG002
        solvent: Solvent | None = None,
    ) -> Calculator:
        """Energies, forces and dipoles in `geometry_basis`; charge and spin are those of `atoms.info`."""
        from discover.calculations.engines.pyscf_calculator import PySCFCalculator

        return PySCFCalculator(
            self._level(self._geometry_basis),
            charge=int(atoms.info.get("charge", 0)),
            multiplicity=int(atoms.info.get("spin", 1)),
            solvent=solvent,
        )

    def versions(self) -> dict[str, str]:
        """PySCF's."""
        return {"pyscf": importlib.metadata.version("pyscf")}

    @cached_property
    def _elements(self) -> frozenset[str]:
        return _elements_of(self._basis) & _elements_of(self._geometry_basis)

    def _level(self, basis: str) -> Level:
        from discover.calculations.engines.pyscf_fields import Level

        return Level(
            functional=self._functional,
            basis=basis,
            grid_level=self._grid_level,
            cavity_order=self._cavity_order,
            density_fitting=self._density_fitting,
            energy_tolerance_ev=self._energy_tolerance_ev,
            max_cycles=self._max_cycles,
        )


def _elements_of(basis: str) -> frozenset[str]:
    """Chemical symbols, up to radon, that PySCF has this basis for; empty for an unknown one."""
    from ase.data import chemical_symbols
    from pyscf.gto.basis import load
    from pyscf.lib.exceptions import BasisNotFoundError

    known = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it suggests another package for each element it lacks
        for symbol in chemical_symbols[1 : LAST_ELEMENT + 1]:
            try:
                if load(basis, symbol):
                    known.add(symbol)
            except (BasisNotFoundError, KeyError):
                continue
    return frozenset(known)

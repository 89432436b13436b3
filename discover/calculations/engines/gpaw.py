"""Engine `gpaw`: density functional theory with GPAW."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from discover.calculations.engines.open_shells import warn_of_open_shells
from discover.errors import MissingDependencyError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

CUTOFF_EV = {
    700: "N O F",
    600: "C",
    500: "B Mg K Ca Ti V Cr Mn Fe Co Ni Cu Zn Zr Nb Mo Ag Cd In Sn Sb Hf Ta W",
}
"""Plane-wave cutoffs in eV by element; 400 for all others.

Chosen so that the energy changes by less than about 0.1 % of B V, the energy scale of E(V), when the
cutoff changes by 6 %: measured with the PBE data sets of gpaw-data 1.2 for each element as an fcc
crystal, and for MgO, NaCl, KCl, LiF and diamond, whose conductivities then move by a few per cent.
"""

DEFAULT_CUTOFF_EV = 400

LOG = "gpaw.txt"


class GPAWEngine:
    """Density functional theory with GPAW in plane waves: non-magnetic, one core, no network.

    `cutoff_ev` None takes the largest of the elements' own (`CUTOFF_EV`). The number of plane waves
    is the same at every volume and what that does to the energy is corrected for: see
    `discover.calculations.engines.plane_waves`. `k_density` is in k-points per Å⁻¹ of reciprocal
    lattice vector (2π included), rounded up to an even mesh off Γ, or one around Γ for hexagonal cells.
    """

    name = "gpaw"
    first_principles = True

    def __init__(
        self,
        *,
        cutoff_ev: Annotated[float, Field(ge=200, le=2000)] | None = None,
        k_density: Annotated[float, Field(gt=0, le=10)] = 1.5,
        xc: str = "PBE",
        smearing_ev: Annotated[float, Field(gt=0, le=1)] = 0.05,
        energy_tolerance_ev: Annotated[float, Field(gt=0, le=1e-2)] = 1e-5,
        force_tolerance_ev_per_angstrom: Annotated[float, Field(gt=0, le=0.1)] = 3e-4,
        max_iterations: Annotated[int, Field(ge=10)] = 60,
    ) -> None:
        self._cutoff_ev = cutoff_ev
        self._k_density = k_density
        self._xc = xc
        self._smearing_ev = smearing_ev
        self._energy_tolerance_ev = energy_tolerance_ev
        self._force_tolerance_ev_per_angstrom = force_tolerance_ev_per_angstrom
        self._max_iterations = max_iterations

    def check(self) -> None:
        """MissingDependencyError where GPAW, or its PAW data sets for `xc`, are not installed."""
        if importlib.util.find_spec("gpaw") is None:
            raise MissingDependencyError(
                "the engine 'gpaw' is not installed: apt install libxc-dev libopenblas-dev "
                "libfftw3-dev, then pip install 'discover-materials[gpaw]' (make setup does both)"
            )
        if not self.elements():
            raise MissingDependencyError(
                f"GPAW finds no PAW data sets for {self._xc}: pip install gpaw-data"
            )

    def elements(self) -> frozenset[str]:
        """Chemical symbols with a PAW data set for `xc`."""
        from ase.data import chemical_symbols
        from gpaw import setup_paths

        return frozenset(
            symbol
            for symbol in chemical_symbols[1:]
            if any((Path(folder) / f"{symbol}.{self._xc}.gz").exists() for folder in setup_paths)
        )

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:
        """A calculator for these atoms, displaced and strained moderately; its log is `gpaw.txt`."""
        from discover.calculations.engines.gpaw_single_points import GPAWSinglePoints
        from discover.calculations.engines.plane_waves import FixedPlaneWaves

        symbols = set(atoms.get_chemical_symbols())
        warn_of_open_shells(symbols)
        cutoff_ev = self._cutoff_ev or max(map(cutoff_of, symbols))
        single_point = GPAWSinglePoints(
            atoms,
            directory / LOG,
            cutoff_ev=cutoff_ev,
            k_density=self._k_density,
            xc=self._xc,
            smearing_ev=self._smearing_ev,
            energy_tolerance_ev=self._energy_tolerance_ev,
            force_tolerance_ev_per_angstrom=self._force_tolerance_ev_per_angstrom,
            max_iterations=self._max_iterations,
        )
        return FixedPlaneWaves(atoms, directory, cutoff_ev=cutoff_ev, single_point=single_point)

    def versions(self) -> dict[str, str]:
        """GPAW and its data sets; `unknown` where they did not come as the Python package gpaw-data."""
        try:
            data_sets = importlib.metadata.version("gpaw-data")
        except importlib.metadata.PackageNotFoundError:
            data_sets = "unknown"
        return {"gpaw": importlib.metadata.version("gpaw"), "gpaw-data": data_sets}


def cutoff_of(symbol: str) -> float:
    """The plane-wave cutoff in eV that this element's PAW data set needs (see `CUTOFF_EV`)."""
    for cutoff, symbols in CUTOFF_EV.items():
        if symbol in symbols.split():
            return float(cutoff)
    return float(DEFAULT_CUTOFF_EV)

"""Engine `espresso`: density functional theory with `pw.x` of Quantum ESPRESSO."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import tempfile
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from discover.calculations.base import CalculationWarning
from discover.calculations.engines.open_shells import warn_of_open_shells
from discover.calculations.engines.paths import AbsolutePath
from discover.calculations.engines.programs import check_command
from discover.calculations.engines.upf import Pseudopotential, PseudopotentialFolder
from discover.errors import CalculationError, MissingDependencyError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

PSEUDO_VARIABLE = "ESPRESSO_PSEUDO"
PW = "pw.x"

DEFAULT_ECUTWFC_RY = {True: 90.0, False: 50.0}
"""Cutoff of the waves in Ry by whether the norm is conserved, where no file suggests one."""

DUAL = {True: 4.0, False: 8.0}
"""Least cutoff of the density over that of the waves: exact for norm-conserving pseudopotentials;
the augmentation charges of the others need more."""

_KEY = "engine_settings.pseudo_dir"


class EspressoEngine:
    """Density functional theory with Quantum ESPRESSO in plane waves: non-magnetic.

    `command` is what runs `pw.x`, with its launcher and flags, such as `mpirun -np 8 pw.x -nk 2`.
    Pseudopotentials are the UPF files of the functional `xc` in `pseudo_dir` (else in the folder that
    the environment variable ESPRESSO_PSEUDO names): the one file for an element, or the one that
    `pseudopotentials` names for it. `ecutwfc_ry` and `ecutrho_ry` None take what the files suggest.
    As with `gpaw` the plane waves are the same at every volume, and what that does to the energy is
    corrected for (`discover.calculations.engines.plane_waves`), and `k_density` is in k-points per
    Å⁻¹ of reciprocal lattice vector (2π included). Energies are free energies of the smeared
    electrons, whose derivatives forces and stress are.
    """

    name = "espresso"
    first_principles = True

    def __init__(
        self,
        *,
        command: str = PW,
        pseudo_dir: AbsolutePath | None = None,
        pseudopotentials: dict[str, str] | None = None,
        xc: str = "PBE",
        ecutwfc_ry: Annotated[float, Field(ge=5, le=500)] | None = None,
        ecutrho_ry: Annotated[float, Field(ge=20, le=5000)] | None = None,
        k_density: Annotated[float, Field(gt=0, le=10)] = 1.5,
        smearing: Literal[
            "gaussian", "marzari-vanderbilt", "methfessel-paxton", "fermi-dirac"
        ] = "fermi-dirac",
        smearing_ev: Annotated[float, Field(gt=0, le=1)] = 0.05,
        conv_thr_ry: Annotated[float, Field(gt=0, le=1e-4)] = 1e-9,
        mixing_beta: Annotated[float, Field(gt=0, le=1)] = 0.7,
        mixing_mode: Literal["plain", "TF", "local-TF"] = "plain",
        max_iterations: Annotated[int, Field(ge=2)] = 60,
    ) -> None:
        self._command = command
        self._pseudo_dir = pseudo_dir
        self._chosen = pseudopotentials or {}
        self._xc = xc
        self._ecutwfc_ry = ecutwfc_ry
        self._ecutrho_ry = ecutrho_ry
        self._k_density = k_density
        self._smearing = smearing
        self._smearing_ev = smearing_ev
        self._conv_thr_ry = conv_thr_ry
        self._mixing_beta = mixing_beta
        self._mixing_mode = mixing_mode
        self._max_iterations = max_iterations
        self._used: dict[str, Pseudopotential] = {}

    def check(self) -> None:
        """MissingDependencyError or CalculationError, with the key, for what is not here.

        `pw.x` or its launcher, the folder of pseudopotentials, a file that was chosen, or any
        pseudopotential for `xc`.
        """
        check_command(
            self._command,
            PW,
            "install Quantum ESPRESSO (on Debian: apt install quantum-espresso), load its module, or "
            "give the full path",
        )
        if not self.elements():
            raise MissingDependencyError(
                f"{_KEY}: no element has exactly one {self._xc} pseudopotential in {self._folder}: "
                "put UPF files there, or name them in engine_settings.pseudopotentials"
            )

    def elements(self) -> frozenset[str]:
        """Chemical symbols with one pseudopotential for `xc`."""
        return self._pseudopotentials.elements()

    def why_not(self, element: str) -> str:
        """Why an element cannot be computed, and which key to change."""
        return self._pseudopotentials.why_not(element)

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:
        """A calculator for these atoms, displaced and strained moderately; it runs in `espresso/`."""
        from ase.units import Ry

        from discover.calculations.engines.plane_waves import FixedPlaneWaves, k_point_mesh
        from discover.calculations.engines.pw import Electrons, PWSinglePoints

        symbols = sorted(set(atoms.get_chemical_symbols()))
        files = {symbol: self._pseudopotentials.of(symbol) for symbol in symbols}
        warn_of_open_shells(symbols)
        self._used |= files
        ecutwfc_ry, dual = self._cutoffs(files)
        single_point = PWSinglePoints(
            directory,
            command=self._command,
            pseudo_dir=self._folder,
            pseudopotentials=files,
            mesh=k_point_mesh(atoms, self._k_density),
            dual=dual,
            smearing=self._smearing,
            smearing_ev=self._smearing_ev,
            conv_thr_ry=self._conv_thr_ry,
            electrons=Electrons(self._mixing_beta, self._mixing_mode, self._max_iterations),
        )
        return FixedPlaneWaves(
            atoms, directory, cutoff_ev=ecutwfc_ry * Ry, single_point=single_point
        )

    def versions(self) -> dict[str, str]:
        """Quantum ESPRESSO's own, and file and digest of every pseudopotential used so far."""
        files = {
            f"pseudopotential-{symbol}": f"{file.path.name} {_digest(file.path)}"
            for symbol, file in self._used.items()
        }
        return {"quantum-espresso": self._version, **files}

    def _cutoffs(self, files: dict[str, Pseudopotential]) -> tuple[float, float]:
        """The cutoff of the waves in Ry, and that of the density over it."""
        silent = sorted(symbol for symbol, file in files.items() if file.ecutwfc_ry is None)
        if silent and self._ecutwfc_ry is None:
            warnings.warn(
                f"the pseudopotentials of {', '.join(silent)} suggest no cutoff: taken as "
                f"{DEFAULT_ECUTWFC_RY[True]:g} Ry if norm-conserving, else "
                f"{DEFAULT_ECUTWFC_RY[False]:g} Ry; set ecutwfc_ry",
                CalculationWarning,
                stacklevel=3,
            )
        ecutwfc = self._ecutwfc_ry or max(
            file.ecutwfc_ry or DEFAULT_ECUTWFC_RY[file.norm_conserving] for file in files.values()
        )
        if self._ecutrho_ry is not None and self._ecutrho_ry < 4 * ecutwfc:
            raise CalculationError(
                f"engine_settings.ecutrho_ry: {self._ecutrho_ry:g} Ry is less than four "
                f"times the cutoff of the waves ({ecutwfc:g} Ry), which the density needs"
            )
        ecutrho = self._ecutrho_ry or max(
            max(file.ecutrho_ry or 0, DUAL[file.norm_conserving] * ecutwfc)
            for file in files.values()
        )
        return ecutwfc, ecutrho / ecutwfc

    @property
    def _folder(self) -> Path:
        named = self._pseudo_dir or os.environ.get(PSEUDO_VARIABLE)
        if not named:
            raise MissingDependencyError(
                f"{_KEY}: name the folder of the UPF pseudopotentials there, or in the environment "
                f"variable {PSEUDO_VARIABLE} (Debian's quantum-espresso-data has some in "
                "/usr/share/espresso/pseudo)"
            )
        folder = Path(named).expanduser()
        if not folder.is_dir():
            source = _KEY if self._pseudo_dir else f"{_KEY} (from {PSEUDO_VARIABLE})"
            raise MissingDependencyError(f"{source}: there is no folder {folder}")
        return folder.resolve()

    @cached_property
    def _pseudopotentials(self) -> PseudopotentialFolder:
        return PseudopotentialFolder(self._folder, self._xc, self._chosen)

    @cached_property
    def _version(self) -> str:
        """As `pw.x` prints it before it finds that there is no input; `unknown` if it does not."""
        try:
            with tempfile.TemporaryDirectory() as folder:  # it leaves files where it runs
                ran = subprocess.run(
                    shlex.split(self._command),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    timeout=60,
                )
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        printed = re.search(r"Program PWSCF\s+v\.\s*(\S+)", ran.stdout)
        return printed[1] if printed else "unknown"


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"

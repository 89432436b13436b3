"""Energy, forces and stress from Quantum ESPRESSO's `pw.x`, one structure at a time."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.espresso import EspressoProfile, EspressoTemplate
from ase.units import Ry

from discover.calculations.engines.convergence import UnconvergedError, with_one_retry
from discover.calculations.engines.output import last_lines
from discover.calculations.engines.plane_waves import KPointMesh, SinglePoint
from discover.errors import CalculationError

if TYPE_CHECKING:
    from ase import Atoms

    from discover.calculations.engines.upf import Pseudopotential

FOLDER = "espresso"

_ERROR = re.compile(r"%{10,}\n\s*(Error in routine.*?)\n\s*%{10,}", re.DOTALL)
_DONE = "JOB DONE"
_UNCONVERGED = "convergence NOT achieved"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Electrons:
    """How charge densities are mixed, and for how many iterations at most."""

    mixing_beta: float
    mixing_mode: str
    max_iterations: int

    @property
    def safer(self) -> Electrons:
        """A third of the mixing and three times the iterations.

        The mode stays: for bulk silicon local-TF took twice as many, and another number each time.
        """
        return Electrons(self.mixing_beta / 3, self.mixing_mode, 3 * self.max_iterations)

    def __str__(self) -> str:
        return (
            f"mixing_beta {self.mixing_beta:.2g}, {self.mixing_mode} mixing, "
            f"{self.max_iterations} iterations"
        )


class PWSinglePoints:
    """Runs `pw.x` in `directory`/espresso, where its input and output stay until the next run.

    Every single point starts from scratch. (The density of the last displaced supercell as a start
    took as many iterations.)
    """

    def __init__(
        self,
        directory: Path,
        *,
        command: str,
        pseudo_dir: Path,
        pseudopotentials: Mapping[str, Pseudopotential],
        mesh: KPointMesh,
        dual: float,
        smearing: str,
        smearing_ev: float,
        conv_thr_ry: float,
        electrons: Electrons,
    ) -> None:
        self._folder = directory / FOLDER
        self._profile = EspressoProfile(command, pseudo_dir)
        self._files = {
            symbol: str(file.path.relative_to(pseudo_dir))
            for symbol, file in pseudopotentials.items()
        }
        self._mesh = mesh
        self._dual = dual
        self._smearing = smearing
        self._smearing_ev = smearing_ev
        self._conv_thr_ry = conv_thr_ry
        self._electrons = electrons

    def __call__(self, atoms: Atoms, cutoff_ev: float) -> SinglePoint:
        """CalculationError where `pw.x` fails, or does not converge with safer settings either."""
        return with_one_retry(
            lambda electrons: self._run(atoms, cutoff_ev, electrons),
            self._electrons,
            self._electrons.safer,
            advice=f"raise smearing_ev or max_iterations ({self._folder} has the output); a magnetic "
            "material may be out of reach here",
        )

    def _run(self, atoms: Atoms, cutoff_ev: float, electrons: Electrons) -> SinglePoint:
        template = EspressoTemplate()
        self._folder.mkdir(parents=True, exist_ok=True)
        parameters = {
            "input_data": self._input(cutoff_ev / Ry, electrons),
            "pseudopotentials": self._files,
            "kpts": self._mesh.size,
            "koffset": (0, 0, 0) if self._mesh.around_gamma else (1, 1, 1),
        }
        template.write_input(self._profile, self._folder, atoms, parameters, ["energy"])
        try:
            template.execute(self._folder, self._profile)
            exit_code = 0
        except subprocess.CalledProcessError as error:
            exit_code = error.returncode
        except OSError as error:
            raise CalculationError(f"{self._profile.command!r} cannot be run: {error}") from error
        output = self._folder / template.outputname
        text = output.read_text(encoding="utf-8", errors="replace")
        if _UNCONVERGED in text:
            raise UnconvergedError(
                "the self-consistent field did not converge in "
                f"{electrons.max_iterations} iterations"
            )
        if exit_code or _DONE not in text:
            stated = _ERROR.search(text)
            reason = (
                " ".join(stated[1].split())
                if stated
                else last_lines(
                    text, (self._folder / template.errorname).read_text(errors="replace")
                )
            )
            raise CalculationError(f"pw.x failed with exit code {exit_code}: {reason} ({output})")
        return self._read(template, len(atoms), output, text)

    def _read(self, template: EspressoTemplate, n: int, output: Path, text: str) -> SinglePoint:
        try:
            results = template.read_results(self._folder)
            point = SinglePoint(float(results["energy"]), results["forces"], results["stress"])
        except Exception as error:  # ASE's parser fails in many ways on what it does not know
            raise CalculationError(
                f"the output of pw.x cannot be understood ({error!r}): {last_lines(text)} ({output})"
            ) from error
        finite = all(np.isfinite(x).all() for x in (point.energy_ev, point.forces, point.stress))
        if not finite or point.forces.shape != (n, 3):
            raise CalculationError(
                f"pw.x printed energy, forces or stress that are no finite numbers for {n} atoms "
                f"({output}): the structure may be beyond what it can compute"
            )
        return point

    def _input(self, ecutwfc_ry: float, electrons: Electrons) -> dict[str, dict[str, Any]]:
        return {
            "control": {
                "calculation": "scf",
                "tprnfor": True,
                "tstress": True,
                "outdir": "./scratch",
                "disk_io": "none",
            },
            "system": {
                "ecutwfc": ecutwfc_ry,
                "ecutrho": self._dual * ecutwfc_ry,
                "occupations": "smearing",
                "smearing": self._smearing,
                "degauss": self._smearing_ev / Ry,
            },
            "electrons": {
                "conv_thr": self._conv_thr_ry,
                "electron_maxstep": electrons.max_iterations,
                "mixing_beta": electrons.mixing_beta,
                "mixing_mode": electrons.mixing_mode,
            },
        }

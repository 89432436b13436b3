"""Energy, forces and stress from GPAW, one structure at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from discover.calculations.engines.convergence import UnconvergedError, with_one_retry
from discover.calculations.engines.plane_waves import HIGHEST_CUTOFF, SinglePoint, k_point_mesh

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class _Mixing:
    """How densities are mixed, and for how many iterations at most."""

    beta: float
    weight: float
    max_iterations: int

    def __str__(self) -> str:
        return f"mixing {self.beta:g} (weight {self.weight:g}) and {self.max_iterations} iterations"


class GPAWSinglePoints:
    """GPAW's energy, forces and stress of atoms like the reference, at any cutoff.

    Bold density mixing halves the time of the usual one in cells of a few atoms, with energies equal
    to 1e-6 eV; where it does not converge, cautious mixing is tried once.

    Every single point starts from scratch, so that an answer does not depend on what was computed
    before it. (Density and waves of the last displaced supercell as a start save 2 to 20 % of the time
    at the same accuracy of the forces: not enough for it.)
    """

    def __init__(
        self,
        reference: Atoms,
        log: Path,
        *,
        cutoff_ev: float,
        k_density: float,
        xc: str,
        smearing_ev: float,
        energy_tolerance_ev: float,
        force_tolerance_ev_per_angstrom: float,
        max_iterations: int,
    ) -> None:
        self._reference = reference.copy()
        self._log = log
        self._highest_cutoff_ev = cutoff_ev * HIGHEST_CUTOFF
        mesh = k_point_mesh(self._reference, k_density)
        self._kpts = {"size": mesh.size, "gamma": mesh.around_gamma}
        self._xc = xc
        self._smearing_ev = smearing_ev
        self._energy_tolerance_ev = energy_tolerance_ev
        self._force_tolerance_ev_per_angstrom = force_tolerance_ev_per_angstrom
        self._usual = _Mixing(beta=0.5, weight=1, max_iterations=max_iterations)
        self._safer = _Mixing(beta=0.02, weight=100, max_iterations=3 * max_iterations)

    def __call__(self, atoms: Atoms, cutoff_ev: float) -> SinglePoint:
        """CalculationError where cautious mixing does not converge either."""
        return with_one_retry(
            lambda mixing: self._compute(atoms.copy(), cutoff_ev, mixing),
            self._usual,
            self._safer,
            advice=f"raise smearing_ev or max_iterations ({self._log} has the iterations); "
            "a magnetic material may be out of reach here",
        )

    def _compute(self, atoms: Atoms, cutoff_ev: float, mixing: _Mixing) -> SinglePoint:
        from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError, Mixer

        with self._log.open("a", encoding="utf-8") as log:
            atoms.calc = GPAW(
                mode=PW(cutoff_ev),
                gpts=self._grid,
                kpts=self._kpts,
                xc=self._xc,
                occupations=FermiDirac(self._smearing_ev),
                convergence={
                    "energy": self._energy_tolerance_ev,
                    "forces": self._force_tolerance_ev_per_angstrom,
                    "density": 1e-3,
                    "eigenstates": 1e-6,
                },
                mixer=Mixer(mixing.beta, 5, mixing.weight),
                maxiter=mixing.max_iterations,
                txt=log,
            )
            try:
                energy = float(atoms.get_potential_energy())
            except KohnShamConvergenceError:
                raise UnconvergedError(
                    "the self-consistent field did not converge in "
                    f"{mixing.max_iterations} iterations"
                ) from None
            return SinglePoint(energy, atoms.get_forces(), atoms.get_stress())

    @cached_property
    def _grid(self) -> tuple[int, ...]:
        """One density grid for every volume and cutoff: the one that the highest cutoff needs."""
        from gpaw import GPAW, PW

        probe = GPAW(mode=PW(self._highest_cutoff_ev), xc=self._xc, kpts=self._kpts, txt=None)
        probe.initialize(self._reference)
        return tuple(int(n) for n in probe.density.gd.N_c)

"""Lattice thermal conductivity from phonon-phonon scattering, by phono3py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from phono3py import Phono3py

Solution = Literal["rta", "lbte"]

_WIGNER = "SMM19"
"""phono3py's name for the unified theory of M. Simoncelli, N. Marzari and F. Mauri, Nat. Phys. 15, 809
(2019)."""

_DEGENERATE_THZ = 1e-4
"""Modes closer than this share their transport: pairs of them count as particle-like, so that the two
parts do not depend on the choice of eigenvectors (as in phono3py 3 and in the reference data of Póta
et al., arXiv:2408.00755)."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Conductivity:
    """Conductivity tensors in W/m/K, and what each mode of the irreducible q-points adds.

    Shapes: T temperatures, Q irreducible q-points, B bands. `kappa_total`, `kappa_particle` and
    `kappa_coherence` (T, 3, 3) are the Wigner conductivity and its parts. `mode_particle` and
    `mode_coherence` (T, Q, B) are averages over the directions with the multiplicity of q in them:
    summed over modes and divided by the sum of `weights` (Q,) they give a third of the trace. A
    coherence of two modes is shared between them as their heat capacities are. `frequencies_thz`
    (Q, B), `linewidths_thz` (T, Q, B) half widths at half maximum with isotope scattering in them,
    `group_velocities` (Q, B, 3) in THz Å, `qpoints` (Q, 3) in fractional coordinates.
    """

    temperatures_k: NDArray[np.float64]
    mesh: tuple[int, int, int]
    kappa_total: NDArray[np.float64]
    kappa_particle: NDArray[np.float64]
    kappa_coherence: NDArray[np.float64]
    mode_particle: NDArray[np.float64]
    mode_coherence: NDArray[np.float64]
    frequencies_thz: NDArray[np.float64]
    linewidths_thz: NDArray[np.float64]
    group_velocities: NDArray[np.float64]
    qpoints: NDArray[np.float64]
    weights: NDArray[np.int64]

    @property
    def mode_total(self) -> NDArray[np.float64]:
        """Both parts of each mode, shape (T, Q, B)."""
        return self.mode_particle + self.mode_coherence

    def average(self, temperature: int = 0) -> float:
        """A third of the trace of the total at this temperature (index), in W/m/K."""
        return float(np.trace(self.kappa_total[temperature]) / 3)

    def mean_free_paths_angstrom(self, temperature: int = 0) -> NDArray[np.float64]:
        """|v| τ with τ = 1/(4πΓ), shape (Q, B); 0 where a mode has no linewidth."""
        speed = np.linalg.norm(self.group_velocities, axis=2)
        width = 4 * np.pi * self.linewidths_thz[temperature]
        return np.asarray(np.divide(speed, width, out=np.zeros_like(speed), where=width > 0))


def conductivity(
    ph3: Phono3py,
    mesh: Sequence[int],
    temperatures_k: Sequence[float],
    *,
    solution: Solution = "rta",
    isotopes: bool = True,
) -> Conductivity:
    """The Wigner conductivity of a Phono3py that has its force constants, on a Γ-centred mesh.

    The particle-like part in the relaxation-time approximation or, by `lbte`, from the direct
    solution of the linearized Boltzmann equation (L. Chaput, Phys. Rev. Lett. 110, 265506 (2013));
    coherences from the linewidths in both cases. Integration by linear tetrahedra; scattering by the
    natural mixture of isotopes after S. Tamura, Phys. Rev. B 27, 858 (1983).
    """
    ph3.mesh_numbers = list(mesh)
    # Without these κ hangs on how rounding turns the eigenvectors of degenerate modes: 2 % and more.
    ph3.init_phph_interaction(average_degenerate_weights=True, exclude_gamma_acoustic=True)
    ph3.run_thermal_conductivity(
        is_LBTE=solution == "lbte",
        temperatures=list(temperatures_k),
        is_isotope=isotopes,
        transport_type=_WIGNER,
        log_level=0,
    )
    return _collect(ph3.thermal_conductivity, solution)


def irreducible_points(ph3: Phono3py, mesh: Sequence[int]) -> int:
    """Number of irreducible q-points of a mesh."""
    return len(irreducible_qpoints(ph3, mesh)[1])


def irreducible_qpoints(
    ph3: Phono3py, mesh: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Irreducible q-points (Q, 3) of a Γ-centred mesh, in fractional coordinates, and multiplicities.

    The ones on which `conductivity` tells what each mode adds, in its order.
    """
    from phonopy.phonon.grid import get_ir_grid_points, get_qpoints_from_bz_grid_points

    ph3.mesh_numbers = list(mesh)
    points, weights, _ = get_ir_grid_points(ph3.grid)
    qpoints = get_qpoints_from_bz_grid_points(ph3.grid.grg2bzg[points], ph3.grid)
    return np.asarray(qpoints), np.asarray(weights)


def _collect(result: Any, solution: Solution) -> Conductivity:
    weights = np.asarray(result.grid_weights)
    points = int(weights.sum())
    pairs = np.asarray(result.mode_kappa_matrix[0])  # T, Q, B, B, 6
    frequencies = np.asarray(result.frequencies)
    degenerate = np.abs(frequencies[:, :, None] - frequencies[:, None, :]) < _DEGENERATE_THZ
    alone = pairs * degenerate[None, :, :, :, None]
    between = pairs - alone
    particle = alone.sum(axis=3)
    if solution == "lbte":
        diagonal = np.einsum("tqbbv->tqbv", pairs)
        particle = particle - diagonal + np.asarray(result.mode_kappa[0])
    coherence = (2 * _share(np.asarray(result.mode_heat_capacities)) * between).sum(axis=3)
    gamma = np.asarray(result.gamma[0])
    if result.gamma_isotope is not None:
        gamma = gamma + np.asarray(result.gamma_isotope[0])[None]
    kappa_particle = _tensors(particle.sum(axis=(1, 2)) / points)
    kappa_coherence = _tensors(coherence.sum(axis=(1, 2)) / points)
    one, two, three = (int(n) for n in result.mesh_numbers)
    return Conductivity(
        temperatures_k=np.asarray(result.temperatures),
        mesh=(one, two, three),
        kappa_total=kappa_particle + kappa_coherence,
        kappa_particle=kappa_particle,
        kappa_coherence=kappa_coherence,
        mode_particle=particle[..., :3].mean(axis=-1),
        mode_coherence=coherence[..., :3].mean(axis=-1),
        frequencies_thz=frequencies,
        linewidths_thz=gamma,
        group_velocities=np.asarray(result.group_velocities),
        qpoints=np.asarray(result.qpoints),
        weights=weights,
    )


def _share(heat_capacities: NDArray[np.float64]) -> NDArray[np.float64]:
    """C_s/(C_s + C_s') of each pair of modes, shape (T, Q, B, B, 1).

    M. Simoncelli, N. Marzari and F. Mauri, Phys. Rev. X 12, 041011 (2022).
    """
    own, other = heat_capacities[..., :, None], heat_capacities[..., None, :]
    total = own + other
    return np.divide(own, total, out=np.full_like(total, 0.5), where=total > 0)[..., None]


def _tensors(voigt: NDArray[np.float64]) -> NDArray[np.float64]:
    tensors = np.zeros((len(voigt), 3, 3))
    for component, (i, j) in enumerate(_VOIGT):
        tensors[:, i, j] = tensors[:, j, i] = voigt[:, component]
    return tensors

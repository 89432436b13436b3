"""What a phonon calculation shows beside one number: dispersion, DOS, Grüneisen parameters, spectra."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.calculations.lattice.conductivity import irreducible_qpoints
from discover.calculations.lattice.stability import harmonic
from discover.records import Record

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from phono3py import Phono3py

    from discover.calculations.lattice.conductivity import Conductivity

_POINTS_PER_INVERSE_ANGSTROM = 150
_FREQUENCY_POINTS = 201
_PATH_POINTS = 121
_SMEARING = 0.015
"""Width of the spectral conductivity's Gaussians, in parts of the frequency range."""


class BandSegment(Record):
    """Frequencies along a straight line between two special points of the Brillouin zone."""

    start: str
    end: str
    distances: tuple[float, ...]
    """From the start of the whole path, in 1/Å without 2π, one for each q-point."""
    frequencies_thz: tuple[tuple[float, ...], ...]
    """One row for each band; negative stands for imaginary."""


class Curve(Record):
    """y against x, equally many of both."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Transport(Record):
    """How the conductivity, a third of the trace, is made up at one temperature."""

    temperature_k: float
    kappa_w_mk: float
    spectral: Curve
    """dκ/dν in W/m/K/THz against THz; its integral is κ."""
    cumulative: Curve
    """κ in W/m/K of the modes up to a frequency in THz."""
    cumulative_by_mean_free_path: Curve
    """Particle-like κ in W/m/K of the modes up to a mean free path in Å."""


class Gruneisen(Record):
    """Mode Grüneisen parameters γ = -V/ω dω/dV, one for each mode."""

    frequencies_thz: tuple[float, ...]
    values: tuple[float, ...]
    weights: tuple[int, ...]
    """Multiplicity of each mode's q-point."""


class PhononSpectra(Record):
    """`phonons.json`: what a report draws of a phonon calculation; frequencies in THz.

    A dynamically unstable crystal has neither `gruneisen` nor `transport`.
    """

    formula: str
    bands: tuple[BandSegment, ...]
    density_of_states: Curve
    """States per THz and primitive cell; its integral is three times the number of atoms."""
    gruneisen: Gruneisen | None = None
    transport: tuple[Transport, ...] = ()


def band_structure(ph3: Phono3py) -> tuple[BandSegment, ...]:
    """Frequencies along ASE's path for the Bravais lattice of the primitive cell."""
    from ase.cell import Cell
    from ase.dft.kpoints import parse_path_string

    cell = Cell(ph3.primitive.cell)
    path = cell.bandpath(npoints=0)
    names = [
        (one, two)
        for chain in parse_path_string(path.path)
        for one, two in itertools.pairwise(chain)
    ]
    lines = []
    for one, two in names:
        ends = path.special_points[one], path.special_points[two]
        length = float(np.linalg.norm((ends[1] - ends[0]) @ cell.reciprocal()))
        count = max(2, round(length * _POINTS_PER_INVERSE_ANGSTROM))
        lines.append((np.linspace(*ends, count), np.linspace(0.0, length, count)))
    phonons = harmonic(ph3)
    phonons.run_band_structure([qpoints for qpoints, _ in lines])
    segments, origin = [], 0.0
    for (one, two), (_, along), frequencies in zip(
        names, lines, phonons.band_structure.frequencies, strict=True
    ):
        segments.append(
            BandSegment(
                start=one,
                end=two,
                distances=_floats(origin + along),
                frequencies_thz=tuple(_floats(band) for band in np.asarray(frequencies).T),
            )
        )
        origin += float(along[-1])
    return tuple(segments)


def density_of_states(ph3: Phono3py, mesh: Sequence[int]) -> Curve:
    """Phonon density of states by linear tetrahedra."""
    phonons = harmonic(ph3)
    phonons.run_mesh(list(mesh), is_gamma_center=True)
    frequencies = phonons.mesh.frequencies
    margin = 0.02 * (frequencies.max() - frequencies.min())
    low, high = float(frequencies.min() - margin), float(frequencies.max() + margin)
    pitch = (high - low) / (_FREQUENCY_POINTS - 1)
    phonons.run_total_dos(freq_min=low, freq_max=high, freq_pitch=pitch)
    return Curve(x=_floats(phonons.total_dos.frequency_points), y=_floats(phonons.total_dos.dos))


def gruneisen_parameters(ph3: Phono3py, mesh: Sequence[int]) -> Gruneisen:
    """Mode Grüneisen parameters on the irreducible q-points of a mesh, Γ left out.

    From the force constants, with the internal relaxation of atoms: D. A. Broido, A. Ward and
    N. Mingo, Phys. Rev. B 72, 014308 (2005); phono3py's implementation.
    """
    from phono3py.phonon3.gruneisen import Gruneisen as Modes

    qpoints, weights = irreducible_qpoints(ph3, mesh)
    keep = np.linalg.norm(qpoints, axis=1) > 1e-8
    modes = Modes(ph3.fc2, ph3.fc3, ph3.supercell, ph3.primitive, nac_params=ph3.nac_params)
    modes.set_qpoints(np.ascontiguousarray(qpoints[keep]))
    modes.run()
    values = np.trace(np.asarray(modes.gruneisen_parameters), axis1=2, axis2=3) / 3
    repeated = np.repeat(weights[keep], values.shape[1])
    return Gruneisen(
        frequencies_thz=_floats(np.asarray(modes.frequencies).ravel()),
        values=_floats(values.ravel()),
        weights=tuple(int(weight) for weight in repeated),
    )


def transport(result: Conductivity, temperature: int = 0) -> Transport:
    """Spectral and cumulative conductivity at one of the temperatures (index)."""
    points = result.weights.sum()
    frequencies = result.frequencies_thz.ravel()
    total = result.mode_total[temperature].ravel() / points
    particle = result.mode_particle[temperature].ravel() / points
    paths = result.mean_free_paths_angstrom(temperature).ravel()
    grid = np.linspace(0.0, 1.05 * frequencies.max(), _FREQUENCY_POINTS)
    travelled = np.geomspace(
        max(1.0, paths[paths > 0].min(initial=1.0)), 1.01 * max(10.0, paths.max()), _PATH_POINTS
    )
    return Transport(
        temperature_k=float(result.temperatures_k[temperature]),
        kappa_w_mk=result.average(temperature),
        spectral=Curve(x=_floats(grid), y=_floats(_smeared(grid, frequencies, total))),
        cumulative=Curve(x=_floats(grid), y=_floats(_up_to(grid, frequencies, total))),
        cumulative_by_mean_free_path=Curve(
            x=_floats(travelled), y=_floats(_up_to(travelled, paths, particle))
        ),
    )


def _smeared(
    grid: NDArray[np.float64], at: NDArray[np.float64], amounts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gaussians about `at`, each normalized on the grid so that the trapezoidal integral is kept."""
    width = _SMEARING * grid[-1]
    kernel = np.exp(-(((grid[:, None] - at[None, :]) / width) ** 2) / 2)
    kernel /= np.trapezoid(kernel, grid, axis=0)
    return np.asarray(kernel @ amounts)


def _up_to(
    grid: NDArray[np.float64], at: NDArray[np.float64], amounts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of the amounts at or below each grid point."""
    order = np.argsort(at, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(amounts[order])])
    return np.asarray(sums[np.searchsorted(at[order], grid, side="right")])


def _floats(values: ArrayLike) -> tuple[float, ...]:
    """Plain numbers of six digits, which is what a picture can show."""
    return tuple(float(f"{value:.6g}") for value in np.asarray(values, dtype=float))

"""Diffusion from trajectories: mean square displacements, and conductivities that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOP_ANGSTROM = 2.5
"""A typical distance between sites of a mobile ion."""

MIN_HOPS = 5.0
"""Fewer effective hops in a whole trajectory are no diffusion that could be told from chance."""

CM2_PER_S = 1e-4
"""1 Å²/ps in cm²/s."""

_FIT = (0.1, 0.5)
_VIBRATIONS_PS = 0.3
"""Lags over which displacements grow by vibration, until it has lost its phase."""
_CONFIDENT = 3.0
_ELEMENTARY_CHARGE_C = 1.602176634e-19
_BOLTZMANN_J = 1.380649e-23


@dataclass(frozen=True)
class Diffusion:
    """A diffusion coefficient in cm²/s with its standard error.

    `hops` is the number of effective hops of all ions together; where they are fewer than `MIN_HOPS`, or
    the coefficient is within two errors of zero, `resolved` is false and only `upper` says something.
    """

    coefficient: float
    error: float
    hops: float
    upper: float
    resolved: bool


def mean_square_displacement(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over particles and time origins, in Å², for each lag: positions (frames, particles, 3).

    Positions must not jump at cell borders. By fast Fourier transforms: V. Calandrini et al., École
    thématique de la Société Française de la Neutronique 12, 201 (2011).
    """
    frames = len(positions)
    flat = positions.reshape(frames, -1) - positions.reshape(frames, -1)[0]
    square = np.square(flat).sum(axis=1)
    spectrum = np.fft.rfft(flat, 2 * frames, axis=0)
    product = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)[:frames].sum(axis=1)
    before, after = np.cumsum(square), np.cumsum(square[::-1])
    summed = np.array([after[frames - lag - 1] + before[frames - lag - 1] for lag in range(frames)])
    origins = frames - np.arange(frames)
    msd = (summed - 2 * product) / origins / positions.shape[1]
    msd[0] = 0.0
    return np.asarray(msd)


def diffusion(positions: NDArray[np.float64], interval_ps: float, blocks: int) -> Diffusion:
    """By Einstein's relation from positions in Å, (frames, ions, 3), a sample each `interval_ps`.

    The slope of the mean square displacement from a tenth to a half of each of `blocks` blocks in time,
    lags below 0.3 ps left out as far as a block is long enough (1.2 ps); mean and standard error are
    those of the blocks. The effective hops are the net displacements squared,
    averaged vibrations apart, over the square of `HOP_ANGSTROM`, after X. He et al., npj Comput. Mater.
    4, 18 (2018). The upper bound takes two errors, or three hops more (95 % of a Poisson distribution),
    whatever is larger. ValueError where a block has fewer than ten frames.
    """
    coefficients = _slopes(positions, interval_ps, blocks) / 6 * CM2_PER_S
    value = float(coefficients.mean())
    error = float(coefficients.std(ddof=1) / np.sqrt(blocks))
    hops = effective_hops(positions)
    seconds_ps = interval_ps * (len(positions) - 1)
    of_hops = (hops + _CONFIDENT) * HOP_ANGSTROM**2 / (6 * positions.shape[1] * seconds_ps)
    return Diffusion(
        coefficient=value,
        error=error,
        hops=hops,
        upper=max(value + 2 * error, of_hops * CM2_PER_S),
        resolved=hops >= MIN_HOPS and value > 2 * error,
    )


def effective_hops(positions: NDArray[np.float64]) -> float:
    """Of all ions: net squared displacements, between averages over the first and the last tenth."""
    tenth = max(1, len(positions) // 10)
    net = positions[-tenth:].mean(axis=0) - positions[:tenth].mean(axis=0)
    return float(np.square(net).sum()) / HOP_ANGSTROM**2


def nernst_einstein(
    coefficient: float, count: int, charge: float, volume_angstrom3: float, temperature_k: float
) -> float:
    """Conductivity in S/cm of `count` uncorrelated ions of `charge` e with D in cm²/s."""
    density = count / (volume_angstrom3 * 1e-24)  # 1/cm³
    charge_c = charge * _ELEMENTARY_CHARGE_C
    return density * charge_c**2 * coefficient / (_BOLTZMANN_J * temperature_k)


def collective_conductivity(
    positions: NDArray[np.float64],
    charges: NDArray[np.float64],
    interval_ps: float,
    blocks: int,
    volume_angstrom3: float,
    temperature_k: float,
) -> tuple[float, float]:
    """Conductivity in S/cm and its standard error, correlations between ions included.

    From the mean square displacement of the summed charges, Σ z r, as `diffusion` from that of ions.
    """
    moment = np.einsum("i,tik->tk", charges, positions)[:, None, :]
    slopes = _slopes(moment, interval_ps, blocks) / 6 * CM2_PER_S
    unit = nernst_einstein(1.0, 1, 1.0, volume_angstrom3, temperature_k)
    return float(slopes.mean() * unit), float(slopes.std(ddof=1) / np.sqrt(blocks) * unit)


def _slopes(positions: NDArray[np.float64], interval_ps: float, blocks: int) -> NDArray[np.float64]:
    """Of the mean square displacement in each block, in Å²/ps."""
    length = len(positions) // blocks
    if length < 10:
        raise ValueError(f"{len(positions)} frames in {blocks} blocks are fewer than ten each")
    first, last = max(1, int(_FIT[0] * length)), int(_FIT[1] * length)
    first = max(first, min(math.ceil(_VIBRATIONS_PS / interval_ps), last // 2))
    lags = np.arange(first, last + 1) * interval_ps
    return np.array(
        [
            np.polyfit(
                lags,
                mean_square_displacement(positions[k * length : (k + 1) * length])[
                    first : last + 1
                ],
                1,
            )[0]
            for k in range(blocks)
        ]
    )

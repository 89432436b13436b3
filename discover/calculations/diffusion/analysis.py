"""What a trajectory says of conduction at its temperature, and what several say of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from discover.calculations.diffusion.displacements import (
    Diffusion,
    collective_conductivity,
    diffusion,
    mean_square_displacement,
    nernst_einstein,
)
from discover.calculations.diffusion.statistics import Arrhenius, fit_arrhenius

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from discover.calculations.diffusion.cells import Cell
    from discover.calculations.diffusion.dynamics import Trajectory

Conductivity = Literal["nernst-einstein", "collective"]

_MOVED_ANGSTROM = 1.5
_DECADE = float(np.log(10))
_CURVE_POINTS = 100


@dataclass(frozen=True)
class Estimate:
    """A positive quantity with its standard error in decades, or, where `bound`, an upper bound."""

    value: float
    decades: float | None
    bound: bool = False


@dataclass(frozen=True)
class Conduction:
    """One temperature: the carriers' diffusion, and conductivities in S/cm, each with its error.

    `framework_angstrom` is by how far the atoms that carry nothing moved, root mean square; NaN where
    there are none that should stay. `curve` is the mean square displacement of the first carrier, Å²,
    over `lags_ps`.
    """

    temperature_k: float
    volume_angstrom3: float
    carriers: dict[str, Diffusion]
    nernst_einstein: tuple[float, float]
    upper: float
    collective: tuple[float, float]
    framework_angstrom: float
    lags_ps: tuple[float, ...]
    curve: tuple[float, ...]

    @property
    def first(self) -> Diffusion:
        """That of the mobile ion."""
        return next(iter(self.carriers.values()))

    @property
    def resolved(self) -> bool:
        """Whether every carrier diffused by more than chance."""
        return all(carrier.resolved for carrier in self.carriers.values())

    @property
    def melted(self) -> bool:
        """Whether the framework of a crystal moved away."""
        return self.framework_angstrom > _MOVED_ANGSTROM

    def conductivity(self, kind: Conductivity) -> tuple[float, float]:
        """In S/cm, and its standard error."""
        return self.collective if kind == "collective" else self.nernst_einstein

    def details(self) -> dict[str, Any]:
        """As JSON."""
        one, two = self.nernst_einstein, self.collective
        return {
            "temperature_k": self.temperature_k,
            "volume_angstrom3": self.volume_angstrom3,
            "resolved": self.resolved,
            "framework_angstrom": self.framework_angstrom
            if np.isfinite(self.framework_angstrom)
            else None,
            "carriers": {name: vars(found) for name, found in self.carriers.items()},
            "nernst_einstein_s_cm": {"value": one[0], "error": one[1], "upper": self.upper},
            "collective_s_cm": {"value": two[0], "error": two[1]},
            "haven_ratio": one[0] / two[0] if self.resolved and two[0] > 2 * two[1] else None,
        }


def conduction(
    trajectory: Trajectory,
    cell: Cell,
    *,
    temperature_k: float,
    interval_ps: float,
    blocks: int,
    solid: bool,
) -> Conduction:
    """Of a trajectory with a frame each `interval_ps`; ValueError where it is too short for `blocks`.

    Drift is removed: that of the atoms that carry nothing in a solid, else that of all.
    """
    masses = cell.atoms.get_masses()
    moving = np.concatenate([carrier.atoms.ravel() for carrier in cell.carriers])
    still = np.setdiff1d(np.arange(len(masses)), moving) if solid else np.empty(0, dtype=int)
    frame = still if len(still) else np.arange(len(masses))
    drift = np.average(trajectory.positions[:, frame], axis=1, weights=masses[frame])
    positions = trajectory.positions - drift[:, None]
    volume = float(trajectory.volume_angstrom3.mean())
    carriers, centres, charges = {}, [], []
    total, variance, upper = 0.0, 0.0, 0.0
    for carrier in cell.carriers:
        weights = masses[carrier.atoms[0]]
        centre = np.einsum("tnak,a->tnk", positions[:, carrier.atoms], weights / weights.sum())
        found = diffusion(centre, interval_ps, blocks)
        unit = nernst_einstein(1.0, len(carrier.atoms), carrier.charge, volume, temperature_k)
        total += unit * found.coefficient
        variance += (unit * found.error) ** 2
        upper += unit * found.upper
        carriers[carrier.name] = found
        centres.append(centre)
        charges += [carrier.charge] * len(carrier.atoms)
    curve = mean_square_displacement(centres[0])[: len(positions) // 2]
    shown = np.unique(np.linspace(0, len(curve) - 1, _CURVE_POINTS).astype(int))
    return Conduction(
        temperature_k=temperature_k,
        volume_angstrom3=volume,
        carriers=carriers,
        nernst_einstein=(total, float(np.sqrt(variance))),
        upper=upper,
        collective=collective_conductivity(
            np.concatenate(centres, axis=1),
            np.array(charges),
            interval_ps,
            blocks,
            volume,
            temperature_k,
        ),
        framework_angstrom=_net_displacement(positions[:, still]) if len(still) else float("nan"),
        lags_ps=tuple((shown * interval_ps).tolist()),
        curve=tuple(curve[shown].tolist()),
    )


def extrapolated(
    points: Sequence[Conduction], temperature_k: float, kind: Conductivity
) -> tuple[Estimate, Estimate, Arrhenius | None]:
    """Diffusion coefficient (cm²/s), conductivity (S/cm) and Arrhenius' law at this temperature.

    Directly where one of the points is at it, else by Arrhenius' law for D and for σT of the resolved
    points, two or more. With fewer, diffusion that grows with temperature leaves the least upper bound
    of the points above. ValueError where there is none of these.
    """
    resolved = [p for p in points if p.resolved and p.conductivity(kind)[0] > 0]
    law = scaled = None
    if len({p.temperature_k for p in resolved}) > 1:
        temperatures = [p.temperature_k for p in resolved]
        law = fit_arrhenius(
            temperatures,
            [p.first.coefficient for p in resolved],
            [p.first.error for p in resolved],
        )
        scaled = fit_arrhenius(
            temperatures,
            [p.conductivity(kind)[0] * p.temperature_k for p in resolved],
            [p.conductivity(kind)[1] * p.temperature_k for p in resolved],
        )
    for point in resolved:
        if abs(point.temperature_k - temperature_k) < 1e-6:
            sigma, error = point.conductivity(kind)
            first = point.first
            return (
                Estimate(first.coefficient, first.error / first.coefficient / _DECADE),
                Estimate(sigma, error / sigma / _DECADE),
                law,
            )
    if law is not None and scaled is not None:
        log_d, error_d = law.log_at(temperature_k)
        log_s, error_s = scaled.log_at(temperature_k)
        return (
            Estimate(float(np.exp(log_d)), error_d / _DECADE),
            Estimate(float(np.exp(log_s)) / temperature_k, error_s / _DECADE),
            law,
        )
    above = [p for p in points if p.temperature_k >= temperature_k - 1e-6]
    if not above:
        raise ValueError(
            f"nothing diffused below {temperature_k:g} K, which says nothing of {temperature_k:g} K"
        )
    return (
        Estimate(min(p.first.upper for p in above), None, bound=True),
        Estimate(min(p.upper * p.temperature_k for p in above) / temperature_k, None, bound=True),
        None,
    )


def _net_displacement(positions: NDArray[np.float64]) -> float:
    """Root mean square in Å, between averages over the first and the last tenth."""
    tenth = max(1, len(positions) // 10)
    net = positions[-tenth:].mean(axis=0) - positions[:tenth].mean(axis=0)
    return float(np.sqrt(np.square(net).sum(axis=1).mean()))

"""The held-out check: whether a fine-tuned potential takes the place of the one it came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from discover.potentials.learning.errors import Errors
from discover.records import Record

ByKind = Mapping[str, Errors]


class Comparison(Record):
    """Errors by kind of frame on one held-out set, before and after fine-tuning."""

    before: dict[str, Errors]
    after: dict[str, Errors]


class Tolerances(Record):
    """How much better a potential has to be, and what it may lose.

    On new data errors, as a whole, have to fall by the share `gain`; each may grow by the share
    `growth` and by its floor, below which differences are noise. On old data, which the potential
    labelled itself, whatever it says otherwise is a drift: that of the forces is a share of their
    root mean square beyond the floor.
    """

    gain: float = 0.05
    growth: float = 0.1
    energy_floor_ev_per_atom: float = 0.002
    forces_floor_ev_per_angstrom: float = 0.01
    stress_floor_gpa: float = 0.2
    energy_drift_ev_per_atom: float = 0.04
    forces_drift: float = 0.2
    stress_drift_gpa: float = 3.0


class Verdict(Record):
    """Whether the potential is adopted, and every reason why not."""

    adopted: bool
    reasons: tuple[str, ...] = ()


TOLERANCES = Tolerances()


def judge(
    new: Mapping[str, Comparison], old: Comparison | None, tolerances: Tolerances = TOLERANCES
) -> Verdict:
    """Adopted if better on new data as a whole, worse on no kind of them, and nothing old is forgotten.

    `new` are held-out sets of new labels by name, `old` a held-out part of the replay. As a whole is
    the geometric mean of the ratios of all errors, after to before, floors added to both.
    """
    reasons = [
        f"worse on {name}, {kind}: {what} from {before:.3g} to {after:.3g} {unit}"
        for name, comparison in new.items()
        for kind, what, unit, before, after, floor in _pairs(comparison, tolerances)
        if not after <= (1 + tolerances.growth) * before + floor
    ]
    ratios = [
        math.log((after + floor) / (before + floor))
        for comparison in new.values()
        for *_, before, after, floor in _pairs(comparison, tolerances)
    ]
    change = math.exp(math.fsum(ratios) / len(ratios)) if ratios else 1.0
    if not change <= 1 - tolerances.gain:
        reasons.append(
            f"no better on new data: errors are {change:.2f} times those before"
            f" (limit {1 - tolerances.gain:g})"
        )
    if old is not None:
        reasons += _drifts(old.after, tolerances)
    return Verdict(adopted=not reasons, reasons=tuple(reasons))


def _pairs(
    comparison: Comparison, tolerances: Tolerances
) -> Iterator[tuple[str, str, str, float, float, float]]:
    """Kind, quantity, unit, error before and after, and the floor of the quantity."""
    quantities = (
        ("energy", "eV/atom", "energy_mae_ev_per_atom", tolerances.energy_floor_ev_per_atom),
        ("forces", "eV/Å", "forces_rmse_ev_per_angstrom", tolerances.forces_floor_ev_per_angstrom),
        ("stress", "GPa", "stress_rmse_gpa", tolerances.stress_floor_gpa),
    )
    for kind, before in comparison.before.items():
        after = comparison.after[kind]
        for what, unit, field, floor in quantities:
            one, other = getattr(before, field), getattr(after, field)
            if one is not None and other is not None:
                yield kind, what, unit, one, other, floor


def _drifts(after: ByKind, tolerances: Tolerances) -> Iterator[str]:
    for kind, errors in after.items():
        limits = (
            (
                errors.energy_mae_ev_per_atom,
                tolerances.energy_drift_ev_per_atom,
                "energy",
                "eV/atom",
            ),
            (
                errors.forces_rmse_ev_per_angstrom,
                tolerances.forces_drift * errors.forces_rms_ev_per_angstrom
                + tolerances.forces_floor_ev_per_angstrom,
                "forces",
                "eV/Å",
            ),
            (errors.stress_rmse_gpa, tolerances.stress_drift_gpa, "stress", "GPa"),
        )
        for error, limit, what, unit in limits:
            if error is not None and not error <= limit:
                yield (
                    f"forgets: on old data, {kind}, the {what} moved by {error:.3g} {unit} "
                    f"(limit {limit:.3g})"
                )

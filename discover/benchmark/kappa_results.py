"""What a conductivity benchmark tells: a row for each compound, and their summary."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import FiniteFloat

from discover.benchmark import kappa_metrics as metrics
from discover.benchmark.kappa_compound import Measured, Settings
from discover.benchmark.kappa_data import Compound
from discover.records import Record


class Comparison(Record):
    """The same compound by full finite displacements, and what these cost."""

    kappa_w_mk: FiniteFloat | None
    reason: str | None
    force_calls: int
    seconds: FiniteFloat
    kappa_ratio: FiniteFloat | None
    """κ of the row over this one."""
    force_call_ratio: FiniteFloat | None
    """Force calls here over those of the row."""


class Row(Record):
    """One compound; conductivities in W/m/K, `reason` says why there is none.

    `sre` and `srme` are known where their references are, and 2 without a conductivity. `force_calls`
    are single points of supercells, `relaxation_calls` those of the primitive cell.
    """

    id: str
    formula: str
    prototype: str
    spacegroup: int
    kappa_w_mk: FiniteFloat | None
    reference_w_mk: FiniteFloat | None
    sre: FiniteFloat | None
    srme: FiniteFloat | None
    unstable: bool
    minimum_frequency_thz: FiniteFloat | None
    kappa_particle_w_mk: FiniteFloat | None
    kappa_coherence_w_mk: FiniteFloat | None
    kappa_tensor_w_mk: tuple[tuple[FiniteFloat, ...], ...] | None
    volume_ratio: FiniteFloat | None
    supercell_atoms: int | None
    second_order_supercell_atoms: int | None
    mesh: tuple[int, int, int] | None
    force_calls: int
    relaxation_calls: int
    force_seconds: FiniteFloat
    seconds: FiniteFloat
    reason: str | None
    finite_displacements: Comparison | None = None


class Summary(Record):
    """Over all rows; None where nothing is known.

    The means count 2 for a compound without a conductivity, as Póta et al. do (arXiv:2408.00755);
    the logarithmic error, the factor (geometric mean of κ/κ_ref) and Spearman's correlation are of
    those that have one.
    """

    compounds: int
    unstable: int
    failed: int
    mean_sre: FiniteFloat | None
    mean_srme: FiniteFloat | None
    log10_mae: FiniteFloat | None
    mean_factor: FiniteFloat | None
    spearman: FiniteFloat | None
    seconds: FiniteFloat
    force_calls: int


class Result(Record):
    """A whole benchmark: `results.json`."""

    settings: Settings
    structures: str
    reference: str | None
    reference_modes: str | None
    summary: Summary
    rows: tuple[Row, ...]


def row(compound: Compound, outcome: Measured, exact: Measured | None = None) -> Row:
    """What came out beside the references; `exact` is the outcome of full finite displacements."""
    sre = srme = None
    if compound.reference is not None:
        sre = (
            metrics.WORST
            if outcome.kappa_w_mk is None
            else metrics.symmetric_relative_error(outcome.kappa_w_mk, compound.reference)
        )
    if compound.modes is not None:
        srme = (
            metrics.WORST
            if outcome.kappa_w_mk is None
            else metrics.symmetric_relative_mean_error(
                outcome.modes, compound.modes.modes, outcome.weights
            )
        )
    return Row(
        **outcome.model_dump(exclude={"modes", "weights"}),
        id=compound.id,
        formula=compound.formula,
        prototype=compound.prototype,
        spacegroup=compound.spacegroup,
        reference_w_mk=compound.reference,
        sre=sre,
        srme=srme,
        finite_displacements=_comparison(outcome, exact) if exact else None,
    )


def summary(rows: Sequence[Row]) -> Summary:
    """Counts, mean errors, and totals of all rows."""
    pairs = [
        (r.kappa_w_mk, r.reference_w_mk)
        for r in rows
        if r.kappa_w_mk is not None and r.reference_w_mk is not None
    ]
    ours, theirs = [kappa for kappa, _ in pairs], [reference for _, reference in pairs]
    return Summary(
        compounds=len(rows),
        unstable=sum(r.unstable for r in rows),
        failed=sum(r.kappa_w_mk is None and not r.unstable for r in rows),
        mean_sre=metrics.mean([r.sre for r in rows]),
        mean_srme=metrics.mean([r.srme for r in rows]),
        log10_mae=metrics.log_error(ours, theirs) if pairs else None,
        mean_factor=metrics.mean_factor(ours, theirs) if pairs else None,
        spearman=metrics.spearman(ours, theirs),
        seconds=sum(r.seconds for r in rows),
        force_calls=sum(r.force_calls for r in rows),
    )


def _comparison(outcome: Measured, exact: Measured) -> Comparison:
    both = outcome.kappa_w_mk is not None and exact.kappa_w_mk
    return Comparison(
        kappa_w_mk=exact.kappa_w_mk,
        reason=exact.reason,
        force_calls=exact.force_calls,
        seconds=exact.seconds,
        kappa_ratio=(outcome.kappa_w_mk or 0.0) / (exact.kappa_w_mk or 1.0) if both else None,
        force_call_ratio=exact.force_calls / outcome.force_calls if outcome.force_calls else None,
    )

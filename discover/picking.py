"""What a campaign's model would compute next: from the store and the pool to one calculation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.acquisition.adapters import Acquisition, load_acquisition
from discover.acquisition.aims import Aims
from discover.acquisition.multi.context import (
    JointAcquisition,
    JointContext,
    is_joint,
    load_joint_acquisition,
)
from discover.campaign import CampaignSpec
from discover.errors import PluginError
from discover.ladder import on_ladder, rung_costs, rung_index
from discover.observed import (
    KnownRows,
    has_foreign,
    is_own,
    known_rows,
    usable_observations,
    with_source,
)
from discover.pool import OpenCandidates
from discover.records import ACTIVE_STATES, Calculation, Observation, Prediction, PropertyPrediction
from discover.store.base import Store
from discover.training import TrainedModel

if TYPE_CHECKING:
    from botorch.models.model import Model

    from discover.acquisition.multi.decoupled import Look

Array = npt.NDArray[np.float64]
PROPERTY = "property"
"""Option of an acquisition for one property: which of several objectives it is to improve."""


@dataclass(frozen=True)
class Picker:
    """How a campaign picks: by one property, `column` of the model, or by several jointly.

    `gives` are the columns of the properties that each of several calculations computes.
    """

    single: Acquisition | None = None
    joint: JointAcquisition | None = None
    column: int = 0
    gives: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, spec: CampaignSpec, base: Path) -> Picker:
        """By the campaign's acquisition; PluginError where that does not fit its objectives."""
        found = cls.asking(spec, base)
        return replace(found, gives=_given(spec, base)) if spec.calculations else found

    @classmethod
    def asking(cls, spec: CampaignSpec, base: Path) -> Picker:
        """The acquisition alone, without a look at the calculations."""
        name, options = spec.acquisition.name, dict(spec.acquisition.options)
        if len(spec.sought) > 1 and is_joint(plugins.load("acquisitions", name, base)):
            return cls(joint=load_joint_acquisition(name, options, base))
        names = [objective.property for objective in spec.sought]
        chosen = options.pop(PROPERTY, names[0]) if len(names) > 1 else names[0]
        if chosen not in names:
            raise PluginError(
                f"options.{PROPERTY}: {chosen!r} is not an objective; these are: {', '.join(names)}"
            )
        return cls(single=load_acquisition(name, options, base), column=names.index(str(chosen)))


@dataclass(frozen=True)
class Choice:
    """What is to be computed: a candidate, which of the campaign's calculations, what is expected.

    `scored` is how many candidates it was chosen from, 0 where no model was asked.
    """

    candidate: str
    rung: int
    prediction: Prediction | None = None
    scored: int = 0


@dataclass(frozen=True)
class _Known:
    """What the store says, as acquisitions want it: descriptors and property values, model scale.

    `sources` is true where descriptors have a column that tells own values from imported ones, else None.
    """

    calculations: list[Calculation]
    features: Array
    values: Array
    pending: Array
    pending_rungs: npt.NDArray[np.int64]
    sources: bool | None


def pick(
    spec: CampaignSpec, store: Store, picker: Picker, trained: TrainedModel, pool: OpenCandidates
) -> Choice:
    """The model's best candidate of a pool, and which calculation to run for it."""
    known = _known(spec, store, trained)
    pool = pool._replace(features=with_source(pool.features, known.sources))
    if picker.joint is not None:
        return _jointly(spec, store, picker, picker.joint, trained, pool, known)
    found = _by_one_property(spec, picker, trained, pool, known)
    if not spec.calculations:
        return found
    index = pool.ids.index(found.candidate)
    asked = pool.asked[index]
    costs = np.where(asked, np.inf, rung_costs(known.calculations, spec.rungs))
    return Choice(found.candidate, int(costs.argmin()), found.prediction, found.scored)


def active_candidates(store: Store) -> set[str]:
    """Candidates of which a calculation is running or about to."""
    return {c.candidate for c in on_ladder(store.calculations()) if c.state in ACTIVE_STATES}


def _known(spec: CampaignSpec, store: Store, trained: TrainedModel) -> _Known:
    calculations = store.calculations()
    active = [c for c in on_ladder(calculations) if c.state in ACTIVE_STATES]
    usable = usable_observations(store, spec)
    target, sources = len(spec.ladder), True if has_foreign(spec, usable) else None
    rows = known_rows(spec, usable).only(target).comparable()
    rungs = rung_index(spec.rungs) if spec.ladder else {}
    fitted = set(trained.card.observations)
    unseen = {o.calculation or o.id: o for o in usable if o.id not in fitted}
    unknown: list[Calculation | Observation] = [*active, *unseen.values()]
    dimensions = len(store.candidate(usable[0].candidate).features or ())

    def features(of: Sequence[str], own: npt.NDArray[np.bool_] | None) -> Array:
        return with_source(_features(store, of).reshape(-1, dimensions), own)

    of_unknown = [isinstance(one, Calculation) or is_own(spec, one) for one in unknown]
    return _Known(
        calculations=calculations,
        features=features(rows.candidates, rows.own),
        values=_sure(spec, rows),
        pending=features(
            [one.candidate for one in unknown], np.array(of_unknown) if sources else None
        ),
        pending_rungs=np.array(
            [rungs.get(one.fidelity, target) for one in unknown], dtype=np.int64
        ),
        sources=sources,
    )


def _sure(spec: CampaignSpec, rows: KnownRows) -> Array:
    """Values (k x p) to improve on: without bounds that are none, where there are others."""
    values = rows.sure(spec)
    lost = np.isnan(values).all(axis=0)
    values[:, lost] = rows.values[:, lost]
    return values


def _by_one_property(
    spec: CampaignSpec, picker: Picker, trained: TrainedModel, pool: OpenCandidates, known: _Known
) -> Choice:
    """By an acquisition for one property, weighted by the constraints; on a ladder the rung too."""
    from discover.acquisition.ladder import select_rung, with_rung
    from discover.acquisition.multi.outputs import output

    aims, column, rungs = Aims.of(spec), picker.column, len(spec.ladder) + 1
    told = np.isfinite(known.values[:, column])
    feasible = told & aims.feasible(known.values)
    counted = feasible if feasible.any() else told
    observed = known.values[counted, column]
    if picker.single is None:
        raise PluginError(f"acquisition {spec.acquisition.name!r} takes several properties only")
    best = select_rung(
        output(trained.model, column),
        pool.features,
        pool.ids,
        pool.asked[:, :rungs],
        rung_costs(known.calculations, spec.rungs)[:rungs],
        picker.single,
        goal=spec.sought[column].goal,
        # without a feasible one, from the worst value on: the constraints decide
        observed=observed if feasible.any() else _worst(observed, spec.sought[column].goal),
        observed_features=known.features[counted],
        pending=with_rung(known.pending, known.pending_rungs, rungs)
        if len(known.pending)
        else None,
        picks=len(known.calculations),
        seed=spec.seed,
        seconds=spec.selection_seconds,
        log_feasible=_log_feasible(aims, trained.model, known.pending)
        if aims.constrained
        else None,
    )
    chosen = best.candidate
    prediction = Prediction(
        mean=chosen.mean, std=chosen.std, score=chosen.score, model=trained.card.id
    )
    if len(spec.modelled) > 1:
        x = pool.features[chosen.index : chosen.index + 1]
        prediction = _prediction(spec, trained, *_expected(trained.model, x), chosen.score)
    return Choice(pool.ids[chosen.index], best.rung, prediction, chosen.scored)


def _worst(observed: Array, goal: str) -> Array:
    worst = observed.max() if goal == "min" else observed.min()
    return np.full(len(observed), worst)


def _log_feasible(aims: Aims, model: Model, pending: Array) -> Any:
    """Descriptors (n x d) -> logarithm of the probability (n) that all constraints are met."""
    import torch

    from discover.acquisition.multi.outputs import marginals

    answers = marginals(model, torch.from_numpy(pending))

    def of(features: Array) -> Array:
        with torch.no_grad():
            mean, variance = answers(torch.from_numpy(features))
        return aims.log_feasible(mean.numpy(), np.sqrt(variance.numpy()).clip(min=1e-12))

    return of


def _jointly(
    spec: CampaignSpec,
    store: Store,
    picker: Picker,
    acquisition: JointAcquisition,
    trained: TrainedModel,
    pool: OpenCandidates,
    known: _Known,
) -> Choice:
    """By all objectives and constraints at once; of several calculations the one that is worth most."""
    from discover.acquisition.multi.selection import select_jointly, shortlist

    context = JointContext(
        aims=Aims.of(spec),
        observed=known.values,
        observed_features=known.features,
        pending=known.pending,
        picks=len(known.calculations),
        seed=spec.seed,
    )
    best = select_jointly(
        trained.model, pool.features, acquisition, context, seconds=spec.selection_seconds
    )[0]
    index, rung, score = best.index, 0, best.score
    mean, std = best.mean, best.std
    if spec.calculations:
        rows, *_ = shortlist(trained.model, pool.features, acquisition, context)
        rows = np.union1d(rows, [index])
        look = _look(spec, store, picker, trained, pool, known, context, rows)
        costs = rung_costs(known.calculations, spec.rungs)
        if look is None:  # by the cheapest that it has not had
            rung = int(np.where(pool.asked[index], np.inf, costs).argmin())
        else:
            index, rung, score = int(rows[look.index]), look.calculation, look.worth
        mean, std = _expected(trained.model, pool.features[index : index + 1])
    prediction = _prediction(spec, trained, mean, std, score)
    return Choice(pool.ids[index], rung, prediction, best.scored)


def _look(
    spec: CampaignSpec,
    store: Store,
    picker: Picker,
    trained: TrainedModel,
    pool: OpenCandidates,
    known: _Known,
    context: JointContext,
    rows: npt.NDArray[np.int64],
) -> Look | None:
    """Which of these rows of the pool, and of the calculations, gains most for its cost."""
    import torch

    from discover.acquisition.multi.decoupled import Beliefs, best_look
    from discover.acquisition.multi.outputs import properties_at

    points = torch.from_numpy(np.ascontiguousarray(pool.features[rows]))
    with torch.no_grad():
        mean, covariance = properties_at(trained.model, points)
    table = known_rows(spec, usable_observations(store, spec))
    values = dict(zip(table.candidates, table.values, strict=True))
    nothing = np.full(len(spec.modelled), np.nan)
    told = np.array([values.get(pool.ids[row], nothing) for row in rows.tolist()])
    return best_look(
        Beliefs.given(mean.numpy(), covariance.numpy(), told),
        picker.gives,
        rung_costs(known.calculations, spec.rungs),
        pool.asked[rows],
        context,
    )


def _given(spec: CampaignSpec, base: Path) -> tuple[tuple[int, ...], ...]:
    """Columns of the properties that each of the campaign's calculations gives."""
    names = [target.name for target in spec.modelled]
    kinds = [plugins.create("calculations", r.kind, r.settings, base) for r in spec.rungs]
    return tuple(tuple(names.index(n) for n in k.properties if n in names) for k in kinds)


def _expected(model: Model, x: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and standard deviations (p), noise included, of what a candidate (1 x d) would give."""
    import torch

    from discover.acquisition.multi.outputs import exact_marginals, noise_variances

    point = torch.from_numpy(np.ascontiguousarray(x))
    with torch.no_grad():
        mean, variance = exact_marginals(model, point[:0], point)
        variance = variance + noise_variances(model, point)
    return tuple(mean[0].tolist()), tuple(variance[0].clamp_min(0.0).sqrt().tolist())


def _prediction(
    spec: CampaignSpec,
    trained: TrainedModel,
    mean: Sequence[float],
    std: Sequence[float],
    score: float,
) -> Prediction:
    """Of the (first) objective, and of the other properties beside."""
    others = {
        target.name: PropertyPrediction(mean=mean[column], std=std[column])
        for column, target in enumerate(spec.modelled)
        if column > 0
    }
    return Prediction(mean=mean[0], std=std[0], score=score, model=trained.card.id, others=others)


def _features(store: Store, candidate_ids: Sequence[str]) -> Array:
    return np.array([store.candidate(i).features for i in candidate_ids], dtype=np.float64)

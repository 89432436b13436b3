"""From observations to a fitted surrogate and its model card."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from discover import plugins
from discover.acquisition.ladder import with_rung
from discover.campaign import CampaignSpec
from discover.errors import SurrogateError
from discover.files import write_atomically
from discover.folder import CampaignFolder
from discover.observed import KnownRows, has_foreign, known_rows, with_source
from discover.records import ModelCard, Observation, content_hash
from discover.store.base import Store

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

    from surrogates import Surrogate, TrainingData
    from surrogates.validation import Respondent, Validation

Details = dict[str, JsonValue]

SIDES = {"below": -1, "above": 1}
"""On which side of a bound the true value lies."""
BELIEVED_CANDIDATES = 4096
BELIEVED_CHUNK = 256
BELIEVED_QUANTILES = 200
BELIEVED_ROWS = 256


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model and its card."""

    model: Model
    card: ModelCard


def training_data(
    store: Store, spec: CampaignSpec, observations: list[Observation]
) -> TrainingData:
    """Descriptors, rungs and targets (model scale) of these observations, grouped by formula.

    One column for each of `spec.modelled`; a candidate of which a property is not known has a gap there.
    Standard errors that came with values are their noise. Values that are bounds are censored. Imported
    values of another fidelity are told from the campaign's own by one more column of `x`
    (`observed.has_foreign`).
    """
    import torch

    from surrogates import TrainingData

    if not observations:
        raise SurrogateError("there is no observation to learn from yet")
    known = known_rows(spec, observations)
    candidates = [store.candidate(candidate) for candidate in known.candidates]
    formulas = {c.formula: i for i, c in enumerate(candidates)}
    features = np.array([c.features for c in candidates], dtype=np.float64)
    rungs = len(spec.ladder) + 1
    return TrainingData(
        x=torch.from_numpy(with_rung(with_source(features, known.own), known.rungs, rungs)),
        y=torch.from_numpy(known.values),
        noise=_noise(spec, known),
        censored=_censored(spec, known),
        groups=torch.tensor([formulas[c.formula] for c in candidates]),
        fidelities=rungs,
    )


def _censored(spec: CampaignSpec, known: KnownRows) -> Tensor | None:
    """On which side of each value (k x p) the true one lies, 0 where it is exact; None without bounds."""
    import torch

    columns = {target.name: column for column, target in enumerate(spec.modelled)}
    table = torch.zeros(known.values.shape, dtype=torch.int8)
    for row, observations in enumerate(known.observations):
        for observation in observations:
            if observation.bound is not None:
                table[row, columns[observation.property]] = SIDES[observation.bound]
    return table if bool(table.any()) else None


def _noise(spec: CampaignSpec, known: KnownRows) -> Tensor | None:
    """The standard errors that came with values (k x p, model scale), not a number without; or None."""
    import torch

    columns = {target.name: column for column, target in enumerate(spec.modelled)}
    table = torch.full(known.values.shape, torch.nan, dtype=torch.float64)
    for row, observations in enumerate(known.observations):
        for observation in observations:
            if observation.uncertainty is not None:
                table[row, columns[observation.property]] = observation.uncertainty
    return None if bool(table.isnan().all()) else table


def train(
    folder: CampaignFolder,
    spec: CampaignSpec,
    store: Store,
    surrogate: Surrogate,
    observations: list[Observation],
    unpicked: npt.NDArray[np.float64],
    respondent: Respondent | None = None,
) -> TrainedModel:
    """Fit the surrogate on observations, judge it on held-out ones, and keep model and card.

    `unpicked` holds the descriptors (n x d) of the candidates that were never picked at the target: the
    card keeps what the model believes of them, for reports. The `respondent` makes the fits that
    cross-validation takes; by default they are made here.

    The same data give the same model: one that was saved before is loaded. Where it cannot be (a
    damaged file, a class that is gone), it is fitted anew, and the card's `details` say why in
    `refitted`. Raises SurrogateError where the data cannot support a fit, PluginError for whatever else a
    surrogate that is a file raises, OSError where the model cannot be written.
    """
    from surrogates import persistence
    from surrogates.validation import data_hash, in_turn, validate

    data = training_data(store, spec, observations)
    hashed = data_hash(data)
    card_id = content_hash(
        {"data": hashed, "surrogate": spec.surrogate.model_dump(mode="json"), "seed": spec.seed}
    )
    directory = folder.models / card_id
    known = {card.id: card for card in store.model_cards()}
    refitted: dict[str, JsonValue] = {}
    if card_id in known and persistence.is_saved(directory):
        try:
            return TrainedModel(persistence.load(directory), known[card_id])
        except SurrogateError as error:
            refitted = {"refitted": str(error)}
    started = time.perf_counter()
    with plugins.named("surrogates", spec.surrogate.name):
        model = surrogate.fit(data, spec.seed)
        outputs = model.num_outputs
    if outputs != len(spec.modelled):
        raise SurrogateError(
            f"surrogate {spec.surrogate.name!r} answers for {outputs} of "
            f"{len(spec.modelled)} properties"
        )
    fit_seconds = time.perf_counter() - started
    with plugins.named("surrogates", spec.surrogate.name):
        report = validate(surrogate, data, spec.seed, respondent=respondent or in_turn)
    report = by_property(report, spec, observations)
    saved = isinstance(model, persistence.Persistent)
    sources = True if has_foreign(spec, observations) else None
    at_target = with_rung(with_source(unpicked, sources), len(spec.ladder), len(spec.ladder) + 1)
    card = ModelCard(
        id=card_id,
        surrogate=spec.surrogate.name,
        created_at=time.time(),
        data_hash=hashed,
        n_observations=len(observations),
        observations=tuple(o.id for o in observations),
        fit_seconds=fit_seconds,
        metrics=report.metrics,
        details={
            **report.details,
            **getattr(model, "details", {}),
            "saved": saved,
            "unpicked": believed_values(model, at_target, spec.seed),
            **believed_rows(model, at_target, spec),
            **refitted,
        },
    )
    if saved:
        persistence.save(model, directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / "card.json", card.model_dump_json(indent=2))
    store.add_model_card(card)
    return TrainedModel(model, card)


def by_property(
    report: Validation, spec: CampaignSpec, observations: list[Observation]
) -> Validation:
    """A validation of several targets with their properties' names in the place of their numbers.

    The metrics and details of the first one, the (first) objective, stand without a name too. The `row`
    of a held-out prediction becomes the place of its observation.
    """
    names = [target.name for target in spec.modelled]
    if len(names) == 1:
        return report
    metrics: dict[str, float | None] = {}
    for key, value in report.metrics.items():
        number, _, metric = key.partition(".")
        metrics[f"{names[int(number)]}.{metric}"] = value
        if number == "0":
            metrics[metric] = value
    places = {observation.id: place for place, observation in enumerate(observations)}
    rows = known_rows(spec, observations).observations
    each: dict[str, JsonValue] = {}
    for name, details in zip(names, cast("list[Details]", report.details["targets"]), strict=True):
        own = [places[o.id] for row in rows for o in row if o.property == name]
        predictions = cast("list[Details]", details["held_out"])
        told = [{**one, "row": own[cast("int", one["row"])]} for one in predictions]
        each[name] = {**details, "held_out": cast("list[JsonValue]", told)}
    first = cast("Details", each[names[0]])
    return replace(report, metrics=metrics, details={**first, "targets": each})


def believed_values(
    model: Model, features: npt.NDArray[np.float64], seed: int
) -> dict[str, JsonValue]:
    """What a model believes a pool to hold: its size and quantiles of one draw for each candidate.

    The draws (model scale) come from each candidate's own posterior, noise left out; of a large pool
    an even sample is asked, and of several properties the first.
    """
    from discover.acquisition.multi.outputs import output

    n = len(features)
    if n == 0:
        return {"candidates": 0, "quantiles": []}
    rows = np.unique(np.linspace(0, n - 1, min(n, BELIEVED_CANDIDATES)).astype(int))
    draws = _draws(output(model, 0), features[rows], [seed])
    levels = np.linspace(0, 1, min(len(rows), BELIEVED_QUANTILES))
    return {"candidates": n, "quantiles": np.quantile(draws, levels).tolist()}


def believed_rows(
    model: Model, features: npt.NDArray[np.float64], spec: CampaignSpec
) -> dict[str, JsonValue]:
    """Draws of all properties of an even sample of a pool, as `unpicked_rows`; empty for one property.

    A list (model scale) for each property's name.
    """
    if model.num_outputs == 1 or not len(features):
        return {}
    from discover.acquisition.multi.outputs import outputs

    rows = np.unique(
        np.linspace(0, len(features) - 1, min(len(features), BELIEVED_ROWS)).astype(int)
    )
    told: dict[str, JsonValue] = {
        target.name: _draws(one, features[rows], [spec.seed, column]).tolist()
        for column, (target, one) in enumerate(zip(spec.modelled, outputs(model), strict=True))
    }
    return {"unpicked_rows": told}


def _draws(
    model: Model, features: npt.NDArray[np.float64], seed: list[int]
) -> npt.NDArray[np.float64]:
    """A draw of the noise-free target from each candidate's own posterior (n)."""
    import torch

    drawn: list[npt.NDArray[np.float64]] = []
    with torch.no_grad():
        for chunk in torch.from_numpy(features).unsqueeze(-2).split(BELIEVED_CHUNK):
            posterior = model.posterior(chunk)
            noise = np.random.default_rng([*seed, len(drawn)]).standard_normal(len(chunk))
            std = posterior.variance.clamp_min(0.0).sqrt().flatten().numpy()
            drawn.append(posterior.mean.flatten().numpy() + std * noise)
    return np.concatenate(drawn)

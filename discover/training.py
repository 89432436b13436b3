"""From observations to a fitted surrogate and its model card."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from discover.acquisition.ladder import with_rung
from discover.campaign import CampaignSpec
from discover.errors import SurrogateError
from discover.files import write_atomically
from discover.folder import CampaignFolder
from discover.ladder import rung_index
from discover.records import ModelCard, Observation, content_hash
from discover.store.base import Store

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates import Surrogate, TrainingData

BELIEVED_CANDIDATES = 4096
BELIEVED_CHUNK = 256
BELIEVED_QUANTILES = 200


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model and its card."""

    model: Model
    card: ModelCard


def usable_observations(store: Store, spec: CampaignSpec) -> list[Observation]:
    """Observations of the campaign's property outside quarantine, at any rung, as they were picked.

    The order of picks does not depend on which job ended first, so a resumed campaign fits the very
    same model.
    """
    order = {calculation.id: calculation.order for calculation in store.calculations()}
    rungs = rung_index(spec.rungs)
    return sorted(
        # with one fidelity, whatever was observed is of it
        (
            o
            for o in store.observations(spec.objective.property)
            if o.fidelity in rungs or not spec.ladder
        ),
        key=lambda o: (order.get(o.calculation or "", -1), o.id),
    )


def training_data(
    store: Store, spec: CampaignSpec, observations: list[Observation]
) -> TrainingData:
    """Descriptors, rungs and targets (model scale) of these observations, grouped by formula."""
    import torch

    from surrogates import TrainingData

    candidates = [store.candidate(o.candidate) for o in observations]
    formulas = {c.formula: i for i, c in enumerate(candidates)}
    if not observations:
        raise SurrogateError("there is no observation to learn from yet")
    index = rung_index(spec.rungs)
    rungs = np.array([index.get(o.fidelity, len(index) - 1) for o in observations])
    features = np.array([c.features for c in candidates], dtype=np.float64)
    return TrainingData(
        x=torch.from_numpy(with_rung(features, rungs, len(index))),
        y=torch.tensor(
            [[spec.target.to_model(o.value)] for o in observations], dtype=torch.float64
        ),
        groups=torch.tensor([formulas[c.formula] for c in candidates]),
        fidelities=len(index),
    )


def train(
    folder: CampaignFolder,
    spec: CampaignSpec,
    store: Store,
    surrogate: Surrogate,
    observations: list[Observation],
    unpicked: npt.NDArray[np.float64],
) -> TrainedModel:
    """Fit the surrogate on observations, judge it on held-out ones, and keep model and card.

    `unpicked` holds the descriptors (n x d) of the candidates that were never picked at the target: the
    card keeps what the model believes of them, for reports.

    The same data give the same model: one that was saved before is loaded. Where it cannot be (a
    damaged file, a class that is gone), it is fitted anew, and the card's `details` say why in
    `refitted`. Raises SurrogateError where the data cannot support a fit, OSError where the model
    cannot be written.
    """
    from surrogates import persistence
    from surrogates.validation import data_hash, validate

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
    model = surrogate.fit(data, spec.seed)
    fit_seconds = time.perf_counter() - started
    report = validate(surrogate, data, spec.seed)
    saved = isinstance(model, persistence.Persistent)
    at_target = with_rung(unpicked, len(spec.rungs) - 1, len(spec.rungs))
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
            **refitted,
        },
    )
    if saved:
        persistence.save(model, directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / "card.json", card.model_dump_json(indent=2))
    store.add_model_card(card)
    return TrainedModel(model, card)


def believed_values(
    model: Model, features: npt.NDArray[np.float64], seed: int
) -> dict[str, JsonValue]:
    """What a model believes a pool to hold: its size and quantiles of one draw for each candidate.

    The draws (model scale) come from each candidate's own posterior, noise left out; of a large pool
    an even sample is asked.
    """
    import torch

    n = len(features)
    if n == 0:
        return {"candidates": 0, "quantiles": []}
    rows = np.unique(np.linspace(0, n - 1, min(n, BELIEVED_CANDIDATES)).astype(int))
    draws: list[npt.NDArray[np.float64]] = []
    with torch.no_grad():
        for chunk in torch.from_numpy(features[rows]).unsqueeze(-2).split(BELIEVED_CHUNK):
            posterior = model.posterior(chunk)
            noise = np.random.default_rng([seed, len(draws)]).standard_normal(len(chunk))
            std = posterior.variance.clamp_min(0.0).sqrt().flatten().numpy()
            draws.append(posterior.mean.flatten().numpy() + std * noise)
    levels = np.linspace(0, 1, min(len(rows), BELIEVED_QUANTILES))
    quantiles = np.quantile(np.concatenate(draws), levels)
    return {"candidates": n, "quantiles": quantiles.tolist()}

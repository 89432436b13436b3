"""From observations to a fitted surrogate and its model card."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discover.calculations.files import write_atomically
from discover.campaign import CampaignSpec
from discover.errors import SurrogateError
from discover.folder import CampaignFolder
from discover.records import ModelCard, Observation, content_hash
from discover.store.base import Store

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates import Surrogate, TrainingData


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model, its card, and the observed values (model scale) that it was fitted on."""

    model: Model
    card: ModelCard
    observed: tuple[float, ...]


def usable_observations(store: Store, spec: CampaignSpec) -> list[Observation]:
    """Observations of the campaign's property outside quarantine, in the order they were picked.

    The order of picks does not depend on which job ended first, so a resumed campaign fits the very
    same model.
    """
    order = {calculation.id: calculation.order for calculation in store.calculations()}
    return sorted(
        store.observations(spec.objective.property),
        key=lambda o: (order.get(o.calculation or "", -1), o.id),
    )


def training_data(
    store: Store, spec: CampaignSpec, observations: list[Observation]
) -> TrainingData:
    """Descriptors and targets (model scale) of these observations, grouped by formula."""
    import torch

    from surrogates import TrainingData

    candidates = [store.candidate(o.candidate) for o in observations]
    formulas = {c.formula: i for i, c in enumerate(candidates)}
    if not observations:
        raise SurrogateError("there is no observation to learn from yet")
    return TrainingData(
        x=torch.tensor([c.features for c in candidates], dtype=torch.float64),
        y=torch.tensor(
            [[spec.target.to_model(o.value)] for o in observations], dtype=torch.float64
        ),
        groups=torch.tensor([formulas[c.formula] for c in candidates]),
    )


def train(
    folder: CampaignFolder,
    spec: CampaignSpec,
    store: Store,
    surrogate: Surrogate,
    observations: list[Observation],
) -> TrainedModel:
    """Fit the surrogate on observations, judge it on held-out ones, and keep model and card.

    The same data give the same model: one that was saved before is loaded. Raises SurrogateError
    where the data cannot support a fit.
    """
    from surrogates import persistence
    from surrogates.validation import data_hash, validate

    data = training_data(store, spec, observations)
    hashed = data_hash(data)
    card_id = content_hash(
        {"data": hashed, "surrogate": spec.surrogate.model_dump(mode="json"), "seed": spec.seed}
    )
    observed = tuple(float(y) for y in data.y[:, 0])
    directory = folder.models / card_id
    known = {card.id: card for card in store.model_cards()}
    if card_id in known and persistence.is_saved(directory):
        return TrainedModel(persistence.load(directory), known[card_id], observed)
    started = time.perf_counter()
    model = surrogate.fit(data, spec.seed)
    fit_seconds = time.perf_counter() - started
    report = validate(surrogate, data, spec.seed)
    saved = isinstance(model, persistence.Persistent)
    card = ModelCard(
        id=card_id,
        surrogate=spec.surrogate.name,
        created_at=time.time(),
        data_hash=hashed,
        n_observations=len(observations),
        observations=tuple(o.id for o in observations),
        fit_seconds=fit_seconds,
        metrics=report.metrics,
        details={**report.details, **getattr(model, "details", {}), "saved": saved},
    )
    if saved:
        persistence.save(model, directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(directory / "card.json", card.model_dump_json(indent=2))
    store.add_model_card(card)
    return TrainedModel(model, card, observed)

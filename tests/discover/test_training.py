"""From observations to a saved model and its card."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from discover import plugins
from discover.campaign import CampaignSpec, Plugin
from discover.errors import PluginError, SurrogateError
from discover.folder import CampaignFolder
from discover.observed import usable_observations
from discover.records import Calculation, ModelCard
from discover.store import Store, open_store
from discover.training import (
    TrainedModel,
    believed_values,
    train,
    training_data,
)
from surrogates import persistence

Add = Callable[..., Calculation]
N = 8
UNPICKED = np.array([[0.5, 0.5], [20.0, 1.0], [3.0, 0.0]])


def value(order: int) -> float:
    return 10.0 ** math.sin(order)


def fill(store: Store, computed: Add, orders: Sequence[int]) -> None:
    for order in orders:
        computed(store, order, value(order), features=(float(order), float(order % 3)))


@pytest.fixture
def spec() -> CampaignSpec:
    return CampaignSpec()


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    return CampaignFolder(tmp_path)


@pytest.fixture
def another_store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "another.sqlite", "test")
    yield opened
    opened.close()


def fit(folder: CampaignFolder, spec: CampaignSpec, store: Store) -> TrainedModel:
    surrogate = plugins.create("surrogates", spec.surrogate.name)
    return train(folder, spec, store, surrogate, usable_observations(store, spec), UNPICKED)


def posterior(trained: TrainedModel) -> list[float]:
    import torch

    x = torch.tensor([[[0.5, 1.0]], [[20.0, 0.0]]], dtype=torch.float64)
    with torch.no_grad():
        answer = trained.model.posterior(x)
    return [*answer.mean.flatten().tolist(), *answer.variance.flatten().tolist()]


def test_card_and_model_are_saved(
    store: Store, computed: Add, spec: CampaignSpec, folder: CampaignFolder
) -> None:
    fill(store, computed, range(N))
    computed(store, N, 1e4, quarantined="not plausible", features=(1.0, 1.0))
    trained = fit(folder, spec, store)
    card = trained.card
    assert store.model_cards() == [card]
    saved = (folder.models / card.id / "card.json").read_text()
    assert ModelCard.model_validate_json(saved) == card
    assert card.surrogate == spec.surrogate.name
    assert card.n_observations == N
    assert card.observations == tuple(f"calculation-{i}-thermal_conductivity" for i in range(N))
    assert {"mae", "spearman", "coverage_50", "coverage_90"} <= set(card.metrics)
    learned = training_data(store, spec, usable_observations(store, spec)).y[:, 0]
    assert learned.tolist() == pytest.approx([math.sin(i) for i in range(N)])
    assert persistence.is_saved(folder.models / card.id)
    assert card.details["saved"] is True


def test_the_same_data_load_the_saved_model(
    store: Store, computed: Add, spec: CampaignSpec, folder: CampaignFolder
) -> None:
    fill(store, computed, range(N))
    first = fit(folder, spec, store)
    again = fit(folder, spec, store)
    assert again.card == first.card  # with its time of creation: it was not fitted anew
    assert posterior(again) == pytest.approx(posterior(first), rel=1e-9)
    assert len(store.model_cards()) == 1

    computed(store, N, 3.0, features=(9.0, 9.0))
    more = fit(folder, spec, store)
    assert more.card.id != first.card.id
    assert posterior(more) != pytest.approx(posterior(first), rel=1e-3)
    assert [card.n_observations for card in store.model_cards()] == [N, N + 1]


def test_a_model_whose_card_was_lost_in_a_kill_is_made_again(
    store: Store,
    another_store: Store,
    computed: Add,
    spec: CampaignSpec,
    folder: CampaignFolder,
) -> None:
    fill(store, computed, range(N))
    fill(another_store, computed, range(N))
    first = fit(folder, spec, store)
    again = fit(folder, spec, another_store)  # the folder has the model, this store no card
    assert again.card.id == first.card.id
    assert posterior(again) == pytest.approx(posterior(first), rel=1e-9)
    assert [card.id for card in another_store.model_cards()] == [first.card.id]


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / persistence.TENSORS).write_bytes(b"torn"),
        lambda directory: (directory / persistence.DESCRIPTION).write_text(
            '{"format": 1, "class": "discover_plugin_gone:Model", "settings": {}}'
        ),
    ],
    ids=["torn tensors", "a class that is gone"],
)
def test_a_saved_model_that_cannot_be_loaded_is_fitted_anew(
    store: Store,
    computed: Add,
    spec: CampaignSpec,
    folder: CampaignFolder,
    damage: Callable[[Path], object],
) -> None:
    fill(store, computed, range(N))
    first = fit(folder, spec, store)
    assert "refitted" not in first.card.details
    damage(folder.models / first.card.id)
    again = fit(folder, spec, store)
    assert posterior(again) == posterior(first)
    assert again.card.details["refitted"]
    assert store.model_cards() == [again.card]
    assert fit(folder, spec, store).card == again.card  # it was saved again, and is loaded


def test_a_model_on_a_full_disk_is_saved_when_there_is_room(
    store: Store, computed: Add, spec: CampaignSpec, small_disk: Path
) -> None:
    fill(store, computed, range(N))
    folder = CampaignFolder(small_disk)
    directory = folder.models / fit(folder, spec, store).card.id
    for path in directory.iterdir():
        path.unlink()
    filler = small_disk / "filled"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(OSError, match="No space left"):
        fit(folder, spec, store)
    assert list(directory.iterdir()) == []
    filler.unlink()
    fit(folder, spec, store)
    assert persistence.is_saved(directory)


def test_the_order_of_arrival_does_not_matter(
    store: Store, another_store: Store, computed: Add, spec: CampaignSpec, tmp_path: Path
) -> None:
    fill(store, computed, range(N))
    fill(another_store, computed, [5, 2, 7, 0, 6, 1, 4, 3])
    first = fit(CampaignFolder(tmp_path / "a"), spec, store)
    other = fit(CampaignFolder(tmp_path / "b"), spec, another_store)
    assert other.card.id == first.card.id
    assert other.card.observations == first.card.observations
    assert other.card.metrics == first.card.metrics
    assert posterior(other) == posterior(first)


def test_another_seed_is_another_model(
    store: Store, computed: Add, spec: CampaignSpec, folder: CampaignFolder
) -> None:
    fill(store, computed, range(N))
    first = fit(folder, spec, store)
    other = fit(folder, spec.model_copy(update={"seed": 1}), store)
    assert other.card.id != first.card.id


def test_rows_of_one_formula_are_held_together(
    store: Store, computed: Add, spec: CampaignSpec
) -> None:
    fill(store, computed, range(N))
    data = training_data(store, spec, usable_observations(store, spec))
    assert data.x.shape == (N, 2)
    assert data.y.shape == (N, 1)
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == 1  # all of them are Cu


def test_too_little_to_learn_from(
    store: Store, computed: Add, spec: CampaignSpec, folder: CampaignFolder
) -> None:
    with pytest.raises(SurrogateError, match="no observation"):
        fit(folder, spec, store)
    fill(store, computed, range(1))
    with pytest.raises(SurrogateError):
        fit(folder, spec, store)
    assert store.model_cards() == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [("{}['x']", r"mine.py:Mine' fails: KeyError\('x'\)"), ("None", "mine.py:Mine' fails: .*None")],
)
def test_a_fault_of_a_plugin_is_told_with_its_name(
    store: Store, computed: Add, folder: CampaignFolder, answer: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"class Mine:\n    def fit(self, data, seed):\n        return {answer}\n")
    fill(store, computed, range(N))
    spec = CampaignSpec(surrogate=Plugin(name=f"{file}:Mine"))
    with pytest.raises(PluginError, match=message):
        fit(folder, spec, store)
    assert store.model_cards() == []


def test_the_card_keeps_what_the_model_believes_of_the_other_candidates(
    folder: CampaignFolder, spec: CampaignSpec, store: Store, computed: Add
) -> None:
    fill(store, computed, range(N))
    trained = fit(folder, spec, store)
    noted = trained.card.details["unpicked"]
    assert isinstance(noted, dict)
    assert noted["candidates"] == len(UNPICKED)
    quantiles = noted["quantiles"]
    assert isinstance(quantiles, list)
    assert quantiles == sorted(quantiles)
    assert believed_values(trained.model, UNPICKED, spec.seed) == noted
    assert believed_values(trained.model, UNPICKED, spec.seed + 1) != noted
    assert believed_values(trained.model, UNPICKED[:0], 0) == {"candidates": 0, "quantiles": []}


def test_bounds_are_censored(spec: CampaignSpec, store: Store, computed: Add) -> None:
    fill(store, computed, range(3))
    plain = training_data(store, spec, usable_observations(store, spec))
    assert plain.censored is None
    first, second, _ = usable_observations(store, spec)
    store.add_observations(
        [
            first.model_copy(update={"bound": "below"}),
            second.model_copy(update={"bound": "above"}),
        ]
    )
    data = training_data(store, spec, usable_observations(store, spec))
    assert data.censored is not None
    assert data.censored.flatten().tolist() == [-1, 1, 0]
    assert data.y.tolist() == plain.y.tolist()


def test_standard_errors_are_noise(spec: CampaignSpec, store: Store, computed: Add) -> None:
    for order in range(3):
        computed(store, order, 10.0 + order, features=(float(order),))
    observations = store.observations()
    assert training_data(store, spec, observations).noise is None
    observations[1] = observations[1].model_copy(update={"uncertainty": 0.3})
    noise = training_data(store, spec, observations).noise
    assert noise is not None
    assert noise.flatten().isnan().tolist() == [True, False, True]
    assert float(noise[1]) == pytest.approx(0.3)

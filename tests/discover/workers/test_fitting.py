"""Fits in other processes: the same answers as here, from what JSON can carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from discover import plugins
from discover.campaign import Plugin
from discover.errors import LostFitError
from discover.workers.base import InTurn, Lost, Work
from discover.workers.fitting import fitted_by
from surrogates import TrainingData
from surrogates.validation import in_turn, validate

RIDGE = Plugin(name="bayesian-ridge")
PAIR = Plugin(name="mixture", options={"members": ["bayesian-ridge", "gp"]})


class Elsewhere:
    """Workers that are processes, as far as anybody can tell; they may lose what they are asked."""

    in_processes = True

    def __init__(self, *, careless: bool = False) -> None:
        self.asked: list[str] = []
        self._careless = careless

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        self.asked += chunks
        return [Lost("gone") if self._careless else work(chunk) for chunk in chunks]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Two targets with gaps, known noise, and groups."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((24, 3)))
    y = torch.stack([x.sum(dim=1), x[:, 0] - x[:, 1]], dim=1)
    y[3, 1] = torch.nan
    noise = torch.full_like(y, 0.01)
    noise[5, 0] = torch.nan
    return TrainingData(x=x, y=y, groups=torch.arange(24) // 2, noise=noise)


def test_a_validation_elsewhere_is_the_one_made_here(data: TrainingData) -> None:
    elsewhere = Elsewhere()
    ridge = plugins.create("surrogates", RIDGE.name)
    respondent = fitted_by(elsewhere, ridge, RIDGE, Path())
    assert respondent is not None
    assert validate(ridge, data, 0, respondent=respondent) == validate(ridge, data, 0)
    assert len(elsewhere.asked) == 10  # five folds of each target
    assert {json.loads(asked)["surrogate"] for asked in elsewhere.asked} == {"bayesian-ridge"}


def test_a_fit_that_workers_die_at_is_not_made_here(data: TrainingData) -> None:
    respondent = fitted_by(
        Elsewhere(careless=True), plugins.create("surrogates", "gp"), PAIR, Path()
    )
    assert respondent is not None
    ridge = plugins.create("surrogates", RIDGE.name)
    with pytest.raises(LostFitError, match="a fit of 'mixture' on 18 results: gone"):
        validate(ridge, data.output(0), 0, respondent=respondent)


def test_a_mixture_asks_for_all_its_members_at_once(data: TrainingData) -> None:
    elsewhere = Elsewhere()
    here, there = (plugins.create("surrogates", PAIR.name, PAIR.options) for _ in range(2))
    fitted_by(elsewhere, there, PAIR, Path())
    assert there.respondent is not in_turn
    one = data.output(0)
    mixed, expected = there.fit(one, 0), here.fit(one, 0)
    assert len(elsewhere.asked) == 10
    with torch.no_grad():
        x = one.x[:4].unsqueeze(-2)
        assert torch.equal(mixed.posterior(x).mean, expected.posterior(x).mean)


def test_auto_has_its_families_judged_elsewhere(data: TrainingData) -> None:
    chosen = Plugin(name="auto", options={"families": ["bayesian-ridge", "gp-linear"]})
    elsewhere = Elsewhere()
    here, there = (plugins.create("surrogates", chosen.name, chosen.options) for _ in range(2))
    respondent = fitted_by(elsewhere, there, chosen, Path())
    assert respondent is not None
    one = data.output(0)
    judged, expected = there.fit(one, 0), here.fit(one, 0)
    asked = len(elsewhere.asked)
    assert asked > 0
    with torch.no_grad():
        x = one.x[:4].unsqueeze(-2)
        assert torch.equal(judged.posterior(x).mean, expected.posterior(x).mean)
    found, known = validate(there, one, 0, respondent=respondent), validate(here, one, 0)
    assert found.metrics == known.metrics
    assert len(elsewhere.asked) > asked


def test_threads_share_what_libraries_keep_and_fit_nothing() -> None:
    assert fitted_by(InTurn(), plugins.create("surrogates", "gp"), RIDGE, Path()) is None

"""What every acquisition function must do, as tests that the author of one runs.

Subclass `AcquisitionConformance` in a test module and give it one fixture:

    class TestMine(AcquisitionConformance):
        @pytest.fixture
        def mine(self):
            return load_acquisition(score)

where `score` is a function `score(mean, std, context)` or a BoTorch class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from discover.acquisition.adapters import Acquisition
from discover.acquisition.context import Array
from discover.acquisition.selection import Selection, select
from discover.objectives import Goal

if TYPE_CHECKING:
    from botorch.models.model import Model


class AcquisitionConformance:
    """The contract of an acquisition function; subclass it and give it `mine`."""

    seed = 7

    @pytest.fixture(scope="class")
    def model(self) -> Model:
        """A Gaussian process of 20 observations of three descriptors."""
        import torch

        from surrogates import TrainingData
        from surrogates.gp import GaussianProcess

        x = self._pool(20, seed=1)
        return GaussianProcess().fit(
            TrainingData(torch.from_numpy(x), torch.from_numpy(self._target(x))[:, None]), seed=0
        )

    @staticmethod
    def _pool(rows: int, seed: int = 0) -> Array:
        return np.random.default_rng(seed).random((rows, 3))

    @staticmethod
    def _target(x: Array) -> Array:
        return np.asarray(np.sin(4 * x[:, 0]) + x[:, 1] ** 2)

    def _select(
        self,
        model: Model,
        mine: Acquisition,
        goal: Goal = "max",
        pending: Array | None = None,
        n: int = 4,
    ) -> list[Selection]:
        pool = self._pool(30)
        return select(
            model,
            pool,
            [f"candidate-{i}" for i in range(len(pool))],
            mine,
            goal=goal,
            observed=self._target(self._pool(20, seed=1)),
            pending=pending,
            n=n,
            seed=self.seed,
        )

    @pytest.mark.parametrize("goal", ["max", "min", "extremes"])
    def test_picks_are_distinct_and_finite(
        self, model: Model, mine: Acquisition, goal: Goal
    ) -> None:
        """For every goal."""
        picks = self._select(model, mine, goal)
        assert len({pick.index for pick in picks}) == 4
        assert np.isfinite([(pick.mean, pick.std, pick.score) for pick in picks]).all()

    def test_the_same_seed_gives_the_same_picks(self, model: Model, mine: Acquisition) -> None:
        """Whatever was drawn from the global generators before."""
        first = self._select(model, mine)
        np.random.default_rng().random(3)
        assert self._select(model, mine) == first

    def test_pending_results_are_taken_in(self, model: Model, mine: Acquisition) -> None:
        """It scores a pool of which a part is being computed, and the whole pool if asked."""
        picks = self._select(model, mine, pending=self._pool(3, seed=2), n=40)
        assert sorted(pick.index for pick in picks) == list(range(30))

"""What every acquisition for several properties must do, as tests that the author of one runs.

Subclass `JointAcquisitionConformance` in a test module and give it one fixture:

    class TestMine(JointAcquisitionConformance):
        @pytest.fixture
        def mine(self):
            return Mine()
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from discover.acquisition.aims import Aims, Array
from discover.acquisition.multi.context import JointAcquisition, JointContext
from discover.acquisition.multi.selection import JointSelection, select_jointly
from discover.properties import Property

if TYPE_CHECKING:
    from botorch.models.model import Model

POOL = 160
"""Candidates: more than are scored jointly, so that the pool is screened."""


class JointAcquisitionConformance:
    """The contract of an acquisition for several properties; subclass it and give it `mine`."""

    seed = 7

    @pytest.fixture(scope="class")
    def model(self) -> Model:
        """Gaussian processes of three properties, the last of which is known for a part only."""
        import torch

        from surrogates import TrainingData
        from surrogates.gp import GaussianProcess

        x, y = self._observed()
        data = TrainingData(torch.from_numpy(x), torch.from_numpy(y))
        return GaussianProcess().fit(data, seed=0)

    @staticmethod
    def _pool(rows: int = POOL, seed: int = 0) -> Array:
        return np.random.default_rng(seed).random((rows, 3))

    @staticmethod
    def _properties(x: Array) -> Array:
        return np.column_stack(
            [np.sin(3 * x[:, 0]) + x[:, 1], np.cos(3 * x[:, 0]), x[:, 0] + x[:, 2]]
        )

    def _observed(self) -> tuple[Array, Array]:
        x = self._pool(20, seed=1)
        y = self._properties(x)
        y[::4, 2] = np.nan
        return x, y

    def _context(self, pending: int = 0) -> JointContext:
        x, y = self._observed()
        named = tuple(Property(n, n, "1", "none", (-1e3, 1e3)) for n in ("a", "b", "c"))
        aims = Aims(
            properties=named,
            columns=(0, 1),
            signs=(1.0, -1.0),
            references=(0.0, -1.0),
            lower=(-np.inf, -np.inf, 0.4),
            upper=(np.inf, np.inf, np.inf),
        )
        return JointContext(aims, y, x, self._pool(pending, seed=2), len(x), self.seed)

    def _select(
        self, model: Model, mine: JointAcquisition, pending: int = 0, n: int = 3
    ) -> list[JointSelection]:
        return select_jointly(model, self._pool(), mine, self._context(pending), n=n)

    def test_picks_are_distinct_and_finite(self, model: Model, mine: JointAcquisition) -> None:
        """From a pool that is screened."""
        picks = self._select(model, mine)
        assert len({pick.index for pick in picks}) == 3
        assert np.isfinite([(*pick.mean, *pick.std, pick.score) for pick in picks]).all()
        assert picks[0].scored == POOL

    def test_the_same_seed_gives_the_same_picks(self, model: Model, mine: JointAcquisition) -> None:
        """Whatever was drawn from the global generators before."""
        import torch

        first = self._select(model, mine, n=2)
        torch.rand(3)
        assert self._select(model, mine, n=2) == first

    def test_pending_results_are_taken_in(self, model: Model, mine: JointAcquisition) -> None:
        """What is being computed already is not picked again, and a small pool can be used up."""
        pool, context = self._pool(), self._context()
        free = self._select(model, mine, n=1)[0]
        busy = replace(context, pending=pool[[free.index]])
        assert select_jointly(model, pool, mine, busy)[0].index != free.index
        assert len(select_jointly(model, pool[:2], mine, busy, n=5)) == 2

"""The built-in acquisitions for several properties keep their contract, and their options are checked."""

import numpy as np
import pytest

from discover.acquisition.multi.conformance import JointAcquisitionConformance
from discover.acquisition.multi.context import is_joint, load_joint_acquisition
from discover.acquisition.multi.desirability import Desirability
from discover.acquisition.multi.hypervolume import cells, log_expected_improvement
from discover.acquisition.multi.scalarized import ParEGO, ScalarizedImprovement
from discover.acquisition.multi.selection import select_jointly
from discover.errors import PluginError
from discover.plugins import BUILT_IN, load

JOINT = sorted(n for n in BUILT_IN["acquisitions"] if is_joint(load("acquisitions", n)))


class TestBuiltIn(JointAcquisitionConformance):
    @pytest.fixture(scope="class", params=JOINT)
    def mine(self, request):
        return load_joint_acquisition(request.param)

    def test_what_misses_a_constraint_for_certain_is_not_picked(self, model, mine):
        picks = self._select(model, mine, n=3)
        c = self._properties(self._pool())[[pick.index for pick in picks], 2]
        assert (c > 0.3).all()

    def test_one_that_answers_nonsense_is_refused(self, model, mine):
        class Broken:
            screen = staticmethod(lambda mean, std, context: np.full(len(mean), np.nan))
            score = staticmethod(lambda *_: np.zeros(3))

        with pytest.raises(PluginError, match="scores of nan"):
            select_jointly(model, self._pool(), Broken(), self._context())
        with pytest.raises(PluginError, match="must give 10 scores"):
            select_jointly(model, self._pool(10), Broken(), self._context())


def test_there_are_four():
    assert JOINT == ["desirability", "parego", "qlogei", "qlognehvi"]


def test_acquisitions_of_one_property_are_not_taken():
    with pytest.raises(PluginError, match="takes one property only"):
        load_joint_acquisition("logei")
    with pytest.raises(PluginError, match=r"qlognehvi.*samples"):
        load_joint_acquisition("qlognehvi", {"samples": 3})


@pytest.mark.parametrize("columns", [2, 3])
def test_the_analytic_improvement_is_that_of_many_draws(columns):
    import torch
    from botorch.utils.multi_objective.hypervolume import Hypervolume  # independent of ours

    rng = np.random.default_rng(1)
    front = rng.normal(size=(5, columns))
    reference = (-1.5,) * columns
    mean, std = rng.normal(size=(2, columns)), 0.2 + rng.random((2, columns))
    lower, upper = cells(front, reference)
    found = np.exp(log_expected_improvement(mean, std, lower, upper))
    volume = Hypervolume(torch.tensor(reference, dtype=torch.float64))

    def size(points):
        from botorch.utils.multi_objective.pareto import is_non_dominated

        points = torch.from_numpy(points)
        return volume.compute(points[is_non_dominated(points)])

    for i in range(2):
        draws = mean[i] + std[i] * rng.normal(size=(400, columns))
        gains = [size(np.vstack([front, d])) - size(front) for d in draws]
        assert found[i] == pytest.approx(np.mean(gains), abs=4 * np.std(gains) / 400**0.5)


def test_far_below_the_front_the_improvement_is_still_in_order():
    lower, upper = cells(np.array([[5.0, 5.0]]), (0.0, 0.0))
    mean, std = np.array([[-60.0, -60.0], [-50.0, -60.0]]), np.ones((2, 2))
    far, nearer = log_expected_improvement(mean, std, lower, upper)
    assert far < nearer < -1000


class TestOptions(JointAcquisitionConformance):
    @pytest.fixture
    def mine(self):
        return ScalarizedImprovement(weights={"a": 1.0, "b": 3.0})

    def test_weights_of_the_scalarization_add_up_to_one(self, mine):
        assert mine.weights(self._context()).tolist() == [0.25, 0.75]

    @pytest.mark.parametrize("weights", [{"a": 1.0}, {"a": 1.0, "c": 1.0}, {"a": 0.0, "b": 0.0}])
    def test_wrong_weights_are_refused(self, weights):
        context = self._context()
        with pytest.raises(PluginError, match="weights"):
            ScalarizedImprovement(weights=weights).weights(context)

    def test_parego_draws_other_weights_for_each_pick(self):
        context = self._context()
        first = ParEGO().weights(context)
        assert first.sum() == pytest.approx(1)
        assert (ParEGO().weights(context) == first).all()

    def test_desirability_goes_from_0_at_the_reference_to_1_at_the_target(self):
        mine = Desirability(targets={"a": 2.0, "b": -1.0}, powers={"a": 2.0})
        values = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [9.0, 9.0]])  # b is turned
        assert mine.overall(values, self._context()) == pytest.approx(
            [0.0, (0.5**2 * 0.5) ** 0.5, 1.0, 1.0]
        )

    @pytest.mark.parametrize("targets", [{"c": 1.0}, {"a": -3.0}])
    def test_wrong_targets_are_refused(self, targets):
        context = self._context()
        with pytest.raises(PluginError, match=r"not an objective|no better than its reference"):
            Desirability(targets=targets).overall(np.zeros((1, 2)), context)

import numpy as np
import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import TabularConformance
from surrogates.kernel_families import (
    ARDGaussianProcess,
    ARDLinearGaussianProcess,
    ARDRidge,
    BayesianRidge,
    InteractiveLinear,
    LinearGaussianProcess,
)


@pytest.mark.parametrize(
    "surrogate",
    [
        BayesianRidge(),
        ARDRidge(),
        InteractiveLinear(),
        ARDGaussianProcess(),
        LinearGaussianProcess(),
        ARDLinearGaussianProcess(),
    ],
    ids=lambda s: type(s).__name__,
    scope="class",
)
class TestKernelFamilies(TabularConformance):
    pass


def test_a_variance_for_each_coefficient_leaves_out_what_does_not_matter() -> None:
    """Two of thirty columns matter: known apart, they extrapolate further than a shared variance."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((45, 30)))
    y = (2 * x[:, :1] - x[:, 1:2]) + 0.3 * torch.from_numpy(rng.standard_normal((45, 1)))
    beyond = torch.from_numpy(rng.standard_normal((200, 30))) * 3
    truth = 2 * beyond[:, :1] - beyond[:, 1:2]

    def error(surrogate: ARDRidge | BayesianRidge) -> float:
        with torch.no_grad():
            mean = surrogate.fit(TrainingData(x, y), 0).posterior(beyond).mean
        return float((mean - truth).square().mean().sqrt())

    assert error(ARDRidge()) < 0.7 * error(BayesianRidge())
    relevances = np.array(ARDRidge().fit(TrainingData(x, y), 0).details["relevances"])
    assert set(np.argsort(-relevances)[:2]) == {0, 1}

import numpy as np
import torch

from surrogates.conformance import example_data
from surrogates.gated_mixture import Blend, Gate, GatedMixture
from surrogates.gaussian import GaussianModel
from surrogates.judgement import REGIMES


def test_the_shares_of_the_regimes_add_up():
    data = example_data(30)
    gate = Gate.of(data)
    x = torch.cat([data.x, 5 * data.x])
    mean = torch.cat([data.y, data.y]).squeeze(-1)
    inside, edge, novel = shares = gate(x, mean)
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(60).double())
    assert bool((shares >= 0).all())
    assert float(edge[mean.argmax()]) > 0.5
    middle = (mean - data.y.median()).abs() < 0.1
    assert float(inside[:30][middle[:30]].min()) > 0.3
    assert float(novel[30:][middle[30:]].min()) > 0.9


class Steady(GaussianModel):
    """The same mean and variance everywhere, each point by itself."""

    def __init__(self, mean, variance):
        super().__init__()
        self.mean, self.variance = mean, variance

    def moments(self, x, *, observation_noise=False):
        return torch.full(x.shape[:-1], self.mean).double(), self.variance * torch.eye(x.shape[-2])


def test_who_is_unsure_of_a_candidate_is_believed_less_there():
    data = example_data(30)
    members = {"sure": Steady(1.0, 0.1), "unsure": Steady(5.0, 10.0)}
    equal, scales = torch.full((len(REGIMES), 2), 0.5).double(), torch.ones(len(REGIMES)).double()
    model = GatedMixture(members, Blend(equal, scales, Gate.of(data)), {})
    mean, covariance = model.moments(data.x[:3].double())
    shares = np.array([1 / 0.1, 1 / 10.0]) / (1 / 0.1 + 1 / 10.0)
    expected = float(shares @ [1.0, 5.0])
    torch.testing.assert_close(mean, torch.full((3,), expected).double())
    spread = float(shares @ (np.array([1.0, 5.0]) - expected) ** 2)
    own = float(shares @ [0.1, 10.0])
    torch.testing.assert_close(covariance.diagonal(), torch.full((3,), own + spread).double())
    # where held-out errors were three times what all stated, no mean changes, all intervals do
    humbled, wider = GatedMixture(members, Blend(equal, 3 * scales, Gate.of(data)), {}).moments(
        data.x[:3].double()
    )
    torch.testing.assert_close(humbled, mean)
    torch.testing.assert_close(wider, 9 * covariance)

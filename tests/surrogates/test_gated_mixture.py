import numpy as np
import torch

from discover import plugins
from surrogates.conformance import example_data
from surrogates.gated_mixture import Blend, Gate, GatedMixture
from surrogates.gaussian import GaussianModel
from surrogates.judgement import REGIMES
from surrogates.screening import screening_of


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


def test_while_a_pool_is_screened_who_weighs_little_everywhere_is_not_asked():
    data, pool = example_data(40), example_data(60, seed=3).x
    members = {n: plugins.create("surrogates", n).fit(data, 0) for n in ("gp", "bayesian-ridge")}
    weights = torch.tensor([[0.8, 0.2]] * len(REGIMES)).double()
    blend = Blend(weights, torch.ones(len(REGIMES)).double(), Gate.of(data))
    mean, _ = GatedMixture(members, blend, {}).screening(data.x[:0])(pool)
    alone, _ = screening_of(members["gp"], data.x[:0])(pool)
    torch.testing.assert_close(mean, alone)
    weights[1] = 0.5
    model = GatedMixture(members, blend, {})
    with torch.no_grad():
        mean, variance = model.screening(data.x[:0])(pool)
        expected, covariance = model.moments(pool.unsqueeze(1))
    assert float((mean - expected[:, 0]).abs().max()) < 0.01 * float(data.y.std())
    error = (variance.sqrt() - covariance.flatten().sqrt()).abs()
    assert float(error.max()) < 0.03 * float(data.y.std())

import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import TabularConformance, example_data
from surrogates.gp import GaussianProcess


class TestGaussianProcess(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self):
        return GaussianProcess()


def test_the_posterior_solves_the_normal_equations():
    """Mean and covariance against Rasmussen & Williams (2006), eqs. 2.23 and 2.24, by hand."""
    data, new = example_data(15), example_data(4, seed=1).x
    model = GaussianProcess().fit(data, seed=0)
    low, high = data.x.amin(dim=0), data.x.amax(dim=0)
    varying = high > low
    unit = (high - low)[varying]

    def kernel(a, b):
        a, b = ((x[:, varying] - low[varying]) / unit for x in (a, b))
        r = 5**0.5 * torch.cdist(a, b) / model.covar_module.lengthscale
        return (1 + r + r**2 / 3) * torch.exp(-r)  # Matérn-5/2, eq. 4.17

    noise = model.likelihood.noise * torch.eye(15)
    shift, scale = data.y.mean(), data.y.std()
    prior_mean = model.mean_module.constant
    gain = kernel(new, data.x) @ torch.linalg.inv(kernel(data.x, data.x) + noise)
    mean = prior_mean + gain @ ((data.y - shift) / scale - prior_mean)
    covariance = kernel(new, new) - gain @ kernel(data.x, new)
    with torch.no_grad():
        posterior = model.posterior(new)
    torch.testing.assert_close(posterior.mean, (shift + scale * mean).detach())
    torch.testing.assert_close(
        posterior.distribution.covariance_matrix, (scale**2 * covariance).detach()
    )


def test_more_rows_than_set_the_parameters():
    """Above 500 rows a part of them sets the parameters; the posterior knows all, and interpolates."""
    x = torch.linspace(0, 1, 900, dtype=torch.float64).unsqueeze(-1)
    y = torch.sin(6 * x)
    with torch.no_grad():
        posterior = GaussianProcess().fit(TrainingData(x, y), seed=0).posterior(x[::50])
    assert float((posterior.mean - y[::50]).abs().max()) < 0.01
    assert float(posterior.variance.max()) < 1e-3

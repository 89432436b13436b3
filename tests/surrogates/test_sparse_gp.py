import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import TabularConformance, example_data
from surrogates.kernel_sum import KernelSumGP
from surrogates.sparse_gp import SparseGaussianProcess
from surrogates.sparse_kernel_sum import SparseKernelSumGP


class TestSparseGaussianProcess(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self):
        return SparseGaussianProcess(inducing=30)


def test_inducing_points_at_all_rows_give_the_exact_posterior():
    """Titsias' bound is tight there: same evidence, same posterior as the exact process."""
    data, new = example_data(20), example_data(5, seed=1).x
    noise = torch.linspace(0.0, 0.5, 20).double()
    options = {"terms": ("descriptors", "smooth")}
    exact = KernelSumGP(data.x, data.y, noise, **options)
    sparse = SparseKernelSumGP(data.x, data.y, noise, inducing=data.x, **options)
    with torch.no_grad():
        assert float(sparse.loss()) == pytest.approx(float(exact.loss()), rel=1e-3)
        for one, two in zip(exact.moments(new), sparse.moments(new), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_thousands_of_rows():
    x = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0)).double()
    y = torch.sin(6 * x[:, :1]) + x[:, 1:2]
    model = SparseGaussianProcess(inducing=60).fit(TrainingData(x[:2900], y[:2900]), seed=0)
    with torch.no_grad():
        error = model.posterior(x[2900:]).mean - y[2900:]
    assert float(error.square().mean().sqrt()) < 0.05  # the target spreads by 0.7

import pytest
import torch

from surrogates import TrainingData, kernel_families, persistence
from surrogates.conformance import TabularConformance, example_data
from surrogates.kernel_families import ARDLinearGaussianProcess
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


def test_families_see_many_rows_through_inducing_points(monkeypatch, tmp_path):
    """About the same answers as the exact model gives, from disk too."""
    x = torch.rand(300, 4, generator=torch.Generator().manual_seed(0)).double()
    x[:, 3] = (x[:, 3] > 0.5).double()
    y = torch.sin(4 * x[:, :1]) + x[:, 1:2] * x[:, 3:]
    family, data, new = ARDLinearGaussianProcess(), TrainingData(x[:250], y[:250]), x[250:]
    monkeypatch.setattr(kernel_families, "LEARNING_ROWS", 100)
    exact = family.fit(data, seed=0)
    monkeypatch.setattr(kernel_families, "EXACT_ROWS", 200)
    monkeypatch.setattr(kernel_families, "INDUCING", 120)
    sparse = family.fit(data, seed=0)
    assert isinstance(sparse, SparseKernelSumGP)
    persistence.save(sparse, tmp_path)
    with torch.no_grad():
        one, two, again = (m.posterior(new) for m in (exact, sparse, persistence.load(tmp_path)))
    assert float((one.mean - two.mean).abs().max()) < 0.05
    assert bool((two.variance < 1.5 * one.variance + 1e-3).all())
    torch.testing.assert_close(two.mean, again.mean)

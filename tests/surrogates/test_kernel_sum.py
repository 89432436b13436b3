import math

import pytest
import torch

from surrogates.kernel_sum import KernelSumGP

TERMS = ("descriptors", "categories", "interactions", "smooth")


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(20, 5, generator=generator, dtype=torch.float64)
    x[:, 4] = (x[:, 4] > 0.5).double()
    x[7] = x[8]  # no distance: the kernel's root has no slope there
    return x, (2 * x[:, :1] + x[:, 4:]).sin()


def model(terms: tuple[str, ...], *, ard: bool) -> KernelSumGP:
    x, y = rows()
    return KernelSumGP(x, y, terms=terms, categories=(4,), ard=ard)


@pytest.mark.parametrize("terms", [TERMS, ("smooth",), ("descriptors", "categories")])
@pytest.mark.parametrize("ard", [True, False])
def test_the_slope_of_the_loss_is_that_of_finite_differences(
    terms: tuple[str, ...], *, ard: bool
) -> None:
    gp = model(terms, ard=ard)
    for parameter in gp.parameters():
        parameter.data += 0.1
    gp.loss().backward()
    for parameter in gp.parameters():
        if parameter.grad is None:
            continue
        of_each = parameter.data.view(-1)
        for i, slope in enumerate(parameter.grad.view(-1)):
            ends = []
            for step in (1e-5, -2e-5):
                of_each[i] += step
                ends.append(gp.loss().item())
            of_each[i] += 1e-5
            assert slope.item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-6)


def test_the_loss_is_the_density_of_the_values() -> None:
    """Differences of the loss against those of PyTorch's multivariate normal; the priors apart."""
    x, y = rows()
    gp = model(TERMS, ard=False)
    gp.requires_grad_(requires_grad=False)
    values = ((y - y.mean()) / y.std()).squeeze(-1)
    zero = torch.zeros(20, dtype=torch.float64)

    def density() -> float:
        noise = gp.noise_variance * torch.eye(20, dtype=torch.float64)
        covariance = gp.covariance(x, x) + noise
        return torch.distributions.MultivariateNormal(zero, covariance).log_prob(values).item()

    expected = -density() - 10 * math.log(2 * math.pi)
    assert (gp.loss() - gp._prior()).item() == pytest.approx(expected)


def test_known_rows_are_scaled_as_candidates_are() -> None:
    x, _ = rows()
    gp = model(TERMS, ard=True)
    torch.testing.assert_close(gp.covariance(x, x), gp.covariance(x.clone(), x.clone()))
    torch.testing.assert_close(gp.covariance(x, x).diagonal(), gp.variances(x))

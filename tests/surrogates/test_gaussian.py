import pytest
import torch
from botorch.models.ensemble import EnsembleModel

from discover.errors import SurrogateError
from surrogates.conformance import example_data
from surrogates.gaussian import (
    GaussianModel,
    jittered,
    joint_moments,
    member_covariance,
    mixture_moments,
    solved,
)


class Members(EnsembleModel):
    """A plain BoTorch ensemble of three linear members."""

    def forward(self, X):  # noqa: N803
        slopes = torch.tensor([0.5, 1.0, 1.5]).double()
        return (X.sum(dim=-1).unsqueeze(-2) * slopes.unsqueeze(-1)).unsqueeze(-1)


class White(GaussianModel):
    def moments(self, x, *, observation_noise=False):
        noise = 3.0 if observation_noise else 0.0
        return x.sum(dim=-1), (1 + noise) * torch.eye(x.shape[-2]).double()


def test_a_plain_botorch_ensemble_has_joint_moments():
    x = torch.tensor([[1.0], [2.0]]).double()
    mean, covariance = joint_moments(Members(), x)
    torch.testing.assert_close(mean, torch.tensor([1.0, 2.0]).double())
    # variance of (0.5, 1, 1.5) is 1/4; the correlation 1 is shrunk by 1 - 1/3
    expected = torch.tensor([[0.25, 0.5 * 2 / 3], [0.5 * 2 / 3, 1.0]]).double()
    torch.testing.assert_close(covariance, expected)


def test_few_members_do_not_explain_everything():
    """Four members, ten points: the sample covariance has rank three, this one has rank ten."""
    values = torch.randn(4, 10, generator=torch.Generator().manual_seed(0)).double()
    assert torch.linalg.matrix_rank(member_covariance(values)) == 10
    torch.testing.assert_close(member_covariance(values).diagonal(), values.var(dim=0))


def test_one_member_is_no_mixture():
    mean = torch.tensor([[1.0, 2.0]]).double()
    covariance = torch.eye(2).double().unsqueeze(0)
    one = mixture_moments([1.0], [(mean, covariance)])
    torch.testing.assert_close(one[0], mean)
    torch.testing.assert_close(one[1], covariance)


def test_disagreement_is_uncertainty():
    """Two certain members at 0 and 2 with equal weight: mean 1, variance 1."""
    nothing = torch.zeros(1, 1).double()
    mean, covariance = mixture_moments(
        [0.5, 0.5], [(torch.zeros(1).double(), nothing), (2 * torch.ones(1).double(), nothing)]
    )
    assert (float(mean), float(covariance)) == (1.0, 1.0)


def test_a_singular_covariance_can_be_factorized():
    torch.linalg.cholesky(jittered(torch.ones(5, 5).double()))


def test_observation_noise_and_outputs():
    model, x = White(), example_data(3).x
    noisy = model.posterior(x, observation_noise=True).variance
    torch.testing.assert_close(noisy, torch.full((3, 1), 4.0).double())
    with pytest.raises(SurrogateError, match="one output"):
        model.posterior(x, output_indices=[1])
    with pytest.raises(SurrogateError, match="observation noise"):
        model.posterior(x, observation_noise=torch.ones(3, 1))


def test_many_batches_are_solved_without_a_copy_of_the_root_for_each():
    """Four thousand copies of this root would be 80 GB."""
    generator = torch.Generator().manual_seed(0)
    root = (
        torch.rand(1600, 1600, generator=generator).double().tril() + 40 * torch.eye(1600).double()
    )
    many = torch.rand(50, 1600, 2, generator=generator).double()
    expected = torch.stack([torch.linalg.solve_triangular(root, b, upper=False) for b in many])
    torch.testing.assert_close(solved(root, many), expected)
    torch.testing.assert_close(solved(root, many[0]), expected[0])
    assert solved(root, many[:1, :, :1].expand(4000, -1, -1)).shape == (4000, 1600, 1)

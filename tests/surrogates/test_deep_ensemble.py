import pytest
import torch

from discover.errors import PluginError
from discover.plugins import create
from surrogates import TrainingData
from surrogates.conformance import TabularConformance, example_data
from surrogates.deep_ensemble import DeepEnsemble


class TestDeepEnsemble(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self):
        return DeepEnsemble()


def test_members_are_trained_independently():
    """The sum of their losses has no cross terms, so what one does never depends on the others."""
    data = example_data(12)
    model = DeepEnsemble(members=4, steps=5).fit(data, seed=0)
    x = data.x[:3]
    values = model.members(x)
    assert values.shape == (4, 3)
    torch.testing.assert_close(model.posterior(x).mean.squeeze(-1), values.mean(dim=0))
    assert float(values.std(dim=0).min()) > 0


def test_noise_is_found():
    """Targets that scatter by 0.5 around a line: the out-of-bag estimate is near that."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(300, 2, generator=generator, dtype=torch.float64)
    y = x[:, :1] + 0.5 * torch.randn(300, 1, generator=generator, dtype=torch.float64)
    model = DeepEnsemble().fit(TrainingData(x, y), seed=0)
    with torch.no_grad():
        spread = model.posterior(x, observation_noise=True).variance.mean().sqrt()
    assert 0.35 < float(spread) < 0.75


def test_options_are_checked():
    with pytest.raises(PluginError, match="members: input should be greater than or equal to 4"):
        create("surrogates", "deep-ensemble", {"members": 1})

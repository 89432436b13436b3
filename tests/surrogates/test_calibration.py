import numpy as np
import pytest
import torch

from surrogates import TrainingData
from surrogates.calibration import Calibrated, Judged, judge, report, scale_of
from surrogates.conformance import TabularConformance, example_data
from surrogates.domain import Domain
from surrogates.gaussian import GaussianModel


class TestCalibrated(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self):
        return Calibrated("bayesian-ridge")


class Sure(GaussianModel):
    """Zero, with a standard deviation of a third."""

    def moments(self, x, *, observation_noise=False):
        return torch.zeros(x.shape[:-1]).double(), torch.eye(x.shape[-2]).double() / 9


class TooSure:
    def fit(self, data, seed):
        return Sure()


def test_scales_give_the_nominal_coverage():
    """Errors of one, three times what the model says: both scales are about three."""
    rng = np.random.default_rng(0)
    data = TrainingData(torch.tensor(rng.random((400, 2))), torch.tensor(rng.normal(size=(400, 1))))
    half = np.arange(200)
    judged = judge(TooSure(), data, [(half, half + 200)], seed=0)
    inside, outside = report(judged)
    assert inside["scale"] == pytest.approx(3, rel=0.15)
    assert inside["rows"] + outside["rows"] == 200
    assert inside["coverage_90"] < 0.55
    assert inside["coverage_90_scaled"] == pytest.approx(0.9, abs=0.06)


def test_few_rows_move_a_scale_little():
    assert scale_of(np.array([5.0])) < 2
    assert scale_of(np.zeros(0)) == 1
    inside, outside = report(Judged(np.array([1.0]), np.array([False])))
    assert (outside["scale"], outside["coverage_90"]) == (1.0, None)
    assert inside["coverage_90"] == 1.0


def test_the_card_shows_inside_and_outside():
    details = Calibrated("bayesian-ridge").fit(example_data(30), seed=0).details
    assert set(details["calibration"]) == {"inside", "outside"}
    assert details["calibration"]["outside"]["rows"] > 0
    assert "noise_std" in details


def test_what_is_like_the_rows_is_inside():
    x = torch.rand(100, 3, generator=torch.Generator().manual_seed(0)).double()
    domain = Domain(x)
    assert float(domain.outside(x).double().mean()) < 0.1
    assert bool(domain.outside(x + 2).all())
    assert domain.outside(x.reshape(20, 5, 3)).shape == (20, 5)

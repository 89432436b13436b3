import numpy as np
import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import TabularConformance, example_data
from surrogates.persistence import load, save
from surrogates.trees import GradientBoosting, RandomForest


@pytest.mark.parametrize(
    "surrogate",
    [RandomForest(members=50), GradientBoosting(members=4, iterations=30)],
    ids=lambda s: type(s).__name__,
    scope="class",
)
class TestTrees(TabularConformance):
    rows = 60


def test_groups_are_judged_by_trees_that_saw_none_of_them():
    """Twins that no other row explains: without groups their twin would vouch for them."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(40, 5)), 2, axis=0)
    y = np.repeat(rng.normal(size=(40, 1)), 2, axis=0)
    groups = torch.arange(40).repeat_interleave(2)
    noise = []
    for given in (None, groups):
        model = RandomForest(members=50).fit(
            TrainingData(torch.tensor(x), torch.tensor(y), given), seed=0
        )
        with torch.no_grad():
            new = torch.tensor(rng.normal(size=(50, 1, 5)))
            noise.append(float(model.posterior(new, observation_noise=True).variance.mean()))
    assert noise[1] > noise[0]
    assert noise[1] == pytest.approx(y.var(), rel=0.5)


class Rounded(RandomForest):
    """Says, as scikit-learn does now and then, that an unused column matters less than nothing."""

    def fit_member(self, x, y, weights, seed):
        trees, importance = super().fit_member(x, y, weights, seed)
        return trees, np.where(importance == 0, -1e-17, importance)


def test_importances_below_zero_by_rounding_do_no_harm():
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[:, 2] = 1.0
    data = TrainingData(torch.tensor(x), torch.tensor(x[:, :1]))
    rounded, usual = (kind(members=20).fit(data, seed=0) for kind in (Rounded, RandomForest))
    assert rounded.factors.isfinite().all()
    torch.testing.assert_close(rounded.factors, usual.factors)


def test_one_group_alone_is_judged_on_the_scale_of_its_target():
    """Members all see the same rows: nothing is held out, and the factors are those of the priors."""
    data = example_data(30)
    stds = []
    for unit in (1.0, 2.0**-10):  # a power of two: ties between splits are broken alike
        whole = TrainingData(data.x, unit * data.y, groups=torch.zeros(30).long())
        model = RandomForest(members=8).fit(whole, seed=0)
        with torch.no_grad():
            stds.append(model.posterior(data.x + 1).variance.sqrt() / unit)
    torch.testing.assert_close(stds[0], stds[1], rtol=0.05, atol=0.0)


@pytest.mark.parametrize("surrogate", [RandomForest(members=8), GradientBoosting(members=4)])
def test_noise_that_is_stated_too_large_is_fitted_all_the_same(surrogate):
    data = example_data(20)
    for rows in (slice(None), slice(1, None)):
        noise = torch.full(data.y.shape, torch.nan).double()
        noise[rows] = 1e4 * data.y.std()
        model = surrogate.fit(TrainingData(data.x, data.y, noise=noise), seed=0)
        with torch.no_grad():
            assert bool((model.posterior(data.x).variance > 0).all())


@pytest.mark.parametrize(
    "surrogate", [RandomForest(members=50), GradientBoosting(members=4, iterations=30)]
)
@pytest.mark.parametrize(
    ("shift_x", "unit_x", "shift_y"), [(0.0, 1e-10, 0.0), (1e6, 1.0, 0.0), (0.0, 1.0, 1e9)]
)
def test_neither_small_units_nor_large_offsets_blind_the_trees(
    surrogate, shift_x, unit_x, shift_y, tmp_path
):
    """scikit-learn compares in single precision, and takes a range below 1e-7 for none."""
    usual = example_data(60)
    odd = TrainingData(shift_x + unit_x * usual.x.double(), shift_y + usual.y.double())
    fitted = surrogate.fit(odd, seed=0)
    save(fitted, tmp_path)
    with torch.no_grad():
        expected = surrogate.fit(usual, seed=0).posterior(usual.x.unsqueeze(1)).mean
        for model in (fitted, load(tmp_path)):
            found = model.posterior(odd.x.unsqueeze(1)).mean - shift_y
            torch.testing.assert_close(found, expected.double(), atol=1e-4, rtol=1e-2)


def test_few_descriptors_are_all_looked_at():
    """Splits that see one of three columns part rows by the one that says nothing, and overfit."""
    x = torch.randint(0, 2, (80, 3), generator=torch.Generator().manual_seed(0)).double()
    y = 2 * x[:, :1] + x[:, 1:2]
    x[:, 2] = torch.rand(80, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = RandomForest(members=50).fit(TrainingData(x, y), seed=0).posterior(x.unsqueeze(1))
    torch.testing.assert_close(found.mean[:, 0], y, atol=1e-6, rtol=0)

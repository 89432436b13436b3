import threading

import numpy as np
import pytest
import torch

from discover import plugins
from discover.acquisition import selection
from discover.acquisition.adapters import load_acquisition
from discover.acquisition.believed import Belief
from discover.acquisition.selection import select
from surrogates import TrainingData
from surrogates.deep_ensemble import DeepEnsemble
from surrogates.gaussian import GaussianModel, joint_moments
from surrogates.gp import GaussianProcess

rng = np.random.default_rng(0)
SEEN = rng.random((25, 3))
POOL = rng.random((200, 3))
IDS = [f"c{i}" for i in range(200)]


def target(x):
    return np.sin(4 * x[:, 0]) + x[:, 1] ** 2


@pytest.fixture(scope="module", params=[GaussianProcess, DeepEnsemble])
def model(request):
    data = TrainingData(torch.from_numpy(SEEN), torch.from_numpy(target(SEEN))[:, None])
    return request.param().fit(data, seed=0)


def pick(model, name, pool=POOL, ids=IDS, **others):
    arguments = {"goal": "max", "observed": target(SEEN)} | others
    return select(model, pool, ids, load_acquisition(name), **arguments)


def test_believing_is_conditioning_on_the_mean():
    """Against a Gaussian process that is really told the expected results of the pending points."""
    model = GaussianProcess().fit(
        TrainingData(torch.from_numpy(SEEN), torch.from_numpy(target(SEEN))[:, None]), seed=0
    )
    pending, x = torch.from_numpy(POOL[:3]), torch.from_numpy(POOL[3:9])
    with torch.no_grad():
        mean, covariance = Belief(model, pending).moments(x)
        results = model.outcome_transform(model.posterior(pending).mean)[0]
        told = model.get_fantasy_model(model.transform_inputs(pending), results.squeeze(-1))
        posterior = told.posterior(x)
    torch.testing.assert_close(mean, posterior.mean.squeeze(-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        covariance, posterior.distribution.covariance_matrix, rtol=1e-3, atol=1e-6
    )


def test_pending_points_are_avoided(model):
    """What is running next to a candidate makes that candidate less uncertain and less wanted."""
    (free,) = pick(model, "std")
    (given,) = pick(model, "std", pending=POOL[[free.index]] + 1e-3)
    assert given.index != free.index
    (near,) = pick(model, "std", POOL[[free.index]], IDS[:1], pending=POOL[[free.index]] + 1e-3)
    assert near.std < 0.7 * free.std


def test_later_picks_see_the_earlier_ones_as_pending(model):
    """Three at once are the three that one after the other would be, had each been started."""
    together = pick(model, "logei", n=3)
    running, one_by_one = np.zeros((0, 3)), []
    for _ in range(3):
        rest = [i for i in range(200) if i not in one_by_one]
        (best,) = pick(model, "logei", POOL[rest], [IDS[i] for i in rest], pending=running)
        one_by_one.append(rest[best.index])
        running = POOL[one_by_one]
    assert [best.index for best in together] == one_by_one


def test_goals(model):
    with torch.no_grad():
        mean = model.posterior(torch.from_numpy(POOL)).mean.squeeze(-1).numpy()
    highest, lowest = int(mean.argmax()), int(mean.argmin())
    assert pick(model, "greedy")[0].index == highest
    assert pick(model, "greedy", goal="min")[0].index == lowest
    assert pick(model, "greedy", goal="min")[0].mean == pytest.approx(mean[lowest])
    middle = (target(SEEN).min() + target(SEEN).max()) / 2
    both = pick(model, "greedy", goal="extremes", n=200)
    assert [b.index for b in both] == np.argsort(-np.abs(mean - middle), kind="stable").tolist()


def test_predictions_are_of_the_result_to_come(model):
    """Mean and noisy standard deviation of the model, whatever the acquisition function."""
    (best,) = pick(model, "random")
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(POOL[[best.index]]), observation_noise=True)
    assert best.mean == pytest.approx(float(posterior.mean))
    assert best.std == pytest.approx(float(posterior.variance.sqrt()), rel=1e-5)


@pytest.mark.parametrize("name", ["logei", "ucb", "std", "greedy", "random", "extremes"])
def test_a_large_pool_is_picked_from_like_a_small_one(model, name, monkeypatch):
    """Chunks and a shortlist change nothing for the first pick; here not for the next ones either."""
    whole = pick(model, name, n=3, pending=POOL[:2] + 0.01)
    monkeypatch.setattr(selection, "SHORTLIST", 60)
    monkeypatch.setattr(selection, "CHUNK", 37)
    parts = pick(model, name, n=3, pending=POOL[:2] + 0.01)
    assert [p.index for p in parts] == [p.index for p in whole]
    np.testing.assert_allclose([p.score for p in parts], [p.score for p in whole], rtol=1e-4)


@pytest.mark.parametrize("name", ["gp", "gp-linear", "sparse-gp", "random-forest", "mixture"])
def test_threads_pick_what_one_thread_picks(name, monkeypatch):
    """To the last bit: chunks are computed at once, but each for itself."""
    monkeypatch.setattr(selection, "SHORTLIST", 20)
    monkeypatch.setattr(selection, "CHUNK", 10)
    data = TrainingData(torch.from_numpy(SEEN), torch.from_numpy(target(SEEN))[:, None])
    model = plugins.create("surrogates", name).fit(data, seed=0)
    picks = []
    for cores in (1, 4, 4):
        monkeypatch.setattr(selection.os, "sched_getaffinity", lambda _, n=cores: set(range(n)))
        picks.append(pick(model, "logei", n=3))
    assert picks[0] == picks[1] == picks[2]


def test_a_model_without_a_screening_of_its_own_is_asked_by_one_thread(model, monkeypatch):
    monkeypatch.setattr(selection, "SHORTLIST", 20)
    monkeypatch.setattr(selection, "CHUNK", 10)
    monkeypatch.setattr(type(model), "screening", None, raising=False)
    asked = set()
    before = Belief.moments

    def moments(self, x):
        asked.add(threading.get_ident())
        return before(self, x)

    monkeypatch.setattr(Belief, "moments", moments)
    pick(model, "logei")
    assert asked == {threading.get_ident()}


def test_when_time_is_over_the_best_so_far_is_picked(model, monkeypatch):
    monkeypatch.setattr(selection, "SHORTLIST", 20)
    monkeypatch.setattr(selection, "CHUNK", 25)
    (whole,) = pick(model, "greedy", seconds=1e6)
    (hasty,) = pick(model, "greedy", seconds=0.0)
    (again,) = pick(model, "greedy", seconds=0.0)
    assert (whole.scored, hasty.scored) == (200, 25)
    assert hasty.index == again.index
    assert hasty.mean <= whole.mean


def test_a_pool_may_be_a_memory_map(model, monkeypatch, tmp_path):
    monkeypatch.setattr(selection, "SHORTLIST", 20)
    np.save(tmp_path / "pool.npy", POOL)
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    assert pick(model, "logei", mapped, n=3) == pick(model, "logei", n=3)


def test_screening_agrees_with_the_posterior():
    """In single precision, pending results believed."""
    data = TrainingData(torch.from_numpy(SEEN), torch.from_numpy(target(SEEN))[:, None])
    model = GaussianProcess().fit(data, seed=0)
    x = torch.from_numpy(POOL)
    for pending in (x[:0], x[:4] + 0.01):
        belief = Belief(model, pending)
        with torch.no_grad():
            mean, covariance = belief.moments(x)
            fast_mean, fast_variance = belief.screening()(x)
        torch.testing.assert_close(fast_mean, mean, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(fast_variance, covariance.diagonal(), rtol=1e-2, atol=1e-5)


def test_thompson_on_a_shortlist_draws_among_the_plausible(model, monkeypatch):
    monkeypatch.setattr(selection, "SHORTLIST", 20)
    with torch.no_grad():
        mean, covariance = joint_moments(model, torch.from_numpy(POOL))
    bound = (mean + 3 * covariance.diagonal().sqrt()).numpy()
    plausible = set(np.argsort(-bound)[:20].tolist())
    picks = {pick(model, "thompson", seed=seed)[0].index for seed in range(12)}
    assert picks <= plausible
    assert len(picks) > 1


class Certain(GaussianModel):
    """Knows everything: the same value everywhere, without doubt."""

    def moments(self, x, *, observation_noise=False):
        return torch.zeros(x.shape[:-1]).double(), torch.zeros(*x.shape[:-1], x.shape[-2]).double()


def test_ties_go_to_the_first_and_certainty_is_no_error():
    for name in ("logei", "ucb", "std", "greedy", "thompson", "extremes"):
        picks = pick(Certain(), name, n=3)
        assert [p.index for p in picks] == [0, 1, 2]
        assert np.isfinite([p.score for p in picks]).all()


def test_random_draws_go_on_where_a_calculation_failed(model):
    """Of two picks one failed and the other runs: the third is a new draw, not the second again."""

    def drawn(mean, std, context):
        return context.rng.random(len(mean))

    second, third = pick(model, drawn, picks=26, n=2)
    assert pick(model, drawn, pending=POOL[:1], picks=27)[0].index == third.index
    assert pick(model, drawn, pending=POOL[:1])[0].index == second.index  # 25 observed, 1 pending


def test_a_pool_smaller_than_asked_for_is_used_up(model):
    assert len(pick(model, "logei", POOL[:2], IDS[:2], n=5)) == 2


def test_one_row_for_each_id(model):
    with pytest.raises(ValueError, match="one row for each id"):
        pick(model, "logei", POOL, IDS[:5])


@pytest.mark.parametrize("name", ["logei", "ucb", "thompson", "greedy"])
def test_what_hardly_meets_the_constraints_is_not_picked(model, name):
    def log_feasible(x):
        return np.where(x[:, 2] < 0.3, 0.0, -700.0)

    picks = pick(model, name, n=3, log_feasible=log_feasible)
    assert (POOL[[one.index for one in picks], 2] < 0.3).all()


def test_constraints_that_all_meet_change_nothing(model):
    free = pick(model, "logei", n=3)
    assert pick(model, "logei", n=3, log_feasible=lambda x: np.zeros(len(x))) == free

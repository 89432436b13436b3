"""Which property of which candidate is computed next: information, hope and cost each count."""

import numpy as np
import pytest

from discover.acquisition.aims import Aims
from discover.acquisition.multi.context import JointContext
from discover.acquisition.multi.decoupled import Beliefs, best_look, improvement, root
from discover.acquisition.multi.hypervolume import cells
from discover.properties import Property

NAMED = tuple(Property(n, n, "1", "none", (-1e3, 1e3)) for n in ("cheap", "dear"))
GIVES = ((0,), (1,))


def context(observed=((0.0, 0.0),)):
    aims = Aims(NAMED, (0, 1), (1.0, 1.0), (-1.0, -1.0), (-np.inf, -np.inf), (np.inf, np.inf))
    known = np.array(observed)
    return JointContext(aims, known, np.zeros((len(known), 1)), np.zeros((0, 1)), len(known), 0)


def beliefs(mean, std, known=None):
    mean = np.array(mean, dtype=float)
    covariance = np.array([np.diag(np.square(s)) for s in std], dtype=float)
    told = np.full(mean.shape, np.nan) if known is None else np.array(known, dtype=float)
    return Beliefs.given(mean, covariance, told)


def test_a_cheap_property_is_looked_at_before_a_dear_one():
    equal = beliefs([[0.5, 0.5]] * 3, [[0.5, 0.5]] * 3)
    look = best_look(equal, GIVES, [1.0, 50.0], np.zeros((3, 2), bool), context())
    assert look.calculation == 0
    look = best_look(equal, GIVES, [50.0, 1.0], np.zeros((3, 2), bool), context())
    assert look.calculation == 1


def test_what_a_cheap_property_left_promising_is_computed_dearly():
    mean, std = [[2.0, 0.5], [0.2, 0.5]], [[0.5, 0.5]] * 2
    known = [[2.0, np.nan], [0.2, np.nan]]
    asked = np.array([[True, False]] * 2)
    look = best_look(beliefs(mean, std, known), GIVES, [1.0, 50.0], asked, context())
    assert (look.index, look.calculation) == (0, 1)


def test_what_is_known_well_enough_is_not_asked_for():
    # nothing is to be learned from the first property, much from the second
    look = best_look(
        beliefs([[1.0, 0.5]] * 2, [[1e-6, 0.5]] * 2),
        GIVES,
        [1, 1],
        np.zeros((2, 2), bool),
        context(),
    )
    assert look.calculation == 1


def test_a_correlated_property_tells_of_the_other():
    correlated = np.array([[[1.0, 0.95], [0.95, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    both = Beliefs.given(np.full((2, 2), 0.5), correlated, np.full((2, 2), np.nan))
    look = best_look(both, GIVES, [1.0, 1.0], np.zeros((2, 2), bool), context())
    assert look.index == 0


def test_nothing_to_gain_is_said():
    hopeless = beliefs([[-9.0, -9.0]], [[1e-3, 1e-3]])
    assert best_look(hopeless, GIVES, [1, 1], np.zeros((1, 2), bool), context()) is None


def test_it_is_the_same_again():
    one = beliefs(np.random.default_rng(0).normal(size=(9, 2)), np.full((9, 2), 0.7))
    looks = [best_look(one, GIVES, [1, 2], np.zeros((9, 2), bool), context()) for _ in range(2)]
    assert looks[0] == looks[1]


def test_the_improvement_is_the_volume_that_a_point_adds():
    from discover.acquisition.aims import hypervolume

    rng = np.random.default_rng(3)
    front, reference = rng.random((6, 3)), (0.0, 0.0, 0.0)
    points = 1.3 * rng.random((5, 3))
    added = [
        hypervolume(np.vstack([front, p]), reference) - hypervolume(front, reference)
        for p in points
    ]
    assert improvement(points, *cells(front, reference)) == pytest.approx(added)


def test_roots_of_singular_covariances():
    one = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 2.0]]])
    assert root(one) @ root(one) == pytest.approx(one)

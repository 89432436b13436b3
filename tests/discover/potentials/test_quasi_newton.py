"""Quasi-Newton steps on functions whose minima are known."""

import numpy as np

from discover.potentials.quasi_newton import BFGS


def minimized(gradient, x, curvatures, steps):
    optimizer = BFGS(np.asarray(curvatures, dtype=float))
    for _ in range(steps):
        x = x + optimizer.step(x, gradient(x))
    return x


def test_the_first_step_is_newton_s_with_the_guess():
    step = BFGS(np.array([2.0, 4.0])).step(np.zeros(2), np.array([1.0, -1.0]))
    assert np.allclose(step, [-0.5, 0.25])


def test_a_quadratic_function():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    hessian = root @ root.T + np.eye(4)
    minimum = rng.normal(size=4)
    x = minimized(lambda x: hessian @ (x - minimum), np.zeros(4), [5, 5, 5, 5], 25)
    assert np.allclose(x, minimum, atol=1e-6)


def test_one_coordinate_is_the_secant_method():
    # The minimum of a Morse curve, from its stiff side: six steps to 1e-6.
    x = minimized(lambda x: 2 * (np.exp(-x) - np.exp(-2 * x)), np.array([-0.3]), [3.0], 6)
    assert abs(x[0]) < 1e-6


def test_negative_curvature_still_leads_downhill():
    # E = x^4 - x^2 is concave around 0; its minima are at ±1/√2.
    x = minimized(lambda x: 4 * x**3 - 2 * x, np.array([0.1]), [4.0], 30)
    assert np.allclose(np.abs(x), np.sqrt(0.5), atol=1e-4)


def test_the_same_point_twice_teaches_nothing():
    optimizer = BFGS(np.array([2.0]))
    first = optimizer.step(np.zeros(1), np.ones(1))
    assert np.array_equal(optimizer.step(np.zeros(1), np.ones(1)), first)

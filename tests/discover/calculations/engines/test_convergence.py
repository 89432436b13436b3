"""One retry with safer settings, and what is said of it."""

import warnings

import pytest

from discover.calculations.base import CalculationWarning
from discover.calculations.engines.convergence import UnconvergedError, with_one_retry
from discover.errors import CalculationError


def converging_from(steps):
    """A calculation that needs this many steps, and notes what it was given."""

    def compute(allowed):
        compute.given.append(allowed)
        if allowed < steps:
            raise UnconvergedError(f"not converged in {allowed} steps")
        return f"energy after {allowed}"

    compute.given = []
    return compute


def test_what_converges_is_computed_once_and_in_silence():
    compute = converging_from(steps=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_one_retry(compute, 10, 30, "advice") == "energy after 10"
    assert compute.given == [10]


def test_a_retry_is_noted():
    compute = converging_from(steps=20)
    with pytest.warns(CalculationWarning, match="not converged in 10 steps; it did with 30"):
        assert with_one_retry(compute, 10, 30, "advice") == "energy after 30"
    assert compute.given == [10, 30]


def test_there_is_one_retry_only_and_then_a_reason():
    compute = converging_from(steps=100)
    with pytest.raises(CalculationError, match=r"30 steps, even .*\(30\): use more k-points"):
        with_one_retry(compute, 10, 30, "use more k-points")
    assert compute.given == [10, 30]


def test_another_error_is_not_tried_again():
    given = []

    def compute(settings):
        given.append(settings)
        raise CalculationError("no such file")

    with pytest.raises(CalculationError, match="no such file"):
        with_one_retry(compute, 10, 30, "advice")
    assert given == [10]

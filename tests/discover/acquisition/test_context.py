import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from discover.acquisition.context import Context, orientations

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9).map(np.array)


@given(values)
def test_larger_is_better_in_every_orientation(observed):
    (up,) = orientations("max", observed)
    (down,) = orientations("min", observed)
    np.testing.assert_array_equal(up.of(observed), observed)
    np.testing.assert_array_equal(down.of(observed), -observed)


@given(values)
def test_both_ends_are_as_far_from_the_centre(observed):
    up, down = orientations("extremes", observed)
    np.testing.assert_allclose(up.of(observed).max(), down.of(observed).max(), atol=1e-9)
    assert up.of(observed).max() >= 0


def test_context_summaries():
    context = Context("max", ["a"], np.zeros((1, 1)), np.array([3.0, 1.0, 2.0]), 0, 3, 5)
    assert (context.best, context.lowest) == (3.0, 1.0)
    assert context.rng.random() == context.rng.random()

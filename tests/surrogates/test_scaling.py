import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.conformance import example_data
from surrogates.scaling import (
    for_single_precision,
    require_fittable,
    standard_score,
    unit_box,
    varies,
)


@given(
    st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.lists(st.floats(0, 1), min_size=3, max_size=9)
)
def test_scaled_columns_are_comparable(offset, scale, values):
    column = torch.tensor([0.0, *values, 1.0]).double()
    x = (offset + scale * column).unsqueeze(-1)
    box = unit_box(x).transform(x)
    score = standard_score(x).transform(x)
    assert float(box.min()) == pytest.approx(0, abs=1e-6)
    assert float(box.max()) == pytest.approx(1, abs=1e-6)
    assert float(score.mean()) == pytest.approx(0, abs=1e-6)
    assert float(score.std()) == pytest.approx(1, abs=1e-6)


def test_a_constant_column_becomes_zero_for_every_input():
    x = torch.tensor([[0.0, 0.1 + 0.2], [1.0, 0.3]]).double()  # equal but for rounding
    assert varies(x).tolist() == [True, False]
    for scaling in (unit_box(x), standard_score(x)):
        assert scaling.transform(torch.tensor([[0.5, 99.0]]).double())[0, 1] == 0


@pytest.mark.filterwarnings("error")
def test_one_row_becomes_zero_without_a_warning():
    x = torch.tensor([[0.5, 99.0]]).double()
    for scaling in (unit_box(x), standard_score(x)):
        assert not scaling.transform(x + 1).any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TrainingData(example_data(2).x, example_data(2).y), "2 rows are too few"),
        (TrainingData(example_data(5).x, torch.full((5, 1), 2.5)), "constant .2.5. in all 5"),
        (
            TrainingData(example_data(5).x, 1e-300 * example_data(5).y),
            "ranges over .*e-30.: give it",
        ),
        (
            TrainingData(example_data(5).x, 1e200 * example_data(5).y),
            "ranges over .*e.[12]..: give it",
        ),
        (TrainingData(torch.ones(5, 2), example_data(5).y), "every descriptor is constant"),
        (TrainingData(example_data(5).x, torch.rand(5, 2)), "one target is supported, got 2"),
    ],
)
def test_refusals_say_why(data, message):
    with pytest.raises(SurrogateError, match=message):
        require_fittable(data)


def test_usual_columns_are_left_as_they_are():
    offset, unit = for_single_precision(example_data(30).x)
    assert bool((offset == 0).all())
    assert bool((unit == 1).all())


@pytest.mark.parametrize(("level", "extent"), [(0.0, 1e-10), (1e8, 2.0), (0.0, 1e40), (300, 1e-3)])
def test_single_precision_tells_odd_columns_apart(level, extent):
    wanted = torch.linspace(0.0, 1.0, 50).double()
    x = (level + extent * wanted)[:, None]
    offset, unit = for_single_precision(x)
    scaled = ((x - offset) / unit).float()[:, 0]
    torch.testing.assert_close(scaled.double(), wanted, atol=1e-3, rtol=0)
    assert len(scaled.unique()) == 50


def test_a_constant_column_keeps_its_scale():
    assert for_single_precision(torch.full((5, 1), 1e40, dtype=torch.float64))[1].tolist() == [1.0]

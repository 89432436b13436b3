import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.validation import data_hash, subset

NAN = float("nan")
X = torch.arange(6).double().reshape(3, 2)
Y = torch.tensor([[1.0, NAN], [2.0, 5.0], [NAN, 6.0]]).double()
NOISE = torch.tensor([[0.1, NAN], [NAN, 0.5], [NAN, 0.6]]).double()
CENSORED = torch.tensor([[-1, 0], [0, 1], [0, 0]], dtype=torch.int8)
GROUPS = torch.tensor([7, 8, 9])


def full():
    return TrainingData(X, Y, GROUPS, noise=NOISE, censored=CENSORED, categorical=(1,))


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_rows_keep_all_that_belongs_to_them(rows):
    which = torch.tensor(rows)
    part = full().rows(which)
    for name in ("x", "y", "groups", "noise", "censored"):
        torch.testing.assert_close(
            getattr(part, name), getattr(full(), name)[which], equal_nan=True
        )
    assert part.categorical == (1,)
    assert data_hash(subset(full(), which.numpy())) == data_hash(part)


def test_one_output_has_the_rows_with_a_value():
    part = full().output(1)
    assert part.x.tolist() == X[1:].tolist()
    assert part.y.tolist() == [[5.0], [6.0]]
    torch.testing.assert_close(part.noise, NOISE[1:, 1:])
    assert part.censored.tolist() == [[1], [0]]
    assert part.groups.tolist() == [8, 9]


def test_everything_is_in_the_hash():
    variants = [
        full(),
        TrainingData(X, Y, GROUPS),
        TrainingData(X, Y, GROUPS, noise=NOISE),
        TrainingData(X, Y, GROUPS, censored=CENSORED),
        TrainingData(X, Y, GROUPS, categorical=(1,)),
        TrainingData(X, Y, GROUPS, censored=-CENSORED),
    ]
    assert len({data_hash(data) for data in variants}) == len(variants)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": torch.tensor([[1.0, NAN], [NAN, NAN], [1, 1]])}, "row 1 of y has no value"),
        ({"y": torch.tensor([[1.0, 1], [1, float("inf")], [1, 1]])}, "infinite.*row 1, column 1"),
        ({"x": torch.tensor([[1.0, 1], [1, 1], [NAN, 1]])}, "x holds.*row 2, column 0"),
        ({"groups": torch.zeros(2)}, "n integers"),
        ({"noise": NOISE[:, :1]}, r"noise must be as y, .3, 2., got .3, 1."),
        ({"noise": -NOISE}, "not negative, first in row 0, column 0"),
        ({"censored": 2 * CENSORED}, "-1, 0 or 1"),
        ({"censored": torch.full((3, 2), NAN)}, "-1, 0 or 1"),
        ({"censored": torch.full((3, 2), -128, dtype=torch.int8)}, "-1, 0 or 1"),
        ({"fidelities": 5}, "must be 0 to 4, first in row 2, column 0"),
        ({"fidelities": 6, "x": X + 0.5}, "must be 0 to 5, first in row 0"),
        ({"censored": CENSORED.flip(0)}, "0 where y is missing|-1, 0 or 1"),
        ({"categorical": (2,)}, r"columns that x does not have: .2,."),
    ],
)
def test_refusals_say_where(options, message):
    with pytest.raises(SurrogateError, match=message):
        TrainingData(**({"x": X, "y": Y} | options))

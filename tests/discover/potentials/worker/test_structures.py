"""Structures and answers as arrays."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from discover.potentials.worker.framing import FramingError
from discover.potentials.worker.structures import (
    Answer,
    pack,
    pack_answers,
    unpack,
    unpack_answers,
)

LENGTHS = st.floats(-20.0, 20.0)


@st.composite
def structures(draw):
    n = draw(st.integers(0, 4))
    return Atoms(
        numbers=draw(st.lists(st.integers(1, 118), min_size=n, max_size=n)),
        positions=np.reshape(draw(st.lists(LENGTHS, min_size=3 * n, max_size=3 * n)), (n, 3)),
        cell=np.reshape(draw(st.lists(LENGTHS, min_size=9, max_size=9)), (3, 3)),
        pbc=draw(st.lists(st.booleans(), min_size=3, max_size=3)),
    )


@st.composite
def answered(draw):
    batch = draw(st.lists(structures(), max_size=4))
    numbers = st.floats()  # not finite ones too
    answers = []
    for atoms in batch:
        forces = draw(st.lists(numbers, min_size=3 * len(atoms), max_size=3 * len(atoms)))
        stress = draw(st.lists(numbers, min_size=6, max_size=6))
        sound = Answer(draw(numbers), np.reshape(forces, (-1, 3)), np.array(stress))
        answers.append(draw(st.text() | st.just(sound)))
    return batch, answers


@given(st.lists(structures(), max_size=4))
def test_structures_come_back(batch):
    found = unpack(pack(batch))
    assert len(found) == len(batch)
    for one, other in zip(found, batch, strict=True):
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.positions, other.positions)
        np.testing.assert_array_equal(one.cell.array, other.cell.array)
        np.testing.assert_array_equal(one.pbc, other.pbc)


@given(answered())
def test_answers_come_back(drawn):
    batch, answers = drawn
    problems, arrays = pack_answers(answers, batch)
    found = unpack_answers(problems, arrays, [len(atoms) for atoms in batch])
    for one, other in zip(found, answers, strict=True):
        if isinstance(other, str):
            assert one == other
        else:
            for part, expected in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, expected)


def test_arrays_that_do_not_fit_are_refused():
    good = pack([Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.0]]), Atoms("Cu")])
    assert len(unpack(good)) == 2
    negative = np.array([-1, 4])
    for wrong in (
        good[:4],
        [good[0][:1], *good[1:]],
        [negative, *good[1:]],
        [good[0].astype(float), *good[1:]],
        [good[0], good[1], good[2][:, :2], good[3], good[4]],
        [*good[:3], good[3][:1], good[4]],
    ):
        with pytest.raises(FramingError):
            unpack(wrong)


def test_answers_that_do_not_fit_are_refused():
    batch = [Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.0]])]
    problems, arrays = pack_answers([Answer(1.0, np.zeros((2, 3)), np.zeros(6))], batch)
    for wrong in (
        (problems, arrays[:2], [2]),
        (problems, arrays, [1]),
        ([], arrays, [2]),
        (None, arrays, [2]),
        (problems, [arrays[0], arrays[1], arrays[2][:, :3]], [2]),
    ):
        with pytest.raises(FramingError):
            unpack_answers(*wrong)

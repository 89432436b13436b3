"""Messages: what is written is read, and nothing else is."""

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from discover.potentials.worker.framing import (
    MAX_ARRAYS_BYTES,
    MAX_HEAD_BYTES,
    FramingError,
    read_message,
    write_message,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DTYPES = (
    arrays.boolean_dtypes()
    | arrays.integer_dtypes(endianness="?")
    | arrays.unsigned_integer_dtypes()
    | arrays.floating_dtypes(endianness="?")
)
ARRAYS = arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


def written(body, given_arrays=()):
    stream = io.BytesIO()
    write_message(stream, body, given_arrays)
    return stream.getvalue()


def framed(head, rest=b""):
    content = head if isinstance(head, bytes) else json.dumps(head).encode()
    return b"DPW1" + struct.pack(">I", len(content)) + content + rest


@given(st.dictionaries(st.text(), JSON, max_size=4), st.lists(ARRAYS, max_size=3), st.booleans())
def test_round_trip(body, sent, fortran):
    if fortran:
        sent = [np.asfortranarray(array) for array in sent]
    stream = io.BytesIO(written(body, sent) + written({"next": 1}))
    message = read_message(stream)
    assert message.body == body
    assert len(message.arrays) == len(sent)
    for found, array in zip(message.arrays, sent, strict=True):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        np.testing.assert_array_equal(found, array)  # NaN equals NaN here
        assert found.flags.writeable
    assert read_message(stream).body == {"next": 1}
    with pytest.raises(EOFError):
        read_message(stream)


@given(st.integers(min_value=1))
def test_a_message_that_was_cut_off(length):
    whole = written({"a": 1}, [np.arange(6.0).reshape(2, 3)])
    cut = whole[: 1 + length % (len(whole) - 1)]
    with pytest.raises(FramingError):
        read_message(io.BytesIO(cut))


@given(st.binary(min_size=1))
def test_garbage_is_refused(garbage):
    with pytest.raises(FramingError):
        read_message(io.BytesIO(garbage))


@given(st.binary())
def test_garbage_behind_a_sound_start_is_refused(garbage):
    with pytest.raises(FramingError):
        read_message(io.BytesIO(framed(garbage)))


@given(st.binary(max_size=200))
def test_an_array_of_garbage_is_refused(garbage):
    with pytest.raises(FramingError):
        read_message(io.BytesIO(framed({"body": {}, "sizes": [len(garbage)]}, garbage)))


def npy(header):
    text = repr(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (framed([1, 2]), "must have a body and sizes"),
        (framed({"body": 1, "sizes": []}), "must be an object"),
        (framed({"body": {}, "sizes": [-1]}), "must be a list"),
        (framed({"body": {}, "sizes": [True]}), "must be a list"),
        (framed({"body": {}, "sizes": [], "more": 1}), "must have a body and sizes"),
        (framed(b'{"body": {"a": NaN}, "sizes": []}'), "NaN is not JSON"),
        (framed(b"[" * 90), "is not JSON"),
        (framed(b"[" * 100_000), "nested more than 100 deep"),
        (framed(b'{"a":' * 101 + b"1" + b"}" * 101), "nested more than 100 deep"),
        (framed(json.dumps({"body": {"a": "[{" * 200}, "sizes": [-1]}).encode()), "must be a list"),
        (b"DPW1" + struct.pack(">I", MAX_HEAD_BYTES + 1), "at most"),
        (framed({"body": {}, "sizes": [MAX_ARRAYS_BYTES, 1]}), "at most"),
        (framed({"body": {}, "sizes": [2**62]}), "at most"),
    ],
)
def test_what_is_no_message_says_why(content, said):
    with pytest.raises(FramingError, match=said):
        read_message(io.BytesIO(content))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"descr": "|O", "fortran_order": False, "shape": (1,)}, "not plain numbers"),
        ({"descr": "<M8[s]", "fortran_order": False, "shape": (1,)}, "not plain numbers"),
        ({"descr": "<c16", "fortran_order": False, "shape": (1,)}, "not plain numbers"),
        ({"descr": "<f8", "fortran_order": False, "shape": (10**12,)}, "cannot have 0 bytes"),
        ({"descr": "<f8", "fortran_order": False, "shape": (-1, 0)}, "cannot have 0 bytes"),
    ],
)
def test_arrays_that_are_not_what_they_claim(header, said):
    content = npy(header)
    with pytest.raises(FramingError, match=said):
        read_message(io.BytesIO(framed({"body": {}, "sizes": [len(content)]}, content)))


@pytest.mark.parametrize(
    ("body", "sent", "said"),
    [
        ({"energy": float("nan")}, [], "must be JSON"),
        ({"object": object()}, [], "must be JSON"),
        ({}, [np.array([{}], dtype=object)], "only plain numbers"),
        ({}, [np.array(["text"])], "only plain numbers"),
        ({}, [np.array([1j])], "only plain numbers"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(body, sent, said):
    stream = io.BytesIO()
    with pytest.raises(FramingError, match=said):
        write_message(stream, body, sent)
    assert stream.getvalue() == b""

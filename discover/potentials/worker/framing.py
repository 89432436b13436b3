"""Messages over a stream: a JSON object and numpy arrays, never a pickle.

A message is `DPW1`, the length of its head (4 bytes, big-endian), the head, and then the arrays as npy
files (numpy's format 1.0) one after another. The head is JSON: `{"body": {...}, "sizes": [bytes of
each array]}`. Only plain numbers travel, and what a length or a shape claims is checked before memory
is given to it.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

_MAGIC = b"DPW1"
_LENGTH = struct.Struct(">I")
_KINDS = "biuf"
_CHUNK_BYTES = 2**20

MAX_HEAD_BYTES = 16 * 2**20
MAX_ARRAYS_BYTES = 2 * 2**30
MAX_DEPTH = 100
"""Of nested lists and objects in a head. The parser recurses, and where a library has raised Python's
limit a deeper head would crash the process instead of being refused."""

_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')


class FramingError(ValueError):
    """What was read is no message, or what is to be written cannot be one."""


@dataclass(frozen=True)
class Message:
    """A JSON object and the arrays that belong to it, in order."""

    body: dict[str, Any]
    arrays: tuple[np.ndarray, ...] = ()


def write_message(
    stream: BinaryIO, body: Mapping[str, Any], arrays: Sequence[np.ndarray] = ()
) -> None:
    """Write one message and flush; FramingError, with nothing written, where it cannot be one.

    Refused are bodies that are not JSON (NaN is not: put numbers in arrays), arrays of anything but
    booleans, integers and floating-point numbers, and messages above the size limits.
    """
    encoded = [_encode(np.asanyarray(array)) for array in arrays]
    sizes = [len(array) for array in encoded]
    try:
        head = json.dumps({"body": dict(body), "sizes": sizes}, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise FramingError(f"the body of a message must be JSON: {error}") from error
    _check_sizes(len(head), sizes)
    stream.write(_MAGIC + _LENGTH.pack(len(head)) + head)
    stream.writelines(encoded)
    stream.flush()


def read_message(stream: BinaryIO) -> Message:
    """The next message; EOFError where the stream has ended, FramingError where it is no message.

    After a FramingError the stream cannot be used any more.
    """
    start = stream.read(len(_MAGIC))
    if not start:
        raise EOFError("the stream has ended")
    if start != _MAGIC:
        raise FramingError(f"a message begins with {_MAGIC!r}, not {start!r}")
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    _check_sizes(length, ())
    body, sizes = _decode_head(_read_exactly(stream, length))
    _check_sizes(length, sizes)
    return Message(body, tuple(_decode(_read_exactly(stream, size)) for size in sizes))


def _check_sizes(head: int, arrays: Sequence[int]) -> None:
    if head > MAX_HEAD_BYTES:
        raise FramingError(f"a head of {head} bytes; at most {MAX_HEAD_BYTES} are allowed")
    if sum(arrays) > MAX_ARRAYS_BYTES:
        raise FramingError(f"arrays of {sum(arrays)} bytes; at most {MAX_ARRAYS_BYTES} are allowed")


def _decode_head(content: bytes) -> tuple[dict[str, Any], list[int]]:
    if _depth(content) > MAX_DEPTH:
        raise FramingError(f"the head of a message is nested more than {MAX_DEPTH} deep")
    try:
        head = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FramingError(f"the head of a message is not JSON: {error}") from error
    if not isinstance(head, dict) or head.keys() != {"body", "sizes"}:
        raise FramingError("the head of a message must have a body and sizes")
    body, sizes = head["body"], head["sizes"]
    if not isinstance(body, dict):
        raise FramingError("the body of a message must be an object")
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise FramingError("the sizes of a message must be a list of numbers of bytes")
    return body, sizes


def _depth(content: bytes) -> int:
    deepest = depth = 0
    for token in _STRING_OR_BRACKET.finditer(content):
        if token[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in b"]}":
            depth -= 1
    return deepest


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _encode(array: np.ndarray) -> bytes:
    if array.dtype.kind not in _KINDS:
        raise FramingError(f"an array of {array.dtype} cannot be sent, only plain numbers")
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _decode(content: bytes) -> np.ndarray:
    buffer = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise FramingError("an array of a message must be npy of version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    except ValueError as error:
        raise FramingError(f"an array of a message is not npy: {error}") from error
    if dtype.kind not in _KINDS:
        raise FramingError(f"an array of a message holds {dtype}, not plain numbers")
    data = content[buffer.tell() :]
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise FramingError(f"an array of {dtype} {shape} cannot have {len(data)} bytes")
    flat = np.frombuffer(bytearray(data), dtype)  # of a bytearray, so that it can be written to
    return flat.reshape(shape, order="F" if fortran else "C")


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    """This many bytes, in pieces: a wrong size costs no more memory than there are bytes."""
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(size - len(content), _CHUNK_BYTES))
        if not piece:
            raise FramingError(f"the stream ended after {len(content)} of {size} bytes")
        content += piece
    return bytes(content)

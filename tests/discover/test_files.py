"""Files that are whole or not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import CalculationError
from discover.files import JsonLines, write_atomically

records = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
        max_size=3,
    ),
    max_size=5,
)


@given(records=records)
def test_json_lines_round_trip(tmp_path_factory, records):
    lines = JsonLines(tmp_path_factory.mktemp("lines") / "a.jsonl")
    for record in records:
        lines.append(record)
    assert lines.read() == records


@given(cut=st.integers(1, 19))
def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines = JsonLines(path)
    lines.append({"index": 1})
    lines.append({"energy": -1.2345})
    path.write_bytes(path.read_bytes()[:-cut])
    assert lines.read() == [{"index": 1}]
    lines.append({"index": 3})
    assert lines.read() == [{"index": 1}, {"index": 3}]


def test_a_damaged_line_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"index": 1}\ngarbage\n{"index": 2}\n')
    with pytest.raises(CalculationError, match="line 2"):
        JsonLines(path).read()


def test_nothing_is_left_of_a_write_that_fails(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


@given(content=st.text(st.characters(codec="utf-8")) | st.binary())
def test_text_and_bytes_come_back(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "a"
    write_atomically(path, content)
    read = path.read_bytes()
    assert (read.decode() if isinstance(content, str) else read) == content

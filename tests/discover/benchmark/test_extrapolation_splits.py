"""Splits: what is asked for is never learned from, and each kind holds out what its name says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discover.benchmark.columns import Columns
from discover.benchmark.datasets import DataSet, load_data
from discover.benchmark.extrapolation_splits import plan_splits
from discover.errors import DataError


def test_all_that_the_data_allow_are_taken(make_data: Callable[..., DataSet]) -> None:
    names = [split.name for split in plan_splits(make_data())]
    expected = ["random", "property-top", "property-bottom", "spacegroup", "element", "formula"]
    assert names == [*expected, "cluster", "time"]
    bare = make_data(formulas=None, elements=None, spacegroups=None, years=None)
    assert [s.name for s in plan_splits(bare)] == [*expected[:3], "cluster"]


def test_no_row_is_on_both_sides(make_data: Callable[..., DataSet]) -> None:
    for split in plan_splits(make_data()):
        folds = split.folds(3)
        assert folds, split.name
        for fold in folds:
            assert not set(fold.train) & set(fold.test)
        assert [f.test.tolist() for f in split.folds(3)] == [f.test.tolist() for f in folds]


def test_each_kind_holds_out_what_it_says(make_data: Callable[..., DataSet]) -> None:
    data = make_data()
    assert data.spacegroups is not None
    assert data.elements is not None
    assert data.years is not None
    splits = {split.name: split.folds(0) for split in plan_splits(data)}
    (top,) = splits["property-top"]
    assert data.y[top.test].max() == data.y.max()
    for fold in splits["spacegroup"]:
        sides = [{data.spacegroups[i] for i in rows} for rows in (fold.train, fold.test)]
        assert not sides[0] & sides[1]
    for fold in splits["element"]:
        assert not any(fold.label in data.elements[i] for i in fold.train)
        assert all(fold.label in data.elements[i] for i in fold.test)
    for fold in splits["formula"]:
        assert not set(data.groups[fold.train]) & set(data.groups[fold.test])
    (late,) = splits["time"]
    assert data.years[late.train].max() < data.years[late.test].min()
    (given,) = plan_splits(data, ["time"], year=2000)[0].folds(0)
    assert data.years[given.test].min() == 2000


def test_splits_of_a_file_name_rows_of_the_file(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    """Rows that were dropped from the data are left out; the others keep their numbers."""
    data = make_data(rows=np.arange(1, 31), dropped=("row 1: bad",))
    file = tmp_path / "splits.json"
    entries = [
        {"extra": "far", "size": 5, "interp": [0, 1, 2, 3, 4], "extrap": [5, 6, 7]},
        {"extra": "all", "interp": list(range(20)), "extrap": []},
    ]
    file.write_text(json.dumps(entries))
    far, everything = plan_splits(data, ["file"], file)
    assert (far.name, everything.name) == ("file: far", "file: all")
    (fold,) = far.folds(0)
    assert fold.label == "size=5"
    assert fold.train.tolist() == [0, 1, 2, 3]
    assert fold.test.tolist() == [4, 5, 6]
    assert len(everything.folds(0)) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "is no JSON"),
        ([{"train": [0, 1, 2]}], "split 0 has no lists 'train' and 'test'"),
        ([{"train": [0, 1, 2], "test": [99]}], "there is no row 99 among 30"),
        ([{"train": [0, 1, 2], "test": ["3"]}], "rows are whole numbers"),
        ([{"train": [0, 1, 2, 3], "test": [5, 4, 3]}], "split 0: row 3 is in both lists"),
        ([], "holds no split"),
    ],
)
def test_a_bad_file_of_splits_is_refused(
    make_data: Callable[..., DataSet], tmp_path: Path, content: Any, message: str
) -> None:
    file = tmp_path / "splits.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=message):
        plan_splits(make_data(), ["file"], file)


def test_what_the_data_do_not_support_is_said(make_data: Callable[..., DataSet]) -> None:
    bare = make_data(formulas=None, elements=None, spacegroups=None, years=None)
    for name, option in (("element", "formula"), ("spacegroup", "spacegroup"), ("time", "year")):
        with pytest.raises(DataError, match=f"--{option}"):
            plan_splits(bare, [name])
    with pytest.raises(DataError, match="--split-file"):
        plan_splits(bare, ["file"])
    with pytest.raises(DataError, match="did you mean 'cluster'"):
        plan_splits(bare, ["clusters"])


def test_the_official_splits_of_the_reference_sets(shared_data: Path) -> None:
    folder = shared_data / "qmex-dgs"
    qmex = load_data([folder / "qmex_dgs.csv"], Columns("dGs", features=("mw",)))
    splits = plan_splits(qmex, ["file"], folder / "splits.json")
    assert {s.name: len(s.folds(0)) for s in splits} == {
        "file: property": 50,
        "file: cluster": 11,
        "file: similarity": 11,
        "file: interpolation": 5,
    }
    file = shared_data / "obelix" / "obelix_clean.csv"
    obelix = load_data([file], Columns("sigma_S_cm", features=("a",)), transform="log10")
    ((fold,),) = (split.folds(0) for split in plan_splits(obelix, ["file"]))
    assert (len(fold.train), len(fold.test)) == (478, 121)


def test_without_a_choice_what_the_data_do_not_allow_is_told(
    make_data: Callable[..., DataSet],
) -> None:
    told: list[str] = []
    data = make_data(spacegroups=None, years=None, groups=np.zeros(30, dtype=np.int64))
    assert [s.name for s in plan_splits(data, told=told.append)] == ["random", "element"]
    assert len(told) == 7
    assert any("'time' needs a year in every row" in line for line in told)
    assert any("'cluster' has no fold with 3 rows on either side" in line for line in told)


def test_a_split_that_cannot_be_is_refused_before_anything_is_fitted(
    make_data: Callable[..., DataSet],
) -> None:
    one = make_data(groups=np.zeros(30, dtype=np.int64))
    with pytest.raises(DataError, match=r"'property-top' has no fold .* 30 rows in 1 group by"):
        plan_splits(one, ["random", "property"])
    with pytest.raises(DataError, match=r"'random' has no fold .*there are 4 rows"):
        plan_splits(make_data(4, grouped_by=None), ["random"])


def test_an_option_of_a_split_that_is_not_asked_for_is_refused(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="--split-file is for the split 'file': add it to --splits"):
        plan_splits(make_data(), ["random"], tmp_path / "s.json")
    with pytest.raises(DataError, match="--before is for the split 'time'"):
        plan_splits(make_data(), ["random"], None, 1990.0)
    with pytest.raises(DataError, match="fewer than 3 rows before, or from, 1000"):
        plan_splits(make_data(), [], None, 1000.0)


def test_formulas_are_parted_whatever_is_grouped(make_data: Callable[..., DataSet]) -> None:
    """Neither a formula nor a group is on both sides, also where they overlap."""
    formulas = tuple(f"Li{i // 2 + 1}F" for i in range(30))
    data = make_data(formulas=formulas, groups=np.arange(30) // 3, grouped_by="batch")
    (split,) = plan_splits(data, ["formula"])
    assert len(split.folds(0)) > 1
    for fold in split.folds(0):
        for of_row in (np.array(formulas), data.groups):
            assert not set(of_row[fold.train]) & set(of_row[fold.test])
    whole = make_data(formulas=formulas, groups=np.arange(30) % 2, grouped_by="batch")
    with pytest.raises(DataError, match="in 1 group of what shares a formula or 'batch'"):
        plan_splits(whole, ["formula"])


def test_a_space_group_is_needed_in_every_row(make_data: Callable[..., DataSet]) -> None:
    groups = ["225"] * 30
    groups[3] = groups[7] = ""
    data = make_data(spacegroups=tuple(groups), rows=np.arange(1, 31))
    with pytest.raises(DataError, match="there is none in rows 5, 9"):
        plan_splits(data, ["spacegroup"])


def test_rows_beyond_the_file_are_refused_where_some_were_dropped(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    data = make_data(rows=np.arange(2, 32), dropped=("row 1: bad", "row 2: bad"))
    file = tmp_path / "splits.json"
    file.write_text(json.dumps({"train": [2, 3, 4], "test": [5, 6, 31]}))
    assert len(plan_splits(data, ["file"], file)[0].folds(0)) == 1
    file.write_text(json.dumps({"train": [2, 3, 4], "test": [5, 6, 7, 32]}))
    with pytest.raises(DataError, match="there is no row 32 among 32"):
        plan_splits(data, ["file"], file)


def test_folds_that_are_too_small_are_told(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    file = tmp_path / "splits.json"
    entries = [{"train": [0, 1, 2], "test": [3, 4, 5]}, {"train": [0, 1, 2], "test": [6, 7]}]
    file.write_text(json.dumps(entries))
    told: list[str] = []
    (split,) = plan_splits(make_data(), ["file"], file, told=told.append)
    assert len(split.folds(0)) == 1
    assert told == ["split 'file': 1 of 2 folds have fewer than 3 rows on a side and are left out"]
    file.write_text(json.dumps(entries[1:]))
    with pytest.raises(DataError, match="training and test rows: 3 and 2"):
        plan_splits(make_data(), ["file"], file)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        plan_splits(make_data(), ["file"], tmp_path / "nowhere.json")

"""Data sets: what is in a row is found, and what is wrong with it is told by its number."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from discover.benchmark.columns import Columns
from discover.benchmark.datasets import DataSet, load_data
from discover.errors import DataError, MissingDependencyError

FORMULAS = ("NaCl", "MgO", "LiF", "KBr", "CaO")


@pytest.fixture
def salts(tmp_path: Path) -> Path:
    """Five salts with a conductivity, one of them a bound."""
    rows = [
        f"s{i},{f},{225 - i},{10 + i},{v}"
        for i, (f, v) in enumerate(zip(FORMULAS, "12345", strict=True))
    ]
    rows[3] = rows[3].removesuffix("4") + "<4"
    file = tmp_path / "salts.csv"
    file.write_text("\n".join(["id,formula,spacegroup_number,a,kappa", *rows]) + "\n")
    return file


def changed(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def test_a_formula_is_described_by_composition_space_group_and_cell(salts: Path) -> None:
    data = load_data([salts], Columns("kappa"), transform="log10")
    assert data.ids == ("s0", "s1", "s2", "s3", "s4")
    assert data.y == pytest.approx(np.log10([1, 2, 3, 4, 5]))
    assert data.censored.tolist() == [0, 0, 0, -1, 0]
    assert data.features.made_of == ("composition", "spacegroup_number", "a")
    assert {"spacegroup_number", "a"} < set(data.features.names)
    assert data.elements is not None
    assert data.elements[1] == {"Mg", "O"}
    assert data.spacegroups == ("225", "224", "223", "222", "221")
    assert data.training(np.array([0, 3])).censored is not None
    assert data.training(np.array([0, 1])).censored is None
    assert "1 with a bound" in data.in_words()


def test_polytypes_of_a_formula_are_one_group(salts: Path) -> None:
    data = load_data([changed(salts, ",MgO,", ",Na2Cl2,")], Columns("kappa"))
    assert data.groups[0] == data.groups[1]
    assert len(set(data.groups.tolist())) == 4


def test_bounds_may_be_marked_in_a_column(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y,y_censored\n1,2,False\n2,3,True\n3,5,above\n4,1,\n")
    data = load_data([tmp_path / "d.csv"], Columns("y"))
    assert data.censored.tolist() == [0, -1, 1, 0]
    assert data.features.names == ("x",)


def test_marks_of_bounds_describe_nothing(tmp_path: Path) -> None:
    file, told = tmp_path / "d.csv", list[str]()
    file.write_text("x,y,relation\n1,≤2,=\n2,3,<\n3,5,>=\n4,1,=\n")
    data = load_data([file], Columns("y"), told=told.append)
    assert (data.censored.tolist(), data.features.names) == ([-1, 0, 0, 0], ("x",))
    assert told == [
        "column 'relation' is not taken to mark bounds; name it by --censored if it does"
    ]
    data = load_data([file], Columns("y", censored="relation"))
    assert data.censored.tolist() == [-1, -1, 1, 0]


def test_one_composition_spelled_in_two_ways_is_one_group(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("formula,y\nLiNaCl2,1\nLi0.5Na0.5Cl,2\nLiCl,3\nKCl,4\n")
    data = load_data([tmp_path / "d.csv"], Columns("y"))
    assert data.groups[0] == data.groups[1]
    assert len(set(data.groups.tolist())) == 3


def test_a_column_of_huge_numbers_describes_the_rows(tmp_path: Path) -> None:
    lines = ["carriers,x,y", *(f"{1e17 * (1 + i * i % 7)},{i * i % 5},{i}" for i in range(12))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    data = load_data([tmp_path / "d.csv"], Columns("y"))
    assert data.features.names == ("carriers", "x")
    assert data.x[:, 0] == pytest.approx([1 + i * i % 7 for i in range(12)])


def test_a_column_that_is_left_out_for_its_gaps_is_told(tmp_path: Path) -> None:
    told = list[str]()
    lines = ["x,gaps,y", *(f"{i * i % 5},{'' if i > 3 else i},{i}" for i in range(12))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    load_data([tmp_path / "d.csv"], Columns("y"), told=told.append)
    assert told == ["column 'gaps' is left out: it is empty in 8 of 12 rows"]


def test_columns_are_numbers_codes_or_left_out(tmp_path: Path) -> None:
    lines = ["row,x,kind,flag,name,gaps,y"]
    lines += [
        f"{i},{i * i},{'ab'[i % 2]},{i % 3 % 2},n{i},{'' if i > 3 else i},{i % 7}"
        for i in range(12)
    ]
    file = tmp_path / "d.csv"
    file.write_text("\n".join(lines))
    data = load_data([file], Columns("y"))
    assert data.features.names == ("x", "kind=a", "kind=b", "flag")
    assert data.features.categorical == (1, 2, 3)
    assert load_data([file], Columns("y", features=("x",))).features.names == ("x",)
    assert load_data([file], Columns("y", exclude=("k*", "flag"))).features.names == ("x",)
    assert load_data([file], Columns("y", features=("kind", "f*"))).features.made_of == (
        "kind",
        "flag",
    )


def test_the_target_by_another_name_is_refused(tmp_path: Path) -> None:
    lines = ["x,log_y,y", *(f"{(i * 7) % 12},{i},{2.0**i}" for i in range(12))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="ranked by 'log_y', the rows are ranked as by the target"):
        load_data([tmp_path / "d.csv"], Columns("y"))
    assert load_data([tmp_path / "d.csv"], Columns("y", exclude=("log_y",))).features.names == (
        "x",
    )


def test_structures_are_described(tmp_path: Path) -> None:
    atoms = [
        bulk(*which, cubic=True)
        for which in (("MgO", "rocksalt", 4.2), ("SiC", "zincblende", 4.36))
    ]
    for structure, value in zip(atoms, (50.0, 400.0), strict=True):
        structure.info["kappa"] = value
    write(tmp_path / "d.extxyz", atoms)
    data = load_data([tmp_path / "d.extxyz"], Columns("kappa"))
    assert data.features.made_of == ("composition", "structure")
    assert data.spacegroups == ("225", "216")
    assert data.formulas == ("MgO", "SiC")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",MgO,", ",Mgg0,", r"row 2 \(line 3\): formula: 'Mgg0' is no formula"),
        (",MgO,", ",,", r"row 2 \(line 3\): formula: '' is no formula"),
        (",2\n", ",two\n", r"row 2 \(line 3\): kappa = 'two' is not a number"),
        (",2\n", ",\n", r"row 2 \(line 3\): kappa = '' is not a number"),
        (",2\n", ",nan\n", r"row 2 \(line 3\): kappa = 'nan' is not a number"),
        (",2\n", ",0\n", r"row 2 \(line 3\): kappa = 0 has no logarithm"),
        (",2\n", ",-1\n", r"row 2 \(line 3\): kappa = -1 has no logarithm"),
        ("s1,MgO,224,11,2\n", "s9,NaCl,225,10,1\n", r"row 2 \(line 3\): is the same as row 1"),
    ],
)
def test_a_bad_row_is_refused_by_number_or_dropped_and_listed(
    salts: Path, old: str, new: str, message: str
) -> None:
    changed(salts, old, new)
    with pytest.raises(DataError, match=message) as refusal:
        load_data([salts], Columns("kappa"), transform="log10")
    assert "1 of 5 rows cannot be used" in str(refusal.value)
    assert "--drop-invalid" in str(refusal.value)
    told: list[str] = []
    data = load_data(
        [salts], Columns("kappa"), transform="log10", drop_invalid=True, told=told.append
    )
    assert data.rows.tolist() == [0, 2, 3, 4]
    assert told == [f"dropped {line}" for line in data.dropped]
    assert len(told) == 1


def test_of_many_bad_rows_all_numbers_are_told(tmp_path: Path) -> None:
    lines = ["x,y", *(f"{i},{'?' if i < 30 else i % 4}" for i in range(40))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"and 10 more: rows 21, 22, .*, 30$"):
        load_data([tmp_path / "d.csv"], Columns("y"))


def test_missing_columns_are_named_with_a_suggestion(salts: Path) -> None:
    with pytest.raises(DataError, match=r"--target 'kapa': .* did you mean 'kappa'"):
        load_data([salts], Columns("kapa"))
    with pytest.raises(DataError, match=r"--formula 'formla': .* did you mean 'formula'"):
        load_data([salts], Columns("kappa", formula="formla"))
    with pytest.raises(DataError, match=r"--exclude 'b\*' matches no column"):
        load_data([salts], Columns("kappa", exclude=("b*",)))
    with pytest.raises(DataError, match="--features 'compositon' is no column"):
        load_data([salts], Columns("kappa", features=("compositon",)))


def test_smiles_need_rdkit(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("smiles,y\nCCO,1\nCC,2\nCCC,3\n")
    if importlib.util.find_spec("rdkit") is not None:
        assert len(load_data([tmp_path / "d.csv"], Columns("y"))) == 3
        return
    with pytest.raises(MissingDependencyError, match="pip install rdkit"):
        load_data([tmp_path / "d.csv"], Columns("y"))


def test_nothing_to_describe_rows_by_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("name,y\na,1\nb,2\nc,3\n")
    with pytest.raises(DataError, match="no structure, no formula, no SMILES and no column"):
        load_data([tmp_path / "d.csv"], Columns("y"))


@pytest.fixture
def alcohols(tmp_path: Path) -> Path:
    """SMILES under a name of their own, one column of numbers with a comma in its name."""
    lines = ['CanonicalSMILES,"n, rings",b.p. / °C']
    lines += [f"{'C' * i}O,{i % 2},{10 * i}" for i in range(1, 9)]
    (tmp_path / "alcohols.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "alcohols.csv"


@pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="RDKit is not installed")
def test_smiles_describe_beside_a_few_columns_of_numbers(alcohols: Path) -> None:
    target = "b.p. / °C"
    assert load_data([alcohols], Columns(target)).features.made_of == ("smiles", "n, rings")
    named = load_data([alcohols], Columns(target, features=("n, rings",)))
    assert named.features.made_of == ("n, rings",)
    for name in ("smiles", "molecule", "morgan"):
        data = load_data([alcohols], Columns(target, features=(name,)))
        assert data.features.made_of == (name,)
        assert len(data.features.names) > 1
    changed(alcohols, "CCO,", "C(C,")
    with pytest.raises(DataError, match=r"row 2 \(line 3\): 'C\(C' is not a SMILES"):
        load_data([alcohols], Columns(target))


def test_a_descriptor_of_what_is_not_there_is_refused(salts: Path) -> None:
    for name, what in (
        ("structure", "structures, and there are none: give extxyz or CIF"),
        ("molecule", "molecules, and there is no column of SMILES"),
        ("smiles", "molecules, and there is no column of SMILES"),
        ("formulation", "formulations"),
    ):
        with pytest.raises(DataError, match=f"--features '{name}' describes {what}"):
            load_data([salts], Columns("kappa", features=(name,)))


def test_rows_that_are_read_as_a_whole_keep_every_column(tmp_path: Path) -> None:
    atoms = [bulk("MgO", "rocksalt", a) for a in (4.1, 4.2, 4.3)]
    for i, structure in enumerate(atoms):
        structure.info["kappa"] = float(i)
    write(tmp_path / "d.extxyz", atoms)
    data = load_data([tmp_path / "d.extxyz"], Columns("kappa", features=("crystal",)))
    assert data.x.shape == (3, 9 + 4 * 32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("5555555555", "is 5 in all 10 rows: there is nothing to predict"),
        ([f"{i}e-300" for i in range(1, 11)], "ranges over 9e-300: give it in a unit"),
        ([f"{i}e300" for i in range(1, 11)], "ranges over 9e.300: give it in a unit"),
    ],
)
def test_a_target_of_which_nothing_can_be_learned_is_refused(
    tmp_path: Path, values: Sequence[str], message: str
) -> None:
    lines = ["x,y", *(f"{(i * 7) % 10},{value}" for i, value in enumerate(values))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        load_data([tmp_path / "d.csv"], Columns("y"))


def test_models_learn_a_target_of_an_odd_range_in_a_unit_of_its_own(
    make_data: Callable[..., DataSet],
) -> None:
    usual = make_data()
    small = make_data(y=1e-11 * usual.y)
    assert usual.unit == 1.0
    assert small.unit == pytest.approx(1e-11)
    rows = np.arange(5)
    assert small.training(rows).y.numpy() == pytest.approx(usual.training(rows).y.numpy())
    assert small.identity() != usual.identity()


def test_a_gap_in_a_descriptor_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    lines = ["x,z,y", *(f"{(i * 7) % 12},{'' if i == 4 else i % 5},{i}" for i in range(12))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="--drop-invalid, or leave out 'z' by --exclude"):
        load_data([tmp_path / "d.csv"], Columns("y"))


def real(shared_data: Path, name: str, columns: Columns, transform: str) -> DataSet:
    return load_data([shared_data / name], columns, transform=transform)  # type: ignore[arg-type]


def test_obelix_is_read_with_its_bounds(shared_data: Path) -> None:
    """599 rows, 37 of them below a bound, whichever way it is written; the official split."""
    file = "obelix/obelix_clean.csv"
    for target in ("sigma_S_cm", "sigma_raw"):
        data = real(shared_data, file, Columns(target, features=("a", "b")), "log10")
        assert len(data) == 599
        assert (data.censored == -1).sum() == 37
        assert data.parts is not None
        assert data.parts.count("test") == 121


def test_qmex_is_read_by_its_columns(shared_data: Path) -> None:
    unwanted = ("xdis", "ydis", "UMAP*", "similarity")
    data = real(shared_data, "qmex-dgs/qmex_dgs.csv", Columns("dGs", exclude=unwanted), "none")
    assert data.x.shape[0] == 631
    assert {"mw", "dEbase", "cat_amide"} <= set(data.features.names)
    assert not {"row", "xdis", "UMAP-1"} & set(data.features.names)


@pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="RDKit is not installed")
def test_a_molecule_is_one_group_and_nothing_is_none(alcohols: Path) -> None:
    text = alcohols.read_text().replace("CCO,0,20", "CCO,0,20\nOCC,1,21")
    alcohols.write_text(text)
    data = load_data([alcohols], Columns("b.p. / °C"))
    assert data.groups[1] == data.groups[2]
    assert len(set(data.groups.tolist())) == len(data) - 1
    changed(alcohols, "OCC,", ",")
    with pytest.raises(
        DataError, match=r"row 3 \(line 4\): CanonicalSMILES = '': '' is not a SMILES"
    ):
        load_data([alcohols], Columns("b.p. / °C"))


def test_columns_that_describe_nothing_are_told(tmp_path: Path) -> None:
    lines = ["formula,temperature,kappa"]
    lines += [f"{f},{300 + 10 * i},{i + 1}" for i, f in enumerate(FORMULAS)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    told: list[str] = []
    load_data([tmp_path / "d.csv"], Columns("kappa"), told=told.append)
    assert told == [
        "rows are not described by 'temperature'; what is to describe them is named by --features"
    ]
    told.clear()
    named = Columns("kappa", features=("composition", "temperature"))
    assert "temperature" in load_data([tmp_path / "d.csv"], named, told=told.append).features.names
    assert told == []


def test_space_groups_are_known_by_number(tmp_path: Path) -> None:
    lines = ["formula,spacegroup,kappa", "NaCl,Fm-3m,1", "MgO,225,2", "ZnS,P6_3mc,3", "KBr,,4"]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    data = load_data([tmp_path / "d.csv"], Columns("kappa"))
    assert data.spacegroups == ("225", "225", "186", "")


def test_space_groups_describe_rows_by_number_or_symbol_and_once(tmp_path: Path) -> None:
    file = tmp_path / "symbols.csv"
    rows = [
        ("NaCl", "Fm-3m", 225),
        ("MgO", "F m -3 m", 225),
        ("ZnS", "P6_3mc", 186),
        ("GaN", "221", 221),
    ]
    lines = [f"{f},{symbol},{y},{n}" for y, (f, symbol, n) in enumerate(rows, start=1)]
    file.write_text("\n".join(["formula,sg_symbol,kappa,sg_number", *lines]) + "\n")
    both = load_data([file], Columns(target="kappa"))
    alone = load_data([file], Columns(target="kappa", exclude=("sg_number",)))
    assert both.features.made_of == ("composition", "sg_number")
    assert alone.features.made_of == ("composition", "sg_symbol")
    np.testing.assert_array_equal(both.x, alone.x)
    names = list(alone.features.names)
    assert alone.x[:, names.index("sg_symbol")].tolist() == [225, 225, 186, 221]


def test_a_constant_target_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    lines = ["x,y", *(f"{(i * 7) % 10},2" for i in range(10))]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="'y' is 2 in all 10 rows"):
        load_data([tmp_path / "d.csv"], Columns("y"), transform="log10")

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from discover.benchmark.kappa_data import Compound, choose, read_compounds, read_modes
from discover.errors import StructureError

MODES: dict[str, Any] = {
    "mp_id": {"0": "mp-1", "1": "mp-2"},
    "temperatures": {"0": [200.0, 300.0], "1": [300.0]},
    "qpoints": {"0": [[0, 0, 0], [0.5, 0, 0]], "1": [[0, 0, 0]]},
    "weights": {"0": [1, 3], "1": [1]},
    "q_mesh": {"0": [2, 2, 2], "1": [1, 1, 1]},
    "mode_kappa_TOT_ave": {"0": [[[8, 0], [0, 0]], [[0, 4], [6, 10]]], "1": [[[1, 1]]]},
}


def crystals(**columns: list[Any]) -> list[Atoms]:
    made = [bulk("Cu", cubic=True), bulk("NaCl", "rocksalt", a=5.6)]
    for key, values in columns.items():
        for atoms, value in zip(made, values, strict=True):
            if value is not None:
                atoms.info[key] = value
    return made


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes structures with these columns, or a table of modes."""

    def write_file(modes: dict[str, Any] | None = None, **columns: list[Any]) -> Path:
        if modes is not None:
            path = tmp_path / "modes.json"
            path.write_text(json.dumps(modes))
            return path
        path = tmp_path / "compounds.extxyz"
        write(path, crystals(**columns))
        return path

    return write_file


def test_compounds_with_reference_and_modes(written: Callable[..., Path]) -> None:
    file = written(mp_id=["mp-1", "mp-2"], measured=[4.0, float("nan")], prototype=["fcc", None])
    one, other = read_compounds(file, reference="measured", modes_file=written(modes=MODES))
    assert (one.id, one.formula, one.prototype, one.spacegroup) == ("mp-1", "Cu", "fcc", 225)
    assert (one.reference, other.reference) == (4.0, None)
    assert (other.formula, other.prototype) == ("NaCl", "space group 225")
    assert one.modes is not None
    assert one.modes.mesh == (2, 2, 2)
    assert one.modes.kappa_w_mk == 5.0  # (0 + 4 + 6 + 10) / (1 + 3), at 300 K
    np.testing.assert_array_equal(one.modes.modes, [[0, 4], [6, 10]])


def test_without_a_column_the_modes_tell_the_reference(written: Callable[..., Path]) -> None:
    file = written(mp_id=["mp-1", "mp-9"])
    one, other = read_compounds(file, modes_file=written(modes=MODES))
    assert (one.reference, other.reference, other.modes) == (5.0, None, None)


def test_compressed_modes_at_another_temperature(tmp_path: Path) -> None:
    file = tmp_path / "modes.json.gz"
    table = {key: {"0": column["0"]} for key, column in MODES.items()}
    file.write_bytes(gzip.compress(json.dumps(table).encode()))
    assert read_modes(file, 200.0)["mp-1"].kappa_w_mk == 2.0


def test_supercells_of_the_file(written: Callable[..., Path]) -> None:
    file = written(
        fc3_supercell=["2x2x2", [2, 0, 0, 0, 2, 0, 0, 0, 3]],
        fc2_supercell=[[4, 4, 4], None],
        q_mesh=["19x19x15", None],
    )
    one, other = (compound.conditions for compound in read_compounds(file))
    assert one.supercell == ((2, 0, 0), (0, 2, 0), (0, 0, 2))
    assert one.second_order_supercell == ((4, 0, 0), (0, 4, 0), (0, 0, 4))
    assert one.mesh == (19, 19, 15)
    assert other.supercell == ((2, 0, 0), (0, 2, 0), (0, 0, 3))
    assert (other.second_order_supercell, other.mesh) == (None, None)


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"k": [1.0, None]}, {"reference": "k"}, r"extxyz, structure 2: .* value 'k'"),
        ({"k": [1.0, -3.0]}, {"reference": "k"}, r"structure 2: k = .*3\.0.* is no conductivity"),
        ({"k": ["high", "low"]}, {"reference": "k"}, "structure 1: k = 'high' is no conductivity"),
        ({"mp_id": ["mp-1", "mp-1"]}, {}, "structure 2: mp_id = mp-1 is there twice"),
        ({"q_mesh": ["9x9", "9x9"]}, {}, "structure 1: q_mesh = '9x9' is not 3 whole numbers"),
        ({"fc2_supercell": ["4x4x4", "4x4x4"]}, {}, "fc2_supercell and no fc3_supercell"),
    ],
)
def test_bad_structures_are_named(
    written: Callable[..., Path], columns: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(StructureError, match=words):
        read_compounds(written(**columns), **options)


def test_structures_that_modes_cannot_name(written: Callable[..., Path]) -> None:
    with pytest.raises(StructureError, match=r"structure 1: there is no 'mp_id' by which .*modes"):
        read_compounds(written(name=["a", "b"]), modes_file=written(modes=MODES))


def test_files_that_are_no_structures(tmp_path: Path) -> None:
    file = tmp_path / "empty.extxyz"
    file.write_text("")
    for path in (file, tmp_path / "absent.extxyz"):
        with pytest.raises(StructureError, match=path.name):
            read_compounds(path)
    molecule = tmp_path / "molecule.extxyz"
    write(molecule, Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]))
    with pytest.raises(StructureError, match="structure 1 is no crystal"):
        read_compounds(molecule)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": None}, "no column 'weights'"),
        ({"weights": {"0": [1, 3, 3], "1": [1]}}, r"mp-1: mode_kappa_TOT_ave has the shape"),
        ({"qpoints": {"0": [[0, 0, 0]], "1": [[0, 0, 0]]}}, r"mp-1: .*qpoints \(1, 3\)"),
        ({"q_mesh": {"0": "wide", "1": [1, 1, 1]}}, "mp-1: its numbers cannot be read"),
        ({"temperatures": {"0": [1.0, 2.0], "1": [300.0]}}, "mp-1: there are no modes at 300 K"),
    ],
)
def test_bad_modes_are_named(
    written: Callable[..., Path], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(StructureError, match=rf"modes\.json.*{words}"):
        read_modes(written(modes=MODES | change), 300.0)


def test_modes_that_are_no_json(tmp_path: Path) -> None:
    file = tmp_path / "modes.json"
    for content in (b"{", b"\x1f\x8bnothing", b"[1, 2]"):
        file.write_bytes(content)
        with pytest.raises(StructureError, match=r"modes\.json"):
            read_modes(file, 300.0)


def test_a_choice_is_even_over_prototypes_and_values(shared_data: Path) -> None:
    file = shared_data / "phonondb-kappa" / "structures_kappa.extxyz"
    compounds = read_compounds(file, reference="kappa_300K")
    assert len(choose(compounds, None)) == len(choose(compounds, 200)) == 103
    chosen = choose(compounds, 12)
    assert Counter(c.prototype for c in chosen) == {"rocksalt": 4, "wurtzite": 4, "zincblende": 4}
    assert [c.id for c in chosen] == [c.id for c in choose(compounds, 12)]
    assert sum(Counter(c.prototype for c in choose(compounds, 100)).values()) == 100
    for name in ("rocksalt", "zincblende", "wurtzite"):
        own = sorted(_value(c) for c in chosen if c.prototype == name)
        every = sorted(_value(c) for c in compounds if c.prototype == name)
        quarters = np.searchsorted(every, own) * 4 // len(every)
        assert list(quarters) == [0, 1, 2, 3]


def test_reference_modes_add_up_to_the_stored_totals(shared_data: Path) -> None:
    folder = shared_data / "phonondb-kappa"
    modes = read_modes(folder / "kappas_phononDB_PBE_noNAC.json.gz", 300.0)
    with (folder / "kappa_300K.csv").open(encoding="utf-8") as stream:
        stored = {row["mp_id"]: float(row["kappa_300K"]) for row in csv.DictReader(stream)}
    assert len(modes) == 103
    for name, one in modes.items():
        assert one.kappa_w_mk == pytest.approx(stored[name], rel=1e-5)


def _value(compound: Compound) -> float:
    assert compound.reference is not None
    return compound.reference

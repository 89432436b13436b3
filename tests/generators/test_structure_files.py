"""Candidates from files of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal

from discover import plugins
from discover.errors import CampaignError, PluginError
from generators import GeneratorContext
from generators.conformance import GeneratorConformance, NewGenerator
from generators.structure_files import StructureFiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine crystals in CIF and extxyz files, one of them twice, in two cells."""
    made = tmp_path_factory.mktemp("database")
    (made / "deeper").mkdir()
    for halogen, a in (("F", 4.03), ("Cl", 5.13), ("Br", 5.50)):
        write(made / f"li{halogen}.cif", bulk(f"Li{halogen}", "rocksalt", a=a))
    write(made / "deeper" / "again.cif", bulk("LiCl", "rocksalt", a=5.13, cubic=True))
    salts = [bulk(f"Na{halogen}", "rocksalt", a=5.6) for halogen in ("F", "Cl", "Br")]
    oxides = [
        crystal(
            (metal, "O"),
            [(0.25, 0.25, 0.25), (0, 0, 0)],
            spacegroup=225,
            cellpar=[a] * 3 + [90] * 3,
        )
        for metal, a in (("Li", 4.62), ("Na", 5.55))
    ]
    write(made / "more.extxyz", [*salts, *oxides, bulk("LiCl", "cesiumchloride", a=3.2)])
    return made


def drain(generator: StructureFiles, seed: int = 3) -> list[str]:
    everything = generator.propose(100, GeneratorContext(seed, 0, frozenset()))
    assert everything.exhausted
    return [candidate.formula for candidate in everything.candidates]


class TestStructureFiles(GeneratorConformance):
    batch = 4

    @pytest.fixture
    def make_generator(self, folder: Path) -> NewGenerator:
        return lambda: StructureFiles(files=(str(folder),))


def test_every_crystal_comes_once_in_an_order_of_the_seed(folder: Path) -> None:
    generator = StructureFiles(files=(str(folder),))
    first, second = drain(generator, seed=1), drain(generator, seed=2)
    assert (
        sorted(first)
        == sorted(second)
        == sorted(["LiF", "LiCl", "LiCl", "LiBr", "NaF", "NaCl", "NaBr", "Li2O", "Na2O"])
    )
    assert first != second


def test_what_is_not_asked_for_is_left_out(folder: Path) -> None:
    generator = StructureFiles(
        files=(str(folder),), containing=("Li",), elements=("Li", "Cl", "O"), max_atoms=8
    )
    assert sorted(drain(generator)) == ["LiCl", "LiCl"]
    assert generator.elements() == {"Li", "Cl"}
    assert dict(generator.left_out) == {
        "do not contain Li": 4,
        "have other elements": 2,
        "have more than 8 atoms": 1,
    }


def test_what_cannot_be_used_is_told(folder: Path, tmp_path: Path) -> None:
    text = (folder / "liF.cif").read_text(encoding="utf-8")
    lines = [
        line.replace("1.0000", "0.5000") if line.split()[:1] == ["Li"] else line
        for line in text.splitlines()
    ]
    assert lines != text.splitlines()
    (tmp_path / "disordered.cif").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "broken.cif").write_text("data_nothing\n", encoding="utf-8")
    (tmp_path / "good.cif").write_text(text, encoding="utf-8")
    with pytest.raises(CampaignError) as error:
        StructureFiles(files=(str(tmp_path),))
    told = str(error.value)
    assert "2 structures cannot be used" in told
    assert "disordered.cif: has partly occupied sites" in told
    assert "broken.cif: " in told
    assert "drop_invalid: true" in told
    generator = StructureFiles(files=(str(tmp_path),), drop_invalid=True)
    assert drain(generator) == ["LiF"]
    assert [place for place, _ in generator.refused] == ["broken.cif", "disordered.cif"]


def test_nothing_left_is_an_error_that_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"no crystal is left of .*\(10 do not contain K\)"):
        StructureFiles(files=(str(folder),), containing=("K",))
    with pytest.raises(CampaignError, match="no structure in it"):
        StructureFiles(files=(str(tmp_path),))
    with pytest.raises(CampaignError, match="there is no file or folder"):
        StructureFiles(files=(str(tmp_path / "absent.cif"),))


def test_options_of_a_campaign_file(folder: Path) -> None:
    made = plugins.create("generators", "structures", {"files": [str(folder)], "max_atoms": 2})
    assert made.size() == 7
    factory = plugins.load("generators", "structures")
    wrong = {"files": ["relative.cif"], "containing": ["li"], "max_atoms": 0}
    problems = dict(plugins.option_problems(factory, wrong))
    assert "absolute path" in problems["files.0"]
    assert "did you mean 'Li'" in problems["containing.0"]
    assert "max_atoms" in problems
    with pytest.raises(PluginError, match="files"):
        plugins.create("generators", "structures", {"files": []})

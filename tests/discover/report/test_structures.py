from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from ase import Atoms
from ase.build import bulk

from discover.report.structures import crystal_svg, element_colours
from discover.structures.crystal import Crystal

SVG = "{http://www.w3.org/2000/svg}"
EDGES = 24  # the halves of twelve


def drawing(atoms: Atoms) -> ET.Element:
    return ET.fromstring(crystal_svg(Crystal.from_atoms(atoms)))


@pytest.mark.parametrize(
    ("atoms", "spheres", "bonds"),
    [
        # what a textbook draws of one conventional cell, atoms on its faces included
        (bulk("MgO", "rocksalt", a=4.21), 27, 54),
        (bulk("GaP", "zincblende", a=5.45), 18, 16),
        (bulk("CsCl", "cesiumchloride", a=4.12), 9, 8),
        (bulk("CaF2", "fluorite", a=5.46), 22, 32),
        (bulk("C", "diamond", a=3.57), 18, 16),
        (bulk("Cu", "fcc", a=3.61), 14, 36),
    ],
    ids=["rocksalt", "zincblende", "CsCl", "fluorite", "diamond", "fcc"],
)
def test_conventional_cell_is_complete(atoms: Atoms, spheres: int, bonds: int) -> None:
    svg = drawing(atoms)
    assert len(svg.findall(f"{SVG}circle")) == spheres
    assert len(svg.findall(f"{SVG}path")) == EDGES + 2 * bonds


def test_wurtzite_is_drawn_with_atoms_at_its_corners() -> None:
    svg = drawing(bulk("AlN", "wurtzite", a=3.11, c=4.98))
    # Al at eight corners and inside; N on four edges and inside
    assert len(svg.findall(f"{SVG}circle")) == 8 + 1 + 4 + 1


def test_a_supercell_is_drawn_as_the_cell_it_repeats() -> None:
    svg = drawing(bulk("GaP", "zincblende", a=5.45).repeat(2))
    assert len(svg.findall(f"{SVG}circle")) == 18


def test_a_cell_without_symmetry_is_drawn_too() -> None:
    atoms = bulk("Si").repeat(2)
    atoms.rattle(0.1, seed=1)
    assert len(drawing(atoms).findall(f"{SVG}circle")) >= len(atoms)


def test_a_structure_that_spglib_refuses_is_drawn_as_it_is() -> None:
    atoms = Atoms("Si2", cell=[3, 4, 5], pbc=True)  # both in one place
    assert len(drawing(atoms).findall(f"{SVG}circle")) == 16


def test_everything_lies_inside_the_picture() -> None:
    for circle in drawing(bulk("CsCl", "cesiumchloride", a=4.12)).findall(f"{SVG}circle"):
        x, y, r = (float(circle.attrib[key]) for key in ("cx", "cy", "r"))
        assert r <= x <= 100 - r
        assert r <= y <= 100 - r


def test_drawings_can_share_a_page() -> None:
    first = crystal_svg(Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.21)))
    second = crystal_svg(Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.25)))
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in (first, second)]
    assert len(ids[0]) == 2
    assert not set(ids[0]) & set(ids[1])
    assert set(re.findall(r"url\(#([^)]+)\)", first)) == set(ids[0])


def test_drawings_are_small() -> None:
    assert len(crystal_svg(Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.21)))) < 15_000


def test_title_names_the_cell() -> None:
    title = drawing(bulk("CaF2", "fluorite", a=5.46)).findtext(f"{SVG}title")
    assert title == "conventional cell: Ca4 F8; a, b, c = 5.46, 5.46, 5.46 Å"


def test_legend_has_each_element_once_in_jmol_colours() -> None:
    legend = element_colours(Crystal.from_atoms(bulk("CaF2", "fluorite", a=5.46)).numbers)
    assert legend == [("Ca", "#3dff00"), ("F", "#90e050")]  # jmol.sourceforge.net/jscolors

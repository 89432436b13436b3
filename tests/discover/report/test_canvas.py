from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from matplotlib.figure import Figure

from discover.report.canvas import (
    PALETTE,
    TIP,
    inline_svg,
    legend_above,
    literal,
    new_figure,
    png,
    styled,
)


def figure() -> Figure:
    made = new_figure(4, 3)
    axes = styled(made.subplots())
    axes.scatter([1, 2], [3, 4], color=PALETTE["model"], label="points").set_urls(
        [TIP + "AlN: 3 W/m/K, <first> & best", TIP + "second"]
    )
    legend_above(axes, columns=1)
    return made


def test_svg_follows_the_theme_of_its_page() -> None:
    svg = inline_svg(figure(), "one")
    assert "var(--model)" in svg
    assert "var(--ink)" in svg
    assert not [colour for colour in PALETTE.values() if colour in svg]
    assert "http" not in svg


def test_svg_is_well_formed_with_tooltips_and_text() -> None:
    root = ET.fromstring(inline_svg(figure(), "one"))
    assert [e.text for e in root.iter("title")] == ["AlN: 3 W/m/K, <first> & best", "second"]
    assert "points" in {e.text for e in root.iter("text")}
    assert root.attrib["viewBox"].startswith("0 0 ")


def test_ids_belong_to_the_figure_and_references_find_them() -> None:
    svg = inline_svg(figure(), "one")
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert all(name == "one" or name.startswith("one-") for name in ids)
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    for pair in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg):
        assert "".join(pair) in ids


def test_the_same_figure_gives_the_same_bytes() -> None:
    assert inline_svg(figure(), "one") == inline_svg(figure(), "one")


def test_png_is_a_picture() -> None:
    assert png(figure()).startswith(b"\x89PNG\r\n")


def test_words_of_users_are_no_formulas() -> None:
    figure = new_figure(4, 2)
    axes = styled(figure.subplots())
    axes.set_ylabel(literal(r"cost $\foo$ [$/t]"))
    assert r"cost $\foo$ [$/t]" in inline_svg(figure, "cost")
    assert literal("a name of five words", 12) == "a name of\nfive words"

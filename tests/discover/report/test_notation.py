from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.report.notation import (
    duration_text,
    error_text,
    formula_html,
    formula_text,
    number_text,
    quantity_text,
    spacegroup_html,
    spacegroup_symbol,
    spacegroup_text,
)


@pytest.mark.parametrize(
    ("formula", "html", "text"),
    [
        ("AlN", "AlN", "AlN"),
        ("Al2O3", "Al<sub>2</sub>O<sub>3</sub>", "Al₂O₃"),
        ("Ca(OH)2", "Ca(OH)<sub>2</sub>", "Ca(OH)₂"),
        ("Li10GeP2S12", "Li<sub>10</sub>GeP<sub>2</sub>S<sub>12</sub>", "Li₁₀GeP₂S₁₂"),
        ("Fe0.5O", "Fe<sub>0.5</sub>O", "Fe₀.₅O"),
    ],
)
def test_formula(formula: str, html: str, text: str) -> None:
    assert formula_html(formula) == html
    assert formula_text(formula) == text


@given(st.text(max_size=20))
def test_formula_html_loses_nothing_and_lets_nothing_through(text: str) -> None:
    html = formula_html(text)
    assert set(re.findall(r"<[^>]*>", html)) <= {"<sub>", "</sub>"}
    assert unescape(re.sub(r"</?sub>", "", html)) == unescape(text) or "&" in text


@pytest.mark.parametrize(
    ("number", "symbol"),
    [(1, "P1"), (186, "P6_3mc"), (194, "P6_3/mmc"), (216, "F-43m"), (225, "Fm-3m"), (230, "Ia-3d")],
)
def test_symbol_is_that_of_the_international_tables(number: int, symbol: str) -> None:
    assert spacegroup_symbol(number) == symbol


def test_every_space_group_has_a_symbol_of_its_own() -> None:
    assert len({spacegroup_symbol(number) for number in range(1, 231)}) == 230


def test_symbol_is_typeset() -> None:
    assert spacegroup_html(194) == "P6<sub>3</sub>/mmc"
    assert spacegroup_html(225) == 'Fm<span class="bar">3</span>m'
    assert spacegroup_text(186) == "P6₃mc"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.14159, "3.14"), (1234.0, "1230"), (-0.5, "-0.5"), (2.5e-5, "2.50e-05"),
     (3e7, "3.00e+07"), (100.0, "100"), (999999.0, "1000000")],
)  # fmt: skip
def test_three_digits(value: float, text: str) -> None:
    assert number_text(value) == text


@given(st.floats(-1e12, 1e12))
def test_number_text_is_within_half_a_percent(value: float) -> None:
    assert float(number_text(value)) == pytest.approx(value, rel=0.006)


def test_errors_are_decades_of_what_is_learned_by_its_logarithm() -> None:
    assert error_text(0.347, "S/cm", logarithmic=True) == "± 0.3 decades"
    assert error_text(0.02, "eV", logarithmic=False) == "± 0.02 eV"
    assert error_text(None, "eV", logarithmic=False) == ""


def test_dimensionless_quantities_have_no_unit() -> None:
    assert quantity_text(2.0, "1") == "2"
    assert quantity_text(2.0, "GPa") == "2 GPa"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (4.21, "4.2 s"), (42.4, "42 s"), (59.7, "1 min"), (185, "3 min 5 s"),
     (3600, "1 h"), (7800, "2 h 10 min"), (273_600, "3 d 4 h")],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text

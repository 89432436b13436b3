"""How formulas, space groups, values and times are written, in HTML and in plain text."""

from __future__ import annotations

import re
from functools import cache
from html import escape

_SUBSCRIPTS = str.maketrans("0123456789.", "₀₁₂₃₄₅₆₇₈₉.")
_COUNT = re.compile(r"(?<=[A-Za-z)\]])\d+(?:\.\d+)?")


def formula_html(formula: str) -> str:
    """`Al2O3` with its counts as `<sub>`; safe to put into a page."""
    return _COUNT.sub(lambda count: f"<sub>{count[0]}</sub>", escape(formula))


def formula_text(formula: str) -> str:
    """`Al2O3` as `Al₂O₃`, for figures and markdown."""
    return _COUNT.sub(lambda count: count[0].translate(_SUBSCRIPTS), formula)


def spacegroup_symbol(number: int) -> str:
    """International (Hermann-Mauguin) short symbol of a space group, such as `P6_3mc` for 186."""
    return _symbols()[number]


def spacegroup_html(number: int) -> str:
    """The symbol with screw axes as subscripts and rotoinversions overlined."""
    symbol = re.sub(r"_(\d)", r"<sub>\1</sub>", escape(spacegroup_symbol(number)))
    return re.sub(r"-(\d)", r'<span class="bar">\1</span>', symbol)


def spacegroup_text(number: int) -> str:
    """The symbol in plain text, screw axes as Unicode subscripts."""
    return re.sub(r"_(\d)", lambda axis: axis[1].translate(_SUBSCRIPTS), spacegroup_symbol(number))


def structure_html(spacegroup: int | None, title: str) -> str:
    """Space group and structure type of a crystal; for others their title, such as a SMILES."""
    if spacegroup is None:
        return f'<code class="smiles">{escape(title)}</code>'
    return f'{spacegroup_html(spacegroup)} <span class="muted small">{escape(title)}</span>'


def structure_text(spacegroup: int | None, title: str) -> str:
    """The same in plain text."""
    return title if spacegroup is None else f"{spacegroup_text(spacegroup)} {title}"


def number_text(value: float) -> str:
    """Three significant digits, without an exponent between 10⁻³ and 10⁶."""
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text


def quantity_text(value: float, unit: str) -> str:
    """A value with its unit, which a dimensionless one (`1`) has not."""
    return number_text(value) if unit == "1" else f"{number_text(value)} {unit}"


def error_text(uncertainty: float | None, unit: str, *, logarithmic: bool) -> str:
    """`± 0.3 decades` of a value learned by its logarithm, else `± 0.3 eV`; nothing without an error."""
    if uncertainty is None:
        return ""
    return (
        f"± {uncertainty:.1f} decades" if logarithmic else f"± {quantity_text(uncertainty, unit)}"
    )


def duration_text(seconds: float) -> str:
    """`4.2 s`, `42 s`, `3 min 5 s`, `2 h 10 min` or `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(large: int, large_name: str, small: int, small_name: str) -> str:
    return f"{large} {large_name} {small} {small_name}" if small else f"{large} {large_name}"


@cache
def _symbols() -> dict[int, str]:
    import spglib

    settings = [spglib.get_spacegroup_type(hall) for hall in range(530, 0, -1)]
    return {s.number: str(s.international_short) for s in settings}  # the standard setting is last

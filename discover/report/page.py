"""A campaign's page: one HTML file that needs nothing else, and its short form for a dashboard."""

from __future__ import annotations

import base64
import importlib.metadata
import platform
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from discover.calculations.job import read_result
from discover.campaign import CampaignSpec
from discover.errors import CalculationError, PotentialError
from discover.files import write_atomically
from discover.folder import CampaignFolder
from discover.objectives import target_of
from discover.potentials.learning.notes import FINE_TUNED
from discover.properties import Property
from discover.records import CalculationState
from discover.report import notation
from discover.report.beliefs import beliefs_figure
from discover.report.canvas import PALETTE, inline_svg, png
from discover.report.drawings import element_colours, structure_svg
from discover.report.figures import inside_interval, interval
from discover.report.findings import MIN_FORECASTS, Findings, few_results
from discover.report.phonon_card import phonon_card
from discover.report.phonon_facts import phonon_entries
from discover.report.phonons import dispersion_figure
from discover.results import RELATIONS, ResultRow, RungStatus
from discover.store.base import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GOALS = {"max": "highest", "min": "lowest", "extremes": "highest and lowest"}
DRAWN_STRUCTURES = 100
DRAWN_PHONONS = 12
DRAWN_UNSTABLE = 4
"""Candidates whose phonons are drawn: so many of the best, and so many without a conductivity."""
SHOWN_PASSES = 12
SHOWN_PRELIMINARY = 20
SHOWN_OUTCOMES = 40
TOP = 10
"""Results in the short form."""
PACKAGES = (
    "discover-materials",
    "numpy",
    "torch",
    "botorch",
    "gpytorch",
    "ase",
    "pymatgen",
    "matminer",
    "smact",
    "spglib",
    "chgnet",
    "mace-torch",
    "phono3py",
    "symfc",
)
"""Packages whose versions decide what is proposed, relaxed, predicted and picked."""


def write_report(folder: CampaignFolder, spec: CampaignSpec, store: Store) -> Path:
    """Write `report/index.html`, and its figures as PNG files beside it; returns the page's path.

    The page is replaced in one atomic rename. Raises OSError where the folder cannot be written.
    """
    findings = Findings(spec, store, time.time())
    drawn = findings.figures()
    folder.report.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        (folder.report / f"{name}.png").write_bytes(png(figure))
    charts = {name: inline_svg(figure, name) for name, figure in drawn.items()}
    page = folder.report / "index.html"
    write_atomically(page, _html(findings, folder, charts))
    return page


def markdown_report(folder: CampaignFolder, spec: CampaignSpec, store: Store, now: float) -> str:
    """Headline, progress, the ten best, the search picture and the best one's phonons.

    Pictures are PNG data URIs.

    `now` is in seconds since the epoch.
    """
    findings = Findings(spec, store, now)
    state = findings.status
    lines = [
        f"# {spec.name}: {sought_in_words(spec)}",
        "",
        _headline(findings),
        "",
        _progress(findings),
    ]
    if state.reason:
        lines += ["", f"Ended: {state.reason}."]
    if findings.rows:
        below = [rung.fidelity for rung in state.rungs[:-1]]
        headings = ("#", "compound", "structure", spec.target.label, *below)
        lines += [
            "",
            f"| {' | '.join(headings)} | expected (90 %) | picked by | job |",
            f"| ---: | --- | --- | ---: |{' ---: |' * len(below)} ---: | --- | --- |",
            *(_markdown_row(row, below) for row in findings.rows[:TOP]),
            "",
        ]
    if state.rungs:
        lines += ["", *(_markdown_rung(rung) for rung in state.rungs), ""]
    if findings.unstable:
        names = ", ".join(
            f"{notation.formula_text(row.formula)} {row.title}" for row in findings.unstable[:TOP]
        )
        lines += ["", f"Dynamically unstable: {len(findings.unstable)} ({names}).", ""]
    if state.tradeoff:
        found = state.tradeoff
        limits = f", {found.feasible} meet every constraint" if found.constraints else ""
        lines += ["", f"Of {found.complete} candidates{limits}, {found.front} on the front.", ""]
    lines += ["", _picture("The search so far", findings.search_figure())]
    if findings.beliefs:
        picture = beliefs_figure(findings.beliefs, spec.modelled)
        lines += ["", "**Whom `auto` believes**", "", _picture("Weights of families", picture)]
    entry = next(iter(phonon_entries(findings, folder)), None)
    if entry and (spectra := entry.spectra):
        title = f"Phonons of {notation.formula_text(entry.formula)}: {entry.headline}"
        lines += ["", f"**{title}**", "", _picture(title, dispersion_figure(spectra))]
    return "\n".join([*lines, ""])


def sought_in_words(spec: CampaignSpec) -> str:
    """What is searched for, in words."""
    return ", ".join(f"{GOALS[one.goal]} {target_of(one).label}" for one in spec.sought)


def _picture(title: str, figure: Figure) -> str:
    return f"![{title}](data:image/png;base64,{base64.b64encode(png(figure)).decode()})"


def _headline(findings: Findings) -> str:
    ends = (
        [("Best", 0)]
        if findings.spec.objective.goal != "extremes"
        else [("Highest", 0), ("Lowest", 1)]
    )
    told = [
        f"**{name}: {notation.formula_text(row.formula)}, "
        f"{row.relation}{notation.quantity_text(row.value, row.unit)}** "
        f"({notation.structure_text(row.spacegroup, row.title)})"
        for name, index in ends
        for row in findings.rows[index : index + 1]
    ]
    return " · ".join(told) or "No results yet."


def _progress(findings: Findings) -> str:
    counts, budget = findings.status.calculations, findings.status.budget
    over = sum(counts[state] for state in ("done", "failed", "cancelled"))
    filled = min(20, round(20 * over / budget))
    told = [f"`{'█' * filled}{'░' * (20 - filled)}` {over} of {budget} calculations"]
    told += [
        f"{counts[state]} {state}" for state in ("failed", "cancelled", "unknown") if counts[state]
    ]
    active = counts["proposed"] + counts["submitted"] + counts["running"]
    if active:
        told.append(f"{active} under way")
    if findings.status.slots_busy is not None:
        told.append(f"slots busy {findings.status.slots_busy:.0%}")
    return " · ".join(told)


def _markdown_rung(rung: RungStatus) -> str:
    each = (
        f", {notation.duration_text(rung.core_seconds)} x cores each" if rung.core_seconds else ""
    )
    return f"- {rung.fidelity}: {rung.calculations} calculations, {rung.values} values{each}"


def _markdown_row(row: ResultRow, below: Sequence[str]) -> str:
    expected = "–"
    if row.predicted is not None:
        low, middle, high = (notation.number_text(value) for value in interval(row))
        expected = f"{middle} ({low} – {high})"
    cells = (
        str(row.rank),
        notation.formula_text(row.formula),
        notation.structure_text(row.spacegroup, row.title),
        row.relation + notation.quantity_text(row.value, row.unit),
        *(notation.number_text(row.lower[f]) if f in row.lower else "–" for f in below),
        expected,
        row.picked_by,
        f"`{row.calculation[:8]}`",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _html(findings: Findings, folder: CampaignFolder, charts: dict[str, str]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        formula=notation.formula_html,
        structure=notation.structure_html,
        number=notation.number_text,
        relation=RELATIONS.__getitem__,
        duration=notation.duration_text,
        moment=_moment,
    )
    spec = findings.spec
    return environment.get_template("page.html").render(
        findings=findings,
        spec=spec,
        target=spec.target,
        unit="" if spec.target.unit == "1" else spec.target.unit,
        status=findings.status,
        goal=GOALS[spec.objective.goal],
        sought=sought_in_words(spec),
        palette=PALETTE,
        charts=charts,
        few_results=few_results(len(findings.picked), findings.open_ended),
        min_forecasts=MIN_FORECASTS,
        inside=sum(map(inside_interval, findings.forecasts)),
        table=_table(findings),
        drawn_structures=DRAWN_STRUCTURES,
        shown_preliminary=SHOWN_PRELIMINARY,
        shown_outcomes=SHOWN_OUTCOMES,
        phonons=_phonons(findings, folder),
        learning=_learning(findings, folder),
        passes=findings.store.passes()[: -SHOWN_PASSES - 1 : -1],
        campaign_file=_campaign_file(folder),
        settings=_without_credentials(
            yaml.safe_dump(
                spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=90
            )
        ),
        code_versions=_code_versions(findings, folder),
        package_versions=_package_versions(),
    )


def _table(findings: Findings) -> list[dict[str, Any]]:
    """One entry a result: its row, drawing, elements, and places on the common scale in percent."""
    position = _position(findings.rows, findings.spec.target)
    table = []
    for row in findings.rows:
        structure = findings.store.candidate(row.candidate).structure
        drawing = structure_svg(structure) if row.rank <= DRAWN_STRUCTURES else ""
        table.append(
            {
                "row": row,
                "drawing": drawing,
                "elements": element_colours(structure),
                "place": position(row.value),
                "expected": None
                if row.predicted_low is None or row.predicted_high is None
                else (position(row.predicted_low), position(row.predicted_high)),
                "inside": row.predicted is None or row.bound or inside_interval(row),
                "error": notation.error_text(
                    row.uncertainty,
                    row.unit,
                    logarithmic=findings.spec.target.transform == "log10",
                ),
            }
        )
    return table


def _phonons(findings: Findings, folder: CampaignFolder) -> dict[str, Any]:
    """Phonon calculations: the drawn ones with figures and facts, and all others by name."""
    entries = phonon_entries(findings, folder)
    ranked = [entry for entry in entries if entry.rank is not None][:DRAWN_PHONONS]
    unranked = [entry for entry in entries if entry.rank is None][:DRAWN_UNSTABLE]
    drawn = [phonon_card(entry) for entry in (*ranked, *unranked)]
    shown = {card["entry"].calculation for card in drawn}
    return {
        "drawn": drawn,
        "others": [entry for entry in entries if entry.calculation not in shown],
    }


def _learning(findings: Findings, folder: CampaignFolder) -> dict[str, Any] | None:
    """The fine-tunings of the campaign's potential, drawn and told; None where there are none."""
    if not findings.store.value(FINE_TUNED):
        return None
    from discover.potentials.learning.campaign import fine_tunings, summary
    from discover.report.learning import learning_figure

    try:
        cards = [done.card for done in fine_tunings(folder, findings.store)]
    except PotentialError as error:
        return {"problem": str(error)}
    return {
        "chart": inline_svg(learning_figure(cards), "learning"),
        "told": [(card, summary(card)) for card in cards],
    }


def _position(rows: Sequence[ResultRow], target: Property) -> Callable[[float], float]:
    """From a value to its place, in percent, on a scale that spans all values and intervals."""
    told = [(row.value, row.predicted_low, row.predicted_high) for row in rows]
    bounds = [target.to_model(value) for values in told for value in values if value is not None]
    low, high = min(bounds, default=0.0), max(bounds, default=1.0)
    return lambda value: 100 * (target.to_model(value) - low) / ((high - low) or 1.0)


def _campaign_file(folder: CampaignFolder) -> str | None:
    if not folder.spec_file.exists():
        return None
    return _without_credentials(folder.spec_file.read_text(encoding="utf-8"))


def _without_credentials(text: str) -> str:
    """The text with user and password of every address in it masked: pages are shared."""
    return re.sub(r"(://)\S*@", r"\1***@", text)


def _code_versions(findings: Findings, folder: CampaignFolder) -> list[tuple[str, str]]:
    """Codes behind the results, as the jobs themselves noted them."""
    seen: dict[str, set[str]] = {}
    for calculation in findings.calculations:
        if calculation.state is not CalculationState.DONE:
            continue
        try:
            result = read_result(folder.job(calculation.id))
        except CalculationError as error:
            seen.setdefault("not readable", set()).add(str(error))
            continue
        for name, version in (result.versions if result else {}).items():
            seen.setdefault(name, set()).add(version)
    return [(name, ", ".join(sorted(versions))) for name, versions in sorted(seen.items())]


def _package_versions() -> list[tuple[str, str]]:
    """Python and the installed packages that matter, where this page was written."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")

"""One phonon calculation as a page shows it: its figures as SVG, and its facts."""

from __future__ import annotations

from typing import Any

from discover.report.canvas import inline_svg
from discover.report.phonon_facts import PhononEntry, facts
from discover.report.phonons import dispersion_figure, transport_figure


def phonon_card(entry: PhononEntry) -> dict[str, Any]:
    """The entry, `charts` (SVG) and `facts`, for the templates."""
    spectra = entry.spectra
    figures = [dispersion_figure(spectra), transport_figure(spectra)] if spectra else []
    return {
        "entry": entry,
        "charts": [
            inline_svg(figure, f"phonons-{entry.calculation}-{number}")
            for number, figure in enumerate(figures)
            if figure is not None
        ],
        "facts": facts(entry),
    }

"""Figures of one phonon calculation, as the report draws them."""

from __future__ import annotations

from typing import Any

from discover.errors import NotServedError
from discover.page.catalogue import OpenCampaign
from discover.records import Calculation
from discover.report.canvas import inline_svg
from discover.report.phonon_facts import facts, phonon_entries
from discover.report.phonons import dispersion_figure, transport_figure


def phonon_card(campaign: OpenCampaign, calculation: Calculation) -> dict[str, Any]:
    """Its entry, figures (SVG) and facts; NotServedError where it left none."""
    for entry in phonon_entries(campaign.findings, campaign.folder):
        if entry.calculation == calculation.id:
            break
    else:
        raise NotServedError(f"job {calculation.id} left no phonons")
    spectra = entry.spectra
    figures = [dispersion_figure(spectra), transport_figure(spectra)] if spectra else []
    return {
        "entry": entry,
        "charts": [
            inline_svg(figure, f"phonons-{calculation.id}-{number}")
            for number, figure in enumerate(figures)
            if figure is not None
        ],
        "facts": facts(entry),
    }

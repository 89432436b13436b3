"""Figures of one phonon calculation, as the report draws them."""

from __future__ import annotations

from typing import Any

from discover.errors import NotServedError
from discover.page.catalogue import OpenCampaign
from discover.records import Calculation
from discover.report.phonon_card import phonon_card
from discover.report.phonon_facts import phonon_entries


def phonon_card_of(campaign: OpenCampaign, calculation: Calculation) -> dict[str, Any]:
    """Its entry, figures (SVG) and facts; NotServedError where it left none."""
    for entry in phonon_entries(campaign.findings, campaign.folder):
        if entry.calculation == calculation.id:
            return phonon_card(entry)
    raise NotServedError(f"job {calculation.id} left no phonons")

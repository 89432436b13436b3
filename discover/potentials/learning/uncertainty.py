"""Candidates about whose forces a committee disagrees, and the calculation that would tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from discover import plugins
from discover.calculations.base import is_first_principles
from discover.campaign import CalculationSettings, CampaignSpec
from discover.ladder import LABEL
from discover.potentials.learning.committee import Committee
from discover.potentials.learning.splitting import share
from discover.records import Candidate

ASKED = 512
"""Candidates about which a committee is asked at most: a sample by hash of more."""

RATTLE_ANGSTROM, MIN_ATOMS, FRAMES = 0.05, 8, 2
"""Of what a committee is asked about and, where it disagrees, is labelled (see `Static`)."""


def label_settings(spec: CampaignSpec, base: Path) -> CalculationSettings | None:
    """A single point of the rattled crystal with the dearest first-principles engine, if there is one."""
    for rung in reversed(spec.rungs):
        if is_first_principles(plugins.load("engines", rung.engine, base)):
            return CalculationSettings(
                kind=LABEL,
                settings={
                    "rattle_angstrom": RATTLE_ANGSTROM,
                    "min_atoms": MIN_ATOMS,
                    "frames": FRAMES,
                    "seed": spec.seed,
                },
                engine=rung.engine,
                engine_settings=rung.engine_settings,
            )
    return None


def most_uncertain(
    committee: Committee,
    candidates: Iterable[Candidate],
    *,
    threshold_ev_per_angstrom: float,
    number: int,
    seed: int,
) -> list[tuple[Candidate, float]]:
    """Up to `number` candidates and their uncertainties (eV/Å) beyond the threshold, largest first.

    The committee is asked about the very structures that a label would be computed of.
    """
    from discover.calculations.static import Static

    kind = Static(rattle_angstrom=RATTLE_ANGSTROM, min_atoms=MIN_ATOMS, frames=FRAMES, seed=seed)
    asked = sorted(candidates, key=lambda candidate: share(seed, candidate.id))[:ASKED]
    if not asked:
        return []
    structures = [kind.structures(candidate.crystal) for candidate in asked]
    of_all = committee.force_uncertainty(list(itertools.chain(*structures)))
    uncertainties = np.reshape(of_all, (len(asked), FRAMES)).max(axis=1).tolist()
    found = [
        pair
        for pair in zip(asked, uncertainties, strict=True)
        if pair[1] > threshold_ev_per_angstrom
    ]
    return sorted(found, key=lambda pair: -pair[1])[:number]

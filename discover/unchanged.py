"""What a campaign began with, and what may no longer be changed."""

from __future__ import annotations

from typing import Any

from discover.campaign import CampaignSpec
from discover.errors import CampaignError
from discover.records import ACTIVE_STATES, CalculationState
from discover.store.base import Store
from discover.store.transfer import check_finished

FIXED_KEYS = (
    "generator",
    "potential",
    "relaxation",
    "descriptors",
    "calculation",
    "calculations",
    "ladder",
    "seed",
)
CALCULATIONS = ("calculation", "calculations", "ladder")
"""The keys that say what is computed."""


def check_unchanged(store: Store, spec: CampaignSpec, source: str) -> None:
    """CampaignError where a key was changed on which the data in the store depend.

    Values of another property, fidelity or structure must not be mixed with those that are there.
    The calculation may be changed as long as it gave no value and none will go on as it was begun
    (running or cancelled by a stop); everything else at any time. StoreError where the store holds part
    of an import or a migration that was cut short.
    """
    check_finished(store)
    begun = store.value("begun_with")
    if begun is None or not any(store.count_candidates().values()):
        return
    present = _fixed_part(spec)
    waiting = store.calculations(ACTIVE_STATES | {CalculationState.CANCELLED})
    computed = any(o.calculation for o in store.observations(quarantined=True))
    no_value_yet = not (computed or waiting)
    changed = [
        f"{source}: {key}: cannot be changed once a campaign has begun (it began with "
        f"{begun.get(key)}); change it back, or begin a new campaign in another folder"
        for key in (*FIXED_KEYS, "property")
        if begun.get(key) != present.get(key) and not (key in CALCULATIONS and no_value_yet)
    ]
    if changed:
        raise CampaignError("\n".join(changed))


def note_beginning(store: Store, spec: CampaignSpec) -> None:
    """Note what the data in the store depend on, after `check_unchanged` had nothing to say."""
    store.set_value("begun_with", _fixed_part(spec))


def _fixed_part(spec: CampaignSpec) -> dict[str, Any]:
    """What the data depend on, as far as it is given; what a rung is said to cost may change."""
    fixed = spec.model_dump(mode="json", include=set(FIXED_KEYS))
    for rung in (fixed["calculation"], *fixed["ladder"], *fixed["calculations"]):
        del rung["cost_core_seconds"]
        if rung["name"] is None:
            del rung["name"]
    for several in ("ladder", "calculations"):
        if not fixed[several]:
            del fixed[several]
    return fixed | {"property": spec.objective.property}

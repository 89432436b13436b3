"""What the store remembers of a campaign's learning potential, by the names it is kept under."""

from __future__ import annotations

from discover.campaign import CampaignSpec
from discover.store.base import Store

IN_USE = "potential"
"""Name of the potential that was adopted last."""
BEGUN = "learning_begun"
"""Ids of the calculations that a fine-tuning which has not ended was begun with."""
LEARNED_ON = "learned_on"
"""How many results the last fine-tuning saw."""
FINE_TUNED = "fine_tuned"
"""Ids of the cards of all fine-tunings, oldest first."""
TO_LABEL = "to_label"
"""Ids of the candidates that are to have a label of their own, the least certain first."""


def potential_in_use(store: Store, spec: CampaignSpec) -> str:
    """The potential that relaxes new candidates: the last one adopted, else the campaign's own."""
    return str(store.value(IN_USE) or spec.potential)

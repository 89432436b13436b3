"""What a campaign tells people while it runs: one line for each thing that happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from discover.campaign import CampaignSpec
from discover.ladder import LABEL, unstable
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    ModelCard,
    Prediction,
    interval_90,
)
from discover.results import RELATIONS
from discover.store.base import Store


@dataclass(frozen=True)
class Telling:
    """Finds the words, and hands each line to `told`."""

    spec: CampaignSpec
    store: Store
    told: Callable[[str], None]

    def collected(self, candidate: Candidate, calculation: Calculation) -> None:
        """What became of a calculation."""
        match calculation.state:
            case CalculationState.DONE:
                what = f"{self._values(calculation)}{self._at(calculation)}"
            case CalculationState.FAILED:
                what = f"failed{self._at(calculation)}: {calculation.reason}"
            case _:
                what = f"started again ({calculation.reason})"
        self.told(f"{_title(candidate)}: {what}")

    def started(
        self, candidate: Candidate, calculation: Calculation, prediction: Prediction | None
    ) -> None:
        """What was picked, and what is expected of it."""
        self.told(
            f"{_title(candidate)}: started{self._at(calculation)}{self._expectation(prediction)}"
        )

    def labelled(self, candidate: Candidate, calculation: Calculation) -> None:
        """What is computed for the potential to learn from."""
        self.told(
            f"{_title(candidate)}: started at {calculation.fidelity}, for the potential to learn from"
        )

    def trained(self, card: ModelCard) -> None:
        """How good a model is."""
        mae, target = card.metrics.get("mae"), self.spec.target
        scale = f"log10 {target.unit}" if target.transform == "log10" else target.unit
        self.told(
            f"trained {card.surrogate} on {card.n_observations} observations"
            + (f"; cross-validated MAE {mae:.2f} ({scale})" if mae is not None else "")
        )

    def screened(self, candidates: int, ready: int) -> None:
        """How many candidates of a batch passed."""
        self.told(
            f"{'relaxed and ' if self.spec.relaxation.enabled else ''}filtered {candidates} "
            f"candidates: {ready} ready, {candidates - ready} rejected"
        )

    def shortened(self, scored: int, candidates: int) -> None:
        """That time was too short to score all of a pool."""
        self.told(
            f"scored {scored:,} of {candidates:,} candidates within "
            f"{self.spec.selection_seconds:g} s: the best of them is picked"
        )

    def _at(self, calculation: Calculation) -> str:
        """The rung of a calculation, where there are several."""
        return f" at {calculation.fidelity}" if len(self.spec.rungs) > 1 else ""

    def _expectation(self, prediction: Prediction | None) -> str:
        if prediction is None:
            return ", picked without a model"
        told = []
        for target in self.spec.modelled:
            own = prediction.others.get(target.name, prediction)
            low, middle, high = (target.from_model(y) for y in interval_90(own.mean, own.std))
            told.append(f"{middle:.3g} ({low:.2g} to {high:.2g}) {target.unit}".removesuffix(" 1"))
        at = f" at {self.spec.calculation.fidelity}" if self.spec.ladder else ""
        return f", expecting {', '.join(told)}{at}"

    def _values(self, calculation: Calculation) -> str:
        if calculation.kind == LABEL:
            return "labelled"
        values = [
            o for o in self.store.observations(quarantined=True) if o.calculation == calculation.id
        ]
        found = unstable([calculation], values, self.spec.objective.property)
        if found:
            return f"dynamically unstable ({found[calculation.id]:.3g} THz)"
        modelled = {target.name: target for target in self.spec.modelled}
        shown = [
            (f"{modelled[o.property].label} " if len(modelled) > 1 else "")
            + f"{RELATIONS[o.bound]}{o.value:.4g} {o.unit}".removesuffix(" 1")
            + (f" (quarantined: {o.quarantined})" if o.quarantined else "")
            for o in values
            if o.property in modelled
        ]
        return ", ".join(shown) or f"done, without a value of the {self.spec.target.label}"


def _title(candidate: Candidate) -> str:
    return f"{candidate.formula} ({candidate.title})"

"""A campaign's potential as it learns from the campaign's own first-principles results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from discover.campaign import CampaignSpec, Learning
from discover.errors import PotentialError
from discover.folder import CampaignFolder
from discover.potentials import load_potential
from discover.potentials.base import Potential
from discover.potentials.learning.adoption import Comparison
from discover.potentials.learning.errors import Errors
from discover.potentials.learning.finetuning import (
    Card,
    FineTuned,
    FinetuningSettings,
    finetune,
    read_finetuned,
)
from discover.potentials.learning.labels import (
    Labels,
    collect_labels,
    labelling_calculations,
    labelling_engines,
)
from discover.potentials.learning.notes import (
    BEGUN,
    FINE_TUNED,
    IN_USE,
    LEARNED_ON,
    TO_LABEL,
    potential_in_use,
)
from discover.potentials.learning.uncertainty import most_uncertain
from discover.potentials.mace import MACEPotential
from discover.records import CandidateState
from discover.store.base import Store


def settings_of(spec: CampaignSpec) -> FinetuningSettings:
    """What the campaign file says about fine-tuning, defaults where it says nothing."""
    chosen = spec.learning or Learning()
    return FinetuningSettings(
        epochs=chosen.epochs, replay=chosen.replay, committee=chosen.committee, seed=spec.seed
    )


def trainable(name: str, base: Path) -> MACEPotential:
    """The potential of this name; PotentialError where it is not a MACE."""
    return check_trainable(load_potential(name, base), name)


def check_trainable(potential: Potential, name: str) -> MACEPotential:
    """The potential itself; PotentialError where it is not a MACE."""
    if not isinstance(potential, MACEPotential):
        raise PotentialError(
            f"{name!r} cannot be fine-tuned: only MACE potentials can, such as mace:bundled"
        )
    return potential


def labels_of(folder: CampaignFolder, spec: CampaignSpec, store: Store) -> Labels:
    """All that the campaign has; PotentialError, saying why, where there is nothing to learn from."""
    engines = _engines(folder, spec)
    calculations = labelling_calculations(store, engines)
    if begun := store.value(BEGUN):
        calculations = [c for c in calculations if c.id in begun]
    labels = collect_labels(folder, store, calculations)
    if not labels.labels:
        why = "".join(f"; left out: {n} {what}" for what, n in labels.left_out.items())
        raise PotentialError(
            f"{folder.root}: there are no first-principles frames yet ({len(calculations)} finished"
            f" calculations by {', '.join(sorted(engines))}{why}): run the campaign first"
        )
    return labels


def learn(
    folder: CampaignFolder,
    spec: CampaignSpec,
    store: Store,
    settings: FinetuningSettings,
    told: Callable[[str], None] = lambda _: None,
) -> FineTuned:
    """Fine-tune the campaign's own potential on all its labels and, if it is better, put it in use.

    It always starts from the potential in the campaign file, so that errors do not add up, and is
    compared on new data with the one in use. Killed and called again, it goes on with the results
    that it was begun with. Values at the rungs of the ladder stay those of the potentials named
    there. Hold the campaign's lease. PotentialError as `finetune` and `labels_of`.
    """
    start = trainable(spec.potential, folder.root)
    if store.value(BEGUN) is None:
        results = labelling_calculations(store, _engines(folder, spec))
        store.set_value(BEGUN, [calculation.id for calculation in results])
    try:
        done = finetune(
            start,
            labels_of(folder, spec, store),
            store.candidates(CandidateState.READY),
            folder.models,
            settings,
            in_use=load_potential(potential_in_use(store, spec), folder.root),
            told=told,
        )
    except PotentialError:
        _end(store)
        raise
    if done.card.adopted:
        store.set_value(IN_USE, f"mace:{done.weights.relative_to(folder.root)}")
    store.set_value(TO_LABEL, _to_label(spec, store, done, told))
    known = store.value(FINE_TUNED) or []
    store.set_value(FINE_TUNED, [*(i for i in known if i != done.card.id), done.card.id])
    _end(store)
    return done


def _to_label(
    spec: CampaignSpec, store: Store, done: FineTuned, told: Callable[[str], None]
) -> list[str] | None:
    """Ids of the candidates that nobody has computed and about which the committee disagrees most."""
    threshold = spec.learning.max_force_uncertainty_ev_per_angstrom if spec.learning else None
    if spec.learning is None or threshold is None or done.card.settings.committee < 2:
        return None
    computed = {calculation.candidate for calculation in store.calculations()}
    found = most_uncertain(
        done.committee(),
        (c for c in store.candidates(CandidateState.READY) if c.id not in computed),
        threshold_ev_per_angstrom=threshold,
        number=spec.learning.labels,
        seed=spec.seed,
    )
    for candidate, uncertainty in found:
        told(f"{candidate.formula}: forces are uncertain by {uncertainty:.2f} eV/Å: to be labelled")
    return [candidate.id for candidate, _ in found] or None


def _end(store: Store) -> None:
    """A kill between the two is harmless: the same is begun and found done."""
    store.set_value(LEARNED_ON, len(store.value(BEGUN) or []))
    store.set_value(BEGUN, None)


def _engines(folder: CampaignFolder, spec: CampaignSpec) -> frozenset[str]:
    engines = labelling_engines(spec, folder.root)
    if not engines:
        used = ", ".join(sorted({rung.engine for rung in spec.rungs}))
        raise PotentialError(
            f"{folder.spec_file}: no engine of this campaign ({used}) computes from first principles:"
            " there is nothing for a potential to learn from"
        )
    return engines


def fine_tunings(folder: CampaignFolder, store: Store) -> list[FineTuned]:
    """All that the campaign went through, oldest first."""
    return [read_finetuned(folder.models / f"potential-{i}") for i in store.value(FINE_TUNED) or []]


def summary(card: Card) -> list[str]:
    """The card for people: data, errors before and after by kind of frame, and the verdict."""
    frames = ", ".join(f"{n} {what}" for what, n in card.frames.items())
    kinds = ", ".join(f"{n} {kind}" for kind, n in card.kinds.items())
    shown = [f"new labels: {frames} ({kinds}) of {', '.join(card.formulas)}"]
    if card.held_out_formulas:
        shown.append(f"formulas held out: {', '.join(card.held_out_formulas)}")
    shown += [f"left out: {n} {what}" for what, n in card.left_out.items()]
    for name, comparison in card.held_out.items():
        shown += [f"held-out {name}, {line}" for line in _by_kind(comparison)]
    if card.old is not None:
        shown += [f"old data, {line}" for line in _by_kind(card.old)]
    verdict = "adopted" if card.adopted else "not adopted: " + "; ".join(card.reasons)
    return [*shown, verdict]


def _by_kind(comparison: Comparison) -> list[str]:
    return [
        f"{kind} ({before.frames} frames): {_change(before, comparison.after[kind])}"
        for kind, before in comparison.before.items()
    ]


def _change(before: Errors, after: Errors) -> str:
    parts = [
        ("energy", 1e3, before.energy_mae_ev_per_atom, after.energy_mae_ev_per_atom, "meV/atom"),
        (
            "forces",
            1e3,
            before.forces_rmse_ev_per_angstrom,
            after.forces_rmse_ev_per_angstrom,
            "meV/Å",
        ),
        ("stress", 1.0, before.stress_rmse_gpa, after.stress_rmse_gpa, "GPa"),
    ]
    return ", ".join(
        f"{what} {factor * one:.3g} → {factor * other:.3g} {unit}"
        for what, factor, one, other, unit in parts
        if one is not None and other is not None
    )

"""Fine-tuning of a MACE on first-principles labels beside a replay of what it knew before."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from discover.errors import PotentialError
from discover.files import write_atomically
from discover.potentials import unknown_elements
from discover.potentials.base import Potential
from discover.potentials.learning.adoption import (
    TOLERANCES,
    Comparison,
    Tolerances,
    judge,
)
from discover.potentials.learning.committee import Committee
from discover.potentials.learning.errors import Errors, errors_by_kind, evaluated
from discover.potentials.learning.labels import Label, Labels
from discover.potentials.learning.offsets import Offsets, fit_offsets, shifted
from discover.potentials.learning.perturbation import perturbed
from discover.potentials.learning.replay import replay_families, replay_labels
from discover.potentials.learning.splitting import (
    HELD_OUT_SHARE,
    VALIDATION_SHARE,
    Split,
    split,
)
from discover.potentials.learning.weights import examples, forces_weights
from discover.potentials.mace import MACEPotential
from discover.potentials.mace_training import Epoch, TrainingSettings, train_mace
from discover.potentials.mace_weights import save_weights
from discover.records import Candidate, Record, content_hash

CARD = "card.json"
BATCH_SIZE = 8
LEARNING_RATE = 5e-3
FINAL_LEARNING_RATE = 2e-4
AVERAGE_DECAY = 0.95

_START = "start.safetensors"
_TRAINING = "training"

Teller = Callable[[str], None]


class FinetuningSettings(Record):
    """How a potential is fine-tuned: on all new labels and about `replay` frames of its own.

    `committee` models are trained, each with a seed of its own; the first is the one that may be
    adopted.
    """

    epochs: Annotated[int, Field(ge=1)] = 30
    replay: Annotated[int, Field(ge=0)] = 200
    committee: Annotated[int, Field(ge=1, le=8)] = 1
    seed: Annotated[int, Field(ge=0)] = 0


class Card(Record):
    """What a fine-tuned potential was made from, how good it is, and whether it is adopted.

    `held_out` compares on new labels that it was not trained on: other `configurations` of the
    formulas that it was (energies with each potential's own offsets, fitted to the training labels),
    and whole `formulas` (energies up to a constant for each); `old` on a part of the replay that it
    was not trained on, absolute energies included. Errors before are those of the potential that was
    in use then, `in_use`; on `old` data those of `start`, which labelled them. Offsets are those of
    the training, in eV by level of theory and element.
    """

    id: str
    start: str
    in_use: str
    name: str
    settings: FinetuningSettings
    calculations: tuple[str, ...]
    formulas: tuple[str, ...]
    held_out_formulas: tuple[str, ...]
    frames: dict[str, int]
    kinds: dict[str, int]
    left_out: dict[str, int]
    offsets_ev: dict[str, dict[str, float]]
    offsets_determined: bool
    forces_weights: dict[str, float]
    replay: dict[str, int]
    elements: int
    held_out: dict[str, Comparison]
    old: Comparison | None
    tolerances: Tolerances
    adopted: bool
    reasons: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class FineTuned:
    """The folder of a fine-tuned potential, its weights (one file a member), and its card."""

    directory: Path
    card: Card

    @property
    def weights(self) -> Path:
        """The potential itself: the first member."""
        return self.directory / _member_file(0)

    def committee(self) -> Committee:
        """All members; PotentialError where there is only one."""
        members = range(self.card.settings.committee)
        return Committee([MACEPotential(str(self.directory / _member_file(m))) for m in members])


def read_finetuned(directory: Path) -> FineTuned:
    """What `finetune` left in a folder; PotentialError where it is absent or damaged."""
    try:
        return FineTuned(directory, Card.model_validate_json((directory / CARD).read_bytes()))
    except (OSError, ValidationError) as error:
        raise PotentialError(f"{directory / CARD} cannot be read: {error}") from error


def finetune(
    start: MACEPotential,
    labels: Labels,
    candidates: Iterable[Candidate],
    directory: Path,
    settings: FinetuningSettings,
    *,
    in_use: Potential | None = None,
    told: Teller = lambda _: None,
) -> FineTuned:
    """Fine-tune `start` in a folder of its own below `directory`, and judge what came out.

    The same potential, labels and settings have the same folder: what was killed goes on there, and
    what is done is not repeated. Replay frames are made from `candidates` and the prototypes.
    `in_use` (by default `start`) is what the result has to be better than. PotentialError where there
    are too few labels, an element of them is unknown to the potential, or it cannot be written down.
    """
    in_use = in_use or start
    chosen = split(labels.labels, settings.seed)
    _check_elements(start, labels.labels)
    identity = content_hash(
        {
            "start": start.name,
            "labels": [label.digest for label in labels.labels],
            "settings": settings.model_dump(mode="json"),
        }
    )
    folder = directory / f"potential-{identity}"
    if (folder / CARD).exists():
        return read_finetuned(folder)
    began = time.time()
    save_weights(start.module(), folder / _START)  # refused before anything is computed
    plain = MACEPotential(str(folder / _START))
    replay = _replay(plain, labels.labels, candidates, folder, settings, told)
    offsets = _offsets(plain, chosen)
    weights = forces_weights([*chosen.train, *chosen.valid, *replay.train, *replay.valid])
    _train_members(plain, chosen, replay, offsets, weights, folder, settings, told)
    told("comparing with what was held out")
    tuned = MACEPotential(str(folder / _member_file(0)))
    held_out = {
        "configurations": Comparison(
            before=_configuration_errors(in_use, chosen),
            after=_configuration_errors(tuned, chosen),
        )
    }
    if chosen.formulas:
        held_out["formulas"] = _comparison(in_use, tuned, chosen.formulas, absolute=False)
    old = _comparison(plain, tuned, replay.test) if replay.test else None
    verdict = judge(held_out, old)
    card = Card(
        id=identity,
        start=start.name,
        in_use=in_use.name,
        name=tuned.name,
        settings=settings,
        calculations=labels.calculations,
        formulas=tuple(sorted({label.formula for label in (*chosen.train, *chosen.valid)})),
        held_out_formulas=tuple(sorted({label.formula for label in chosen.formulas})),
        frames={
            "trained on": len(chosen.train),
            "validation": len(chosen.valid),
            "held out": len(chosen.configurations) + len(chosen.formulas),
        },
        kinds=dict(sorted(Counter(label.kind for label in labels.labels).items())),
        left_out=labels.left_out,
        offsets_ev={level: dict(table) for level, table in offsets.ev_per_atom.items()},
        offsets_determined=offsets.determined,
        forces_weights=weights,
        replay={
            "trained on": len(replay.train),
            "validation": len(replay.valid),
            "held out": len(replay.test),
        },
        elements=len(tuned.elements()),
        held_out=held_out,
        old=old,
        tolerances=TOLERANCES,
        adopted=verdict.adopted,
        reasons=verdict.reasons,
        seconds=time.time() - began,
    )
    write_atomically(folder / CARD, card.model_dump_json(indent=2))
    shutil.rmtree(folder / _TRAINING, ignore_errors=True)
    return FineTuned(folder, card)


@dataclass(frozen=True)
class _Replay:
    """Replay frames: to train on, to validate with, and held out."""

    train: tuple[Label, ...] = ()
    valid: tuple[Label, ...] = ()
    test: tuple[Label, ...] = ()


def _check_elements(start: Potential, labels: Sequence[Label]) -> None:
    symbols = {symbol for label in labels for symbol in label.atoms.get_chemical_symbols()}
    if missing := unknown_elements(start, symbols):
        raise PotentialError(
            f"{start.name} does not know {', '.join(missing)}, of which there are labels: fine-tuning"
            " adds no elements; begin with a potential that knows them"
        )


def _replay(
    start: MACEPotential,
    labels: Sequence[Label],
    candidates: Iterable[Candidate],
    folder: Path,
    settings: FinetuningSettings,
    told: Teller,
) -> _Replay:
    if settings.replay == 0:
        return _Replay()
    formulas = {label.formula for label in labels}
    told(
        f"labelling {settings.replay} frames of other crystals by the potential itself, for replay"
    )
    frames = replay_labels(
        start,
        lambda: replay_families(
            settings.replay, start.elements(), candidates, formulas, settings.seed
        ),
        folder,
        settings.replay,
        settings.seed,
    )
    test = max(1, round(HELD_OUT_SHARE * len(frames)))
    valid = max(1, round(VALIDATION_SHARE * len(frames)))
    return _Replay(
        train=tuple(frames[test + valid :]),
        valid=tuple(frames[test : test + valid]),
        test=tuple(frames[:test]),
    )


def _train_members(
    start: MACEPotential,
    chosen: Split,
    replay: _Replay,
    offsets: Offsets,
    weights: dict[str, float],
    folder: Path,
    settings: FinetuningSettings,
    told: Teller,
) -> None:
    """Write the weights of every member that has none yet."""
    train = examples([*(shifted(label, offsets) for label in chosen.train), *replay.train], weights)
    valid = examples([*(shifted(label, offsets) for label in chosen.valid), *replay.valid], weights)
    for member in range(settings.committee):
        file = folder / _member_file(member)
        if file.exists() and file.with_suffix(".json").exists():
            continue
        told(
            f"member {member + 1} of {settings.committee}: training on {len(train)} frames,"
            f" {len(replay.train)} of them replayed"
        )
        seed = settings.seed + member
        trained = train_mace(
            train,
            valid,
            folder / _TRAINING / str(member),
            TrainingSettings(
                epochs=settings.epochs,
                batch_size=min(BATCH_SIZE, len(train)),
                learning_rate=LEARNING_RATE,
                final_learning_rate=FINAL_LEARNING_RATE,
                average_decay=AVERAGE_DECAY,
                seed=seed,
            ),
            perturbed(start.module(), seed) if member else start.module(),
            lambda epoch: told(_progress(epoch)),
        )
        save_weights(trained.load(), file)


def _progress(epoch: Epoch) -> str:
    return (
        f"epoch {epoch.number} of {epoch.of}: {1e3 * epoch.energy_rmse_ev_per_atom:.1f} meV/atom,"
        f" {1e3 * epoch.forces_rmse_ev_per_angstrom:.0f} meV/Å"
    )


def _offsets(potential: Potential, chosen: Split) -> Offsets:
    answers = evaluated(potential, [label.atoms for label in chosen.train])
    return fit_offsets(chosen.train, [answer.energy_ev for answer in answers])


def _configuration_errors(potential: Potential, chosen: Split) -> dict[str, Errors]:
    """With the potential's own offsets: which zero of energy it has come to is no error."""
    offsets = _offsets(potential, chosen)
    labels = [shifted(label, offsets) for label in chosen.configurations]
    return errors_by_kind(potential, labels, absolute=True)


def _comparison(
    before: Potential, after: Potential, labels: Sequence[Label], *, absolute: bool = True
) -> Comparison:
    return Comparison(
        before=errors_by_kind(before, labels, absolute=absolute),
        after=errors_by_kind(after, labels, absolute=absolute),
    )


def _member_file(member: int) -> str:
    return f"member-{member}.safetensors" if member else "model.safetensors"

"""A MACE is fine-tuned for real, on labels that are stiffer than what it learned before."""

import json

import numpy as np
import pytest
from ase.build import bulk

from discover.errors import PotentialError
from discover.potentials.learning.committee import Committee
from discover.potentials.learning.finetuning import (
    CARD,
    FineTuned,
    FinetuningSettings,
    finetune,
    read_finetuned,
)
from discover.potentials.learning.labels import Label, Labels
from discover.potentials.learning.perturbation import perturbed
from discover.potentials.mace import MACEPotential
from discover.potentials.mace_weights import save_weights
from discover.records import Candidate
from discover.structures.crystal import Crystal

ZEROS = {"Cu": -3.0, "Ag": 1.5}
PAIRS = (("Cu", "Cu"), ("Ag", "Ag"), ("Ag", "Cu"))
SETTINGS = FinetuningSettings(epochs=25, replay=40, committee=2)

pytestmark = pytest.mark.slow


def others(metal) -> list[Candidate]:
    """Compounds of the other elements."""
    cells = {
        "NiAl": bulk("NiAl", "cesiumchloride", a=2.88),
        "AlNi": bulk("NiAl", "rocksalt", a=4.6),
    }
    return [
        metal(id=name, formula="NiAl", prototype="other", structure=Crystal.from_atoms(cell))
        for name, cell in cells.items()
    ]


def labels(labelled, frames: int = 6, **how) -> Labels:
    found = [
        labelled(a, b, 100 + n, kind="strained" if n % 2 else "rattled", **how)
        for a, b in PAIRS
        for n in range(frames)
    ]
    return Labels(tuple(found), ("job",), {"frames left out": 2})


@pytest.fixture(scope="module")
def tuned(tiny, labelled, metal, tmp_path_factory) -> tuple[FineTuned, list[str]]:
    told: list[str] = []
    directory = tmp_path_factory.mktemp("models")
    data = labels(labelled, frames=14, stiffness=1.2, zeros=ZEROS)
    start = MACEPotential(str(tiny))
    done = finetune(start, data, others(metal), directory, SETTINGS, told=told.append)
    return done, told


def test_it_is_better_on_what_is_new_and_adopted(tuned):
    card = tuned[0].card
    assert card.adopted, card.reasons
    comparison = card.held_out["configurations"]
    assert set(comparison.before) == {"rattled", "strained"}
    for kind, before in comparison.before.items():
        after = comparison.after[kind]
        assert after.forces_rmse_ev_per_angstrom < 0.9 * before.forces_rmse_ev_per_angstrom
        assert after.stress_rmse_gpa < before.stress_rmse_gpa


def test_what_it_knew_before_stays(tuned):
    card = tuned[0].card
    assert card.old is not None
    for kind, before in card.old.before.items():
        assert kind.startswith("replay")
        assert before.energy_mae_ev_per_atom == pytest.approx(0.0, abs=1e-5)
        assert card.old.after[kind].energy_mae_ev_per_atom < 0.04
    assert card.replay["trained on"] + card.replay["validation"] + card.replay["held out"] == 40


def test_the_element_table_is_kept(tuned):
    potential = MACEPotential(str(tuned[0].weights))
    assert potential.elements() == {"Al", "Ni", "Cu", "Ag"}
    assert potential.name == tuned[0].card.name


def test_the_card_says_what_it_was_made_from(tuned):
    done, told = tuned
    card = done.card
    assert card.formulas == ("Ag", "Cu", "CuAg")
    assert sum(card.frames.values()) == sum(card.kinds.values()) == 42
    assert card.left_out == {"frames left out": 2}
    (offsets,) = card.offsets_ev.values()
    assert offsets == pytest.approx(ZEROS, abs=1.0)  # the model's own errors are in them
    assert card.offsets_determined
    assert {"rattled", "strained", "replay strained"} <= set(card.forces_weights)
    assert read_finetuned(done.directory).card == card
    assert json.loads((done.directory / CARD).read_text())["adopted"] is True
    assert sum(line.startswith("epoch") for line in told) == 2 * SETTINGS.epochs


def test_nothing_pickled_is_left(tuned):
    left = {file.suffix for file in tuned[0].directory.rglob("*") if file.is_file()}
    assert left == {".safetensors", ".json", ".extxyz"}


def test_what_is_done_is_not_repeated(tuned, tiny, labelled, metal):
    done, _ = tuned
    told: list[str] = []
    data = labels(labelled, frames=14, stiffness=1.2, zeros=ZEROS)
    start, directory = MACEPotential(str(tiny)), done.directory.parent
    again = finetune(start, data, others(metal), directory, SETTINGS, told=told.append)
    assert again == done
    assert told == []


def test_learning_brings_a_committee_together_on_what_it_sees(tuned, labelled):
    """Less so on other compositions, of which the replay tells a little (elements, no compound)."""
    done, _ = tuned
    start = MACEPotential(str(done.directory / "start.safetensors"))
    other = done.directory.parent / "perturbed.safetensors"
    save_weights(perturbed(start.module(), SETTINGS.seed + 1), other)
    before, after = Committee([start, MACEPotential(str(other))]), done.committee()

    def left(*pairs: tuple[str, str]) -> float:
        frames = [labelled(a, b, 300 + n).atoms for a, b in pairs for n in range(4)]
        return np.sum(after.force_uncertainty(frames)) / np.sum(before.force_uncertainty(frames))

    assert left(*PAIRS) < left(("Al", "Ni"), ("Al", "Al"))


def test_absurd_labels_are_not_adopted(tiny, labelled, tmp_path):
    absurd = labels(labelled)
    random = np.random.default_rng(0)
    for label in absurd.labels:
        results = label.atoms.calc.results
        results["forces"] = random.normal(0, 3.0, results["forces"].shape)
        results["stress"] = random.normal(0, 0.2, 6)
        results["energy"] += random.normal(0, 8.0)
    settings = FinetuningSettings(epochs=8, replay=12)
    card = finetune(MACEPotential(str(tiny)), absurd, [], tmp_path, settings).card
    assert not card.adopted
    assert any("new data" in reason or "worse" in reason for reason in card.reasons)


class Killed(BaseException):
    """What ends a process in the middle."""


def test_killed_in_the_middle_it_goes_on(tiny, labelled, tmp_path):
    # the loss falls at every epoch, so that each leaves a checkpoint
    data = labels(labelled, stiffness=1.5)
    settings = FinetuningSettings(epochs=6, replay=12)
    start = MACEPotential(str(tiny))

    def kill(line: str) -> None:
        if "epoch 5" in line:
            raise Killed

    with pytest.raises(Killed):
        finetune(start, data, [], tmp_path, settings, told=kill)
    (folder,) = tmp_path.iterdir()
    assert not (folder / CARD).exists()
    replay = (folder / "replay.extxyz").stat().st_mtime_ns
    told: list[str] = []
    done = finetune(start, data, [], tmp_path, settings, told=told.append)
    assert done.directory == folder
    assert (folder / "replay.extxyz").stat().st_mtime_ns == replay
    assert sum(line.startswith("epoch") for line in told) < settings.epochs


def test_an_unknown_element_is_refused(tiny, labelled, tmp_path):
    label: Label = labelled("Cu", "Cu", 0)
    label.atoms.symbols[0] = "Au"
    with pytest.raises(PotentialError, match="does not know Au"):
        finetune(
            MACEPotential(str(tiny)),
            Labels((label,) * 4, ("job",), {}),
            [],
            tmp_path,
            FinetuningSettings(),
        )
    assert not list(tmp_path.iterdir())

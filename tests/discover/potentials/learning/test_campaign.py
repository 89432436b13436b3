"""A campaign whose potential learns: the step of the loop, and the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mace import modules  # before e3nn, which cannot load its constants otherwise

from e3nn import o3  # isort: skip

from discover.folder import CampaignFolder
from discover.potentials.learning.campaign import fine_tunings
from discover.potentials.learning.finetuning import CARD
from discover.potentials.learning.notes import IN_USE, LEARNED_ON, potential_in_use
from discover.potentials.mace_weights import save_weights
from discover.records import CalculationState
from discover.store import open_store

ENGINE = '''
from discover.calculations.engines.potential import PotentialEngine


class Exact(PotentialEngine):
    """The embedded-atom potential, taken for first principles."""

    name = "exact"
    first_principles = True
'''
LEARNING = {
    "every": 4,
    "epochs": 2,
    "replay": 6,
    "committee": 2,
    "max_force_uncertainty_ev_per_angstrom": 1e-9,
    "labels": 1,
}


def write_ignorant_mace(file: Path) -> None:
    """A MACE with random weights that knows the quick campaign's elements."""
    torch.manual_seed(0)
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=4,
        max_ell=1,
        interaction_cls=interaction,
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=7,
        hidden_irreps=o3.Irreps("4x0e"),
        MLP_irreps=o3.Irreps("4x0e"),
        atomic_energies=np.zeros((1, 7)),
        avg_num_neighbors=8.0,
        atomic_numbers=[6, 7, 8, 28, 29, 46, 47],
        correlation=1,
        gate=torch.nn.functional.silu,
        radial_MLP=[8],
        atomic_inter_scale=[1.0],
        atomic_inter_shift=[0.0],
        heads=["Default"],
    )
    save_weights(model, file)


@pytest.fixture
def learning_campaign(quick_campaign):
    """The quick campaign, its engine taken for first principles, with a MACE that learns from it."""
    file = quick_campaign / "campaign.yaml"
    (quick_campaign / "engine.py").write_text(ENGINE)
    write_ignorant_mace(quick_campaign / "ignorant.safetensors")
    content = yaml.safe_load(file.read_text())
    content["potential"] = "mace:./ignorant.safetensors"
    content["calculation"]["engine"] = "./engine.py:Exact"
    content["budget"]["calculations"] = 9
    content["learning"] = LEARNING
    file.write_text(yaml.safe_dump(content))
    return quick_campaign


@pytest.mark.slow
def test_the_loop_fine_tunes_and_labels(learning_campaign, discover):
    ran = discover("run", learning_campaign, "--no-dashboard")
    assert ran.code == 0, ran.err
    folder = CampaignFolder.at(learning_campaign)
    spec = folder.load()
    store = open_store(folder.store_file, spec.name)
    (done,) = fine_tunings(folder, store)
    assert len(done.card.calculations) >= LEARNING["every"]
    assert store.value(LEARNED_ON) >= LEARNING["every"]
    assert done.card.frames["trained on"] > 0
    labelled = [c for c in store.calculations() if c.kind == "static"]
    assert [(c.state, c.picked_by) for c in labelled] == [(CalculationState.DONE, "committee")]
    assert len(store.calculations()) == 9  # the label counts; its candidate may be picked later
    assert "learn" in {action for one in store.passes() for action in one.actions}
    adopted = f"mace:{done.weights.relative_to(folder.root)}"
    assert potential_in_use(store, spec) == (adopted if done.card.adopted else spec.potential)
    assert "labelled" in ran.out
    store.close()

    page = folder.report / "index.html"
    told = page.read_text()
    assert 'id="section-learning"' in told
    assert ("not adopted" in told) is not done.card.adopted
    assert "forces (meV/Å)" in told
    (done.directory / CARD).write_text("{")
    assert discover("report", learning_campaign).code == 0
    assert "cannot be read" in page.read_text()
    (done.directory / CARD).write_text(done.card.model_dump_json())

    again = discover("potentials", "finetune", learning_campaign, "--json")
    assert again.code == 0, again.err
    card = json.loads(again.out)
    assert "static" not in card["kinds"]
    assert card["kinds"]["rattled"] == 2
    assert len(card["calculations"]) > len(done.card.calculations)


def test_a_campaign_without_first_principles(finished_campaign, discover):
    answer = discover("potentials", "finetune", finished_campaign, "--potential", "mace:bundled")
    assert answer.code == 2
    assert "cannot be fine-tuned" in answer.err or "computes from first principles" in answer.err


def test_a_potential_that_is_no_mace(finished_campaign, discover):
    answer = discover("potentials", "finetune", finished_campaign)
    assert answer.code == 2
    assert "'emt' cannot be fine-tuned: only MACE potentials can" in answer.err


def test_a_campaign_that_never_ran(learning_campaign, discover):
    answer = discover("potentials", "finetune", learning_campaign)
    assert answer.code == 2
    assert "no store yet" in answer.err


def test_no_frames_yet(learning_campaign, discover):
    folder = CampaignFolder.at(learning_campaign)
    folder.open_store(folder.load()).close()
    answer = discover("potentials", "finetune", learning_campaign)
    assert answer.code == 2
    assert "no first-principles frames yet (0 finished calculations" in answer.err
    store = folder.open_existing_store(folder.load())
    assert store.value(IN_USE) is None
    store.close()

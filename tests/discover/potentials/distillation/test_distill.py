"""The whole way, small: the embedded-atom potential teaches a tiny MACE on a few crystals."""

import json

import pytest

from discover.errors import PotentialError
from discover.potentials import load_potential
from discover.potentials.distillation.distill import SEED, distill
from discover.potentials.distillation.families import families
from discover.potentials.mace_training import Architecture, TrainingSettings

TINY = Architecture(channels=4, max_ell=1, correlation=1, r_max_angstrom=4.0)
ONCE = TrainingSettings(epochs=1, batch_size=8)
AGAIN = TrainingSettings(epochs=1, batch_size=8, forces_weight=30.0)
CRYSTALS = families(SEED, ("Cu", "O"))


@pytest.fixture(scope="module")
def distilled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilled")
    told = []
    result = distill(
        load_potential("emt"),
        folder,
        crystals=CRYSTALS,
        architecture=TINY,
        training=(ONCE, AGAIN),
        told=told.append,
    )
    return result, told, folder


def test_the_result_is_a_potential_with_its_card(distilled):
    result, _, folder = distilled
    assert load_potential(f"mace:{result.weights.name}", folder).elements() == {"Cu", "O"}
    written = json.loads(result.weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert written["card"] == result.card
    assert (result.card["teacher"], result.card["teacher_licence"]) == ("emt", "LGPL-2.1")
    assert result.card["elements"] == ["Cu", "O"]


def test_the_card_says_what_was_kept_out_and_how_good_it_is_there(distilled):
    card = distilled[0].card
    assert card["kept_out_formulas"] == ["Cu2O"]
    numbers = card["configurations"]
    assert numbers["kept out"] > 0
    errors = card["accuracy"]["kept out"]
    assert set(errors) == {"relaxation", "strained", "rattled"}
    counted = sum(kind["configurations"] for kind in errors.values())
    assert counted == numbers["kept out"]
    assert card["lattice_constants"]["trained on"]["crystals"] >= 2


def test_progress_is_told(distilled):
    told = "\n".join(distilled[1])
    assert f"labelled {len(CRYSTALS)} of {len(CRYSTALS)} crystals" in told
    assert "stage 1 of 2, epoch 1 of 1" in told
    assert "stage 2 of 2, epoch 1 of 1" in told


def test_a_folder_that_is_not_empty_needs_resume(distilled):
    result, _, folder = distilled
    with pytest.raises(PotentialError, match="not empty"):
        distill(load_potential("emt"), folder, crystals=CRYSTALS)
    again = distill(
        load_potential("emt"),
        folder,
        resume=True,
        crystals=CRYSTALS,
        architecture=TINY,
        training=(ONCE, AGAIN),
    )
    assert again == result


def test_a_teacher_that_lacks_an_element_is_refused_before_anything_is_done(tmp_path):
    with pytest.raises(PotentialError, match="does not know Mg"):
        distill(load_potential("emt"), tmp_path / "out", crystals=families(SEED, ("Mg", "O")))
    assert not (tmp_path / "out").exists()

"""The potential that comes with the package: there, small, honest about what it knows, and good enough.

`data/teacher.extxyz` holds labels of SevenNet 7net-l3i5, those of ZnO and KF never trained on.
"""

from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import read

from discover.campaign import RelaxationSettings
from discover.potentials import load_potential
from discover.potentials.accuracy import accuracy, accuracy_by
from discover.potentials.bundled import WEIGHTS, bundled_card
from discover.potentials.conformance import check_potential
from discover.potentials.distillation.distill import ARCHITECTURE, SEED, TRAINING
from discover.potentials.distillation.families import ELEMENTS, families, is_held_out
from discover.potentials.mace_weights import digest, load_weights, save_weights
from discover.potentials.relaxation import relax, relax_many
from discover.structures.crystal import Crystal
from generators.prototype_library import PROTOTYPES

TEACHER = read(Path(__file__).parent / "data" / "teacher.extxyz", index=":")
PBE_LATTICE_CONSTANTS = {
    "MgO": ("rocksalt", 4.2557),
    "NaCl": ("rocksalt", 5.6509),
    "GaAs": ("zincblende", 5.7477),
    "SiC": ("zincblende", 4.3795),
}
"""In Å: cells of phononDB (A. Togo, PBE), as redistributed with k_SRME (arXiv:2408.00755)."""


@pytest.fixture(scope="module")
def bundled():
    return load_potential("mace:bundled")


def test_it_is_small():
    assert sum(file.stat().st_size for file in WEIGHTS.parent.iterdir()) <= 5e6


def test_its_name_tells_its_content(bundled):
    assert bundled.name == f"mace:bundled@{digest(WEIGHTS)}"


def test_contract(bundled):
    check_potential(bundled, Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.25)))


def test_its_domain_is_stated_and_others_are_refused(bundled):
    card = bundled_card()
    assert bundled.elements() == set(card["elements"]) == set(ELEMENTS)
    assert set(card["structures"]) == {"element", *PROTOTYPES}
    iron = relax(Crystal.from_atoms(bulk("FeO", "rocksalt", a=4.3)), bundled, RelaxationSettings())
    assert iron.record is None
    assert "does not know Fe" in str(iron.problem)


def test_its_card_is_that_of_the_scripts():
    card = bundled_card()
    assert card["seed"] == SEED
    assert card["teacher"] == "sevennet:7net-l3i5"
    assert card["teacher_licence"] == "MIT"
    assert card["architecture"] == ARCHITECTURE.model_dump(mode="json")
    assert card["training"] == [stage.model_dump(mode="json") for stage in TRAINING]
    formulas = {family.formula for family in families(SEED)}
    kept_out = {formula for formula in formulas if is_held_out(formula, SEED)}
    assert set(card["kept_out_formulas"]) <= kept_out
    assert len(card["kept_out_formulas"]) > 0.9 * len(
        kept_out
    )  # some have wild configurations only


def test_it_agrees_with_its_teacher_as_its_card_says(bundled):
    """Single crystals are up to three times as far off as the mean of their kind."""
    card = bundled_card()
    known = [atoms for atoms in TEACHER if not is_held_out(_formula(atoms), SEED)]
    assert len(known) == 6
    for kind, found in accuracy_by(bundled, known, lambda atoms: atoms.info["kind"]).items():
        stated = card["accuracy"]["validation"][kind]
        assert found.energy_mae_ev_per_atom < 3 * stated["energy_mae_ev_per_atom"]
        assert found.forces_mae_ev_per_angstrom < 3 * stated["forces_mae_ev_per_angstrom"]


def test_it_has_learned_something_of_formulas_it_never_saw(bundled):
    kept_out = [atoms for atoms in TEACHER if is_held_out(_formula(atoms), SEED)]
    assert len(kept_out) == 2
    found = accuracy(bundled, kept_out)
    assert found.forces_rmse_ev_per_angstrom < 0.8 * found.forces_rms_ev_per_angstrom


def test_lattice_constants_are_as_good_as_its_card_says(bundled):
    stated = bundled_card()["lattice_constants"]["trained on"]["mae_percent"] / 100
    crystals = [
        Crystal.from_atoms(bulk(formula, kind, a=1.02 * a))
        for formula, (kind, a) in PBE_LATTICE_CONSTANTS.items()
    ]
    settings = RelaxationSettings(fmax_ev_per_angstrom=0.01, max_steps=100)
    for (_, a), relaxed in zip(
        PBE_LATTICE_CONSTANTS.values(), relax_many(crystals, bundled, settings), strict=True
    ):
        assert relaxed.problem is None
        assert (4 * relaxed.crystal.volume_angstrom3) ** (1 / 3) == pytest.approx(a, rel=3 * stated)


def test_saved_again_it_is_the_same(tmp_path):
    save_weights(load_weights(WEIGHTS), tmp_path / "again.safetensors")
    assert digest(tmp_path / "again.safetensors") == digest(WEIGHTS)


def _formula(atoms):
    from discover.structures.fingerprint import reduced_formula

    return reduced_formula(Crystal.from_atoms(atoms))

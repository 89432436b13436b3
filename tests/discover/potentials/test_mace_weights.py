"""MACE models as parameters and architecture: nothing pickled, nothing lost."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk
from mace import modules  # before e3nn, which cannot load its constants otherwise

from e3nn import o3  # isort: skip

from discover.errors import PotentialError
from discover.potentials import load_potential
from discover.potentials.conformance import check_potential
from discover.potentials.mace_weights import (
    digest,
    elements_of,
    load_weights,
    read_card,
    save_weights,
    write_card,
)
from discover.structures.crystal import Crystal

SALT = bulk("NaCl", "rocksalt", a=5.4)


def model(max_l=0, correlation=1, dtype=torch.float32, **others):
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return modules.ScaleShiftMACE(
            **{
                "r_max": 4.1,
                "num_bessel": 6,
                "num_polynomial_cutoff": 4,
                "max_ell": 2,
                "interaction_cls": modules.interaction_classes[
                    "RealAgnosticResidualInteractionBlock"
                ],
                "interaction_cls_first": modules.interaction_classes[
                    "RealAgnosticInteractionBlock"
                ],
                "num_interactions": 2,
                "num_elements": 2,
                "hidden_irreps": o3.Irreps("8x0e + 8x1o" if max_l else "8x0e"),
                "MLP_irreps": o3.Irreps("12x0e"),
                "atomic_energies": np.array([[-1.25, -2.0 / 3]]),
                "avg_num_neighbors": 8.3,
                "atomic_numbers": [11, 17],
                "correlation": correlation,
                "gate": torch.nn.functional.silu,
                "radial_MLP": [16, 16],
                "atomic_inter_scale": [0.7],
                "atomic_inter_shift": [0.1],
                "heads": ["Default"],
            }
            | others
        )
    finally:
        torch.set_default_dtype(before)


def answers(loaded):
    from mace.calculators import MACECalculator
    from mace.calculators.mace import get_model_dtype

    atoms = SALT.repeat((2, 1, 1))
    atoms.rattle(0.1, seed=0)
    atoms.calc = MACECalculator(models=loaded, device="cpu", default_dtype=get_model_dtype(loaded))
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@pytest.mark.parametrize(
    ("max_l", "correlation", "dtype"),
    [(0, 1, torch.float32), (1, 2, torch.float32), (1, 3, torch.float64)],
)
def test_what_is_loaded_answers_as_what_was_saved(tmp_path, max_l, correlation, dtype):
    original = model(max_l, correlation, dtype)
    save_weights(original, tmp_path / "tiny.safetensors")
    loaded = load_weights(tmp_path / "tiny.safetensors")
    assert next(loaded.parameters()).dtype == dtype
    rounding = 1e-6 if dtype == torch.float32 else 1e-12
    for before, after in zip(answers(original), answers(loaded), strict=True):
        assert np.allclose(before, after, rtol=rounding, atol=rounding)


def test_a_file_is_a_potential(tmp_path):
    save_weights(model(), tmp_path / "tiny.safetensors")
    potential = load_potential("mace:tiny.safetensors", tmp_path)
    assert potential.name == f"mace:tiny.safetensors@{digest(tmp_path / 'tiny.safetensors')}"
    assert potential.elements() == elements_of(tmp_path / "tiny.safetensors") == {"Na", "Cl"}
    check_potential(potential, Crystal.from_atoms(SALT))


def test_the_card_is_kept_and_no_part_of_the_digest(tmp_path):
    file = tmp_path / "tiny.safetensors"
    save_weights(model(), file)
    before = digest(file)
    write_card(file, {"teacher": "é", "errors": [0.1]})
    assert read_card(file) == {"teacher": "é", "errors": [0.1]}
    assert digest(file) == before
    other = model()
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    save_weights(other, file)
    assert digest(file) != before


def test_the_default_precision_is_left_alone(tmp_path):
    save_weights(model(dtype=torch.float64), tmp_path / "tiny.safetensors")
    load_weights(tmp_path / "tiny.safetensors")
    assert torch.get_default_dtype() == torch.float32


def test_models_that_cannot_be_made_again_are_refused(tmp_path):
    with pytest.raises(PotentialError, match="pair_repulsion"):
        save_weights(model(pair_repulsion=True), tmp_path / "tiny.safetensors")
    with pytest.raises(PotentialError, match="Linear"):
        save_weights(torch.nn.Linear(1, 1), tmp_path / "tiny.safetensors")


def test_damaged_files_are_refused(tmp_path):
    file = tmp_path / "tiny.safetensors"
    save_weights(model(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PotentialError, match=r"tiny\.safetensors cannot be loaded"):
        load_weights(file)
    file.write_bytes(whole)
    description = file.with_suffix(".json")
    content = json.loads(description.read_text())
    description.write_text(json.dumps(content | {"format": 2}))
    with pytest.raises(PotentialError, match="format 2"):
        load_weights(file)
    architecture = content["architecture"] | {"hidden_irreps": "16x0e"}
    description.write_text(json.dumps(content | {"architecture": architecture}))
    with pytest.raises(PotentialError, match="cannot be loaded"):
        load_weights(file)
    description.unlink()
    with pytest.raises(PotentialError, match=r"tiny\.json.* cannot be read"):
        load_weights(file)

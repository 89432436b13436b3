"""MACE: a real, tiny, randomly initialised model on disk."""

import numpy as np
import pytest
from ase.build import bulk

from discover.campaign import RelaxationSettings
from discover.errors import PotentialError
from discover.potentials import load_potential
from discover.potentials.conformance import check_potential
from discover.potentials.relaxation import relax
from discover.structures.crystal import Crystal

SALT = Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from mace import modules  # before e3nn, which cannot load its constants otherwise
    from e3nn import o3  # isort: skip

    torch.manual_seed(0)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=4.0,
        num_bessel=4,
        num_polynomial_cutoff=3,
        max_ell=1,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=2,
        hidden_irreps=o3.Irreps("8x0e"),
        MLP_irreps=o3.Irreps("8x0e"),
        atomic_energies=np.array([-1.0, -2.0]),
        avg_num_neighbors=8,
        atomic_numbers=[11, 17],
        correlation=2,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    folder = tmp_path_factory.mktemp("campaign")
    torch.save(model, folder / "tiny.model")
    return folder


def test_contract(folder):
    check_potential(load_potential("mace:tiny.model", folder), SALT)


def test_batches_give_the_calculator_s_numbers(folder):
    potential = load_potential("mace:tiny.model", folder)
    structures = [
        SALT.to_atoms(),
        bulk("NaCl", "cesiumchloride", a=3.3),
        SALT.to_atoms() * (1, 1, 2),
    ]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
    broken = SALT.to_atoms()
    broken.positions[0] = np.nan
    lonely = bulk("Na", "sc", a=20.0)
    first, bad, *others, alone = potential.evaluate(
        [structures[0], broken, *structures[1:], lonely]
    )
    assert "not finite" in bad
    for atoms, answer in zip([*structures, lonely], [first, *others, alone], strict=True):
        atoms.calc = potential.calculator()
        assert answer.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
        assert answer.forces_ev_per_angstrom == pytest.approx(atoms.get_forces(), abs=1e-5)
        assert answer.stress_ev_per_angstrom3 == pytest.approx(atoms.get_stress(), abs=1e-5)


def test_a_new_process_gives_the_same_digits_as_an_old_one(folder):
    structures = [SALT.to_atoms(), bulk("NaCl", "cesiumchloride", a=3.3)]
    structures[1].rattle(0.1, seed=0)
    potential = load_potential("mace:tiny.model", folder)
    first, *later = [potential.evaluate(structures) for _ in range(4)]
    for answers in later:
        for early, late in zip(first, answers, strict=True):
            assert early.energy_ev == late.energy_ev
            assert np.array_equal(early.forces_ev_per_angstrom, late.forces_ev_per_angstrom)
            assert np.array_equal(early.stress_ev_per_angstrom3, late.stress_ev_per_angstrom3)


def test_elements_are_the_model_s(folder):
    assert load_potential("mace:tiny.model", folder).elements() == {"Na", "Cl"}


def test_it_relaxes_and_names_an_element_it_lacks(folder):
    potential = load_potential("mace:tiny.model", folder)
    assert relax(SALT, potential, RelaxationSettings(max_volume_change=2.0)).problem is None
    oxide = Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.2))
    assert "does not know Mg, O" in relax(oxide, potential, RelaxationSettings()).problem


def test_the_name_holds_the_content(folder, tmp_path):
    name = load_potential("mace:tiny.model", folder).name
    copy = tmp_path / "tiny.model"
    copy.write_bytes((folder / "tiny.model").read_bytes())
    assert load_potential("mace:tiny.model", tmp_path).name == name
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert load_potential("mace:tiny.model", tmp_path).name != name


def test_torch_s_default_precision_is_left_alone(folder):
    import torch

    before = torch.get_default_dtype()
    relax(SALT, load_potential("mace:tiny.model", folder), RelaxationSettings(enabled=False))
    assert torch.get_default_dtype() == before


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "bad.model").write_text("not a model")
    with pytest.raises(PotentialError, match=r"bad\.model cannot be loaded as a MACE model"):
        load_potential("mace:bad.model", tmp_path).elements()


def test_a_pickle_of_something_else(tmp_path):
    import torch

    torch.save({"weights": 1}, tmp_path / "other.model")
    with pytest.raises(PotentialError, match="holds a dict, not a MACE model"):
        load_potential("mace:other.model", tmp_path).calculator()


def test_an_unknown_foundation_model():
    with pytest.raises(PotentialError, match="did you mean 'medium-mpa-0'"):
        load_potential("mace:medium-mpa0").elements()


def test_no_network_says_what_to_do(monkeypatch, tmp_path):
    import socket

    def unreachable(*args, **kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PotentialError, match=r"fetch https://\S+ .*'mace:<path of that file>'"):
        load_potential("mace:small").elements()

"""SevenNet, MatterSim and fairchem: names and errors anywhere, the models where they are installed."""

import os
import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk

from discover.calculations.base import JobInput, job_id
from discover.calculations.job import read_result, write_input
from discover.errors import MissingDependencyError, PotentialError
from discover.plugins import load, options_model
from discover.potentials import load_potential
from discover.potentials.base import BatchedPotential
from discover.potentials.conformance import check_potential
from discover.potentials.fairchem import FAIRChemPotential
from discover.potentials.mattersim import MatterSimPotential
from discover.potentials.sevennet import SevenNetPotential
from discover.preflight import check_file
from discover.structures.crystal import Crystal

FAMILIES = [SevenNetPotential, MatterSimPotential, FAIRChemPotential]
SALT = bulk("NaCl", "rocksalt", a=5.64)

M3GNET = """
import sys
import torch
from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

torch.manual_seed(0)
model = M3Gnet(device="cpu")
content = {"model_name": "m3gnet", "model_args": model.model_args, "model": model.state_dict()}
torch.save(content, sys.argv[1])
"""


def family_id(family):
    return family.environment.name


def need(family):
    if not (family.runs_here() or family.environment.is_installed()):
        name = family.environment.name
        pytest.skip(f"{name} is not installed: discover potentials install {name}")


@pytest.fixture(scope="module")
def l3i5():
    need(SevenNetPotential)
    return load_potential("sevennet:7net-l3i5")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Where no environment is installed."""
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    for family in FAMILIES:
        monkeypatch.setattr(family, "runs_here", lambda *_: False)


@pytest.mark.parametrize("family", FAMILIES, ids=family_id)
def test_a_missing_environment_is_named_with_what_to_do(nowhere, family):
    name = family.environment.name
    with pytest.raises(
        MissingDependencyError, match=f"^{name}: not installed: discover potentials install {name}$"
    ):
        load_potential(f"{name}:{next(iter(family.models))}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sevennet", "needs a model: 'sevennet:<path or name>'"),
        ("sevennet:7net-l3i6", "did you mean '7net-l3i5'"),
        ("sevennet:7net-omni", "7net-omni:mpa"),
        ("mattersim:5mm", "did you mean '5m'"),
        ("fairchem:uma-s-1p", "did you mean 'uma-s-1p"),
        ("sevennet:mine/none.pth", "there is no such file"),
        ("mattersim:none.pth", "there is no such file"),
    ],
)
def test_an_unknown_model_is_refused_before_anything_else(nowhere, name, said, tmp_path):
    with pytest.raises(PotentialError, match=said):
        load_potential(name, tmp_path)


def test_validation_finds_a_missing_environment(nowhere, quick_campaign):
    file = quick_campaign / "campaign.yaml"
    file.write_text(file.read_text().replace("potential: emt\n", "potential: sevennet:7net-0\n", 1))
    _, problems = check_file(file)
    assert any(
        "potential: sevennet: not installed: discover potentials install sevennet" in problem
        for problem in problems
    )


@pytest.mark.parametrize("family", FAMILIES, ids=family_id)
def test_a_plugin_like_any_other(family):
    assert load("potentials", family.environment.name) is family
    assert list(options_model(family).model_fields) == ["model"]
    assert family.shipped <= family.models.keys()


@pytest.mark.slow
def test_sevennet_is_what_it_says(l3i5):
    assert isinstance(l3i5, BatchedPotential)
    assert l3i5.name == "sevennet:7net-l3i5"
    elements = l3i5.elements()
    assert len(elements) == 89
    assert elements.isdisjoint({"Po", "At", "Rn", "Fr", "Ra"})
    assert l3i5.versions()["sevenn"] == "0.13.0"
    check_potential(l3i5, Crystal.from_atoms(SALT))


@pytest.mark.slow
def test_sevennet_reproduces_the_materials_project(l3i5):
    """PBE energies of mp-22862 and mp-149 without corrections, -3.39 and -5.42 eV/atom."""
    atoms = [SALT, bulk("Si", a=5.47)]
    energies = [a.energy_ev / len(s) for a, s in zip(l3i5.evaluate(atoms), atoms, strict=True)]
    assert energies == pytest.approx([-3.39, -5.42], abs=0.03)


@pytest.mark.slow
def test_sevennet_batches_agree_with_single_structures(l3i5):
    """Batched, one by one, and through the ASE calculator, with bad ones among them."""
    batch = [SALT, bulk("MgO", "rocksalt", a=4.3), bulk("Si", a=5.5), SALT.repeat(2)]
    for seed, atoms in enumerate(batch):
        atoms.rattle(0.05, seed=seed)
    lost = SALT.copy()
    lost.positions[0, 0] = np.inf
    answers = l3i5.evaluate([lost, *batch, bulk("Po", "sc", a=3.35)])
    assert answers[0] == "positions or cell are not finite"
    assert answers[-1] == "the model does not know Po"
    calculator = l3i5.calculator()
    for atoms, answer in zip(batch, answers[1:-1], strict=True):
        single = l3i5.evaluate([atoms])[0]
        atoms.calc = calculator
        assert answer.energy_ev == pytest.approx(single.energy_ev, abs=1e-4)
        assert answer.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
        np.testing.assert_allclose(
            answer.forces_ev_per_angstrom, single.forces_ev_per_angstrom, atol=1e-4
        )
        np.testing.assert_allclose(atoms.get_stress(), answer.stress_ev_per_angstrom3, atol=1e-5)


@pytest.mark.slow
def test_a_job_runs_on_sevennet(l3i5, tmp_path):
    """`python -m discover.calculations DIR`, as a compute node runs it."""
    kind, engine = load("calculations", "agl"), load("engines", "potential")
    settings = options_model(kind)()
    chosen = options_model(engine)(potential="sevennet:7net-l3i5")
    crystal = Crystal.from_atoms(SALT)
    job = JobInput(
        id=job_id(crystal, "agl", settings, "potential", chosen),
        kind="agl",
        engine="potential",
        settings=settings.model_dump(mode="json"),
        engine_settings=chosen.model_dump(mode="json"),
        structure=crystal,
    )
    write_input(tmp_path, job)
    subprocess.run([sys.executable, "-m", "discover.calculations", tmp_path], check=True)
    result = read_result(tmp_path)
    assert result.status == "done", result.reason
    assert result.versions["potential"] == "sevennet:7net-l3i5"
    values = {value.property: value for value in result.values}
    assert 0.5 < values["thermal_conductivity"].value < 20.0  # measured: 7


@pytest.mark.slow
def test_weights_that_cannot_be_fetched_say_what_to_do(l3i5, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    potential = load_potential("sevennet:7net-omni:mpa")
    with pytest.raises(PotentialError, match=r"(?s)where there is no network.*'sevennet:<path of"):
        potential.elements()


@pytest.mark.slow
def test_mattersim_runs_a_checkpoint(tmp_path):
    """A small M3GNet with random weights, for the published ones must be downloaded."""
    need(MatterSimPotential)
    file = tmp_path / "random.pth"
    python = MatterSimPotential.environment.python
    subprocess.run([python, "-I", "-c", M3GNET, file], check=True, env={**os.environ})
    potential = load_potential("mattersim:random.pth", tmp_path)
    assert potential.name.startswith("mattersim:random.pth@")
    assert len(potential.elements()) == 89
    check_potential(potential, Crystal.from_atoms(SALT))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mattersim:1m", "fairchem:uma-s-1p1"], ids=["mattersim", "fairchem"]
)
def test_published_weights_without_a_network(name, monkeypatch, tmp_path):
    need({"mattersim": MatterSimPotential, "fairchem": FAIRChemPotential}[name.partition(":")[0]])
    monkeypatch.setenv("HOME", str(tmp_path))  # nothing was downloaded there
    monkeypatch.setenv("DISCOVER_HOME", os.environ.get("DISCOVER_HOME") or HOME)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with pytest.raises(PotentialError, match=r"(?s)cannot be loaded.*downloaded on first use"):
        load_potential(name).elements()


HOME = os.path.expanduser("~/.local/share/discover")  # noqa: PTH111 - before a test moves HOME

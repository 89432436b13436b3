"""`discover import` from the command line to what the campaign learns from and does not pick again."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase.build import bulk
from ase.io import write

from discover import plugins
from discover.folder import CampaignFolder
from discover.lease import SteeringLease
from discover.observed import known_rows, usable_observations
from discover.picking import Picker, pick
from discover.records import CandidateState
from discover.supply import CandidateSupply
from discover.training import train, training_data

Discover = Callable[..., Any]
SPEC = {
    "name": "known",
    "objective": {"property": "ionic_conductivity"},
    "generator": {
        "name": "prototypes",
        "options": {"prototypes": ["rocksalt"], "elements": ["Li", "Na", "K", "F", "Cl", "Br"]},
    },
    "pool": {"size": 4, "batch": 4},
    "potential": "emt",
    "relaxation": {"enabled": False},
    "filters": {"max_formation_energy_ev_per_atom": None},
    "descriptors": ["structure"],
    "initial": 3,
}
TABLE = """\
name,formula,sigma_S_cm,space group number,censored,DOI
a,LiF,1e-4,225,False,10.1/a
b,NaCl,<1E-10,225,False,10.1/b
c,KCl,2e-7,225,True,
d,Li6.5La3Zr1.5Ta0.5O12,1e-3,230,False,10.1/d
"""
CONSTANTS = {"a": ("LiF", 4.03), "b": ("NaCl", 5.64), "c": ("KCl", 6.29)}


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., Path]:
    def make(**changes: Any) -> Path:
        folder = tmp_path / "campaign"
        folder.mkdir()
        (folder / "campaign.yaml").write_text(yaml.safe_dump(SPEC | changes))
        return folder

    return make


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A table like OBELiX's, and the structures of three of its four rows."""
    (tmp_path / "cifs").mkdir()
    for name, (formula, a) in CONSTANTS.items():
        write(tmp_path / "cifs" / f"{name}.cif", bulk(formula, "rocksalt", a=a, cubic=True))
    (tmp_path / "table.csv").write_text(TABLE)
    return [tmp_path / "table.csv", tmp_path / "cifs"]


def words(files: list[Path], folder: Path, *more: str) -> list[str]:
    told = ["--property", "ionic_conductivity", "--unit", "S/cm", "--campaign", str(folder)]
    return ["import", *map(str, files), *told, *more]


def observed(folder: Path) -> list[Any]:
    campaign = CampaignFolder.at(folder)
    with closing(campaign.open_existing_store(campaign.load())) as store:
        return store.observations(quarantined=True)


def test_a_dry_run_changes_nothing(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign()
    answer = discover(*words(files, folder, "--dry-run"))
    assert answer.code == 0, answer
    assert "3 of 4 rows would come in (3 crystals)" in answer.out
    assert "3 values from 1e-10 to 0.0001 S/cm, 2 of them bounds" in answer.out
    assert "row 4 (line 5): has no structure" in answer.out
    assert not (folder / "store.sqlite").exists()


def test_every_row_that_cannot_be_used_is_told_and_nothing_comes_in(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign()
    files[0].write_text(TABLE.replace("1e-4", "much").replace("True", "perhaps"))
    answer = discover(*words(files, folder))
    assert answer.code == 2
    assert "3 rows cannot be used" in answer.err
    for problem in (
        "row 1 (line 2): sigma_S_cm 'much': is not a finite number",
        "row 3 (line 4): censored 'perhaps' does not say whether it is a bound",
        "row 4 (line 5): has no structure 'd', and the campaign's descriptors need a crystal",
    ):
        assert f"error: {problem}" in answer.err
    assert not (folder / "store.sqlite").exists()


def test_values_come_in_with_source_and_bound_and_are_not_picked_again(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign()
    answer = discover(*words(files, folder, "--drop-invalid", "--citation", "a table", "--json"))
    report = json.loads(answer.out)
    assert (report["used"], report["candidates"], report["sorts"]) == (3, 3, {"crystal": 3})
    assert [place for place, _ in report["refused"]] == ["row 4 (line 5)"]
    values = {o.value: (o.bound, o.citation, o.calculation) for o in observed(folder)}
    assert values == {
        1e-4: (None, "10.1/a", None),
        1e-10: ("below", "10.1/b", None),
        2e-7: ("below", "a table", None),
    }
    assert all("table.csv, cifs, row" in o.source for o in observed(folder))

    again = json.loads(discover(*words(files, folder, "--drop-invalid", "--json")).out)
    assert (again["candidates"], again["known_already"]) == (0, 3)
    assert len(observed(folder)) == 3

    home = CampaignFolder.at(folder)
    spec = home.load()
    with closing(home.open_store(spec)) as store:
        supply = CandidateSupply(home, spec, store)
        supply.recover()
        assert (len(supply.pool), supply.known) == (0, 3)
        screened = supply.screen(supply.propose(9))
        twins = {c.formula for c in screened if (c.reason or "").startswith("duplicate")}
        assert twins == {"LiF", "NaCl", "KCl"}
        assert len(supply.pool) == sum(c.state is CandidateState.READY for c in screened) == 6
        assert len(usable_observations(store, spec)) == 3
    assert "imported      3 known values" in discover("status", folder).out


@pytest.mark.parametrize(("fidelity", "told_apart"), [("experiment", True), ("agl/gpaw", False)])
def test_values_of_another_fidelity_are_told_from_own_ones(
    campaign: Callable[..., Path],
    files: list[Path],
    discover: Discover,
    fidelity: str,
    told_apart: bool,
) -> None:
    folder = campaign()
    assert discover(*words(files, folder, "--drop-invalid", "--fidelity", fidelity)).code == 0
    home = CampaignFolder.at(folder)
    spec = home.load()
    with closing(home.open_store(spec)) as store:
        known = usable_observations(store, spec)
        first = known[0].model_copy(
            update={"id": "own", "calculation": "c", "fidelity": "agl/gpaw", "value": 1e-5}
        )
        plain = len(store.candidate(first.candidate).features or ())
        data = training_data(store, spec, [*known, first])
        assert data.fidelities == 1
        assert data.x.shape == (4, plain + told_apart)
        if told_apart:
            assert data.x[:, -1].tolist() == [0, 0, 0, 1]
        rows = known_rows(spec, [*known, first]).comparable()
        assert (rows.values[:, 0] == -5).sum() == 1
        assert len(rows.candidates) == (1 if told_apart else 4)
        assert len(known_rows(spec, known).comparable().candidates) == 3


def test_a_model_of_several_sources_picks(
    campaign: Callable[..., Path], discover: Discover, tmp_path: Path
) -> None:
    """Of what is measured the picks are made at once; each result then counts as the campaign's own."""
    folder = campaign(
        objective={"property": "thermal_conductivity"},
        generator={
            "name": "prototypes",
            "options": {"prototypes": ["rocksalt"], "elements": ["Li", "Na", "F", "Cl", "Br", "I"]},
        },
        descriptors=["composition"],
        surrogate={"name": "gp"},
        calculation={"kind": "agl", "engine": "gpaw"},
    )
    # one of them, of which no more is known than its composition, is proposed as a crystal too
    table = "formula,kappa,doi\nLiF,14,10.1/x\n" + "\n".join(
        f"{formula},{value},10.1/x"
        for formula, value in {"KF": 3, "KCl": 7, "KBr": 3, "RbF": 2, "MgO": 40, "CaO": 20}.items()
    )
    (tmp_path / "measured.csv").write_text(table)
    words = ["--property", "thermal_conductivity", "--unit", "W/m/K", "--campaign", str(folder)]
    answer = discover("import", str(tmp_path / "measured.csv"), *words)
    assert answer.code == 0, answer
    home = CampaignFolder.at(folder)
    spec = home.load()
    with closing(home.open_store(spec)) as store:
        supply = CandidateSupply(home, spec, store)
        supply.recover()
        screened = supply.screen(supply.propose(8))
        assert "LiF" in {c.formula for c in screened if c.state is CandidateState.READY}
        pool = supply.pool.open()
        picker = Picker.of(spec, home.root)
        for known in range(2):
            observations = usable_observations(store, spec)
            surrogate = plugins.create("surrogates", "gp", {}, home.root)
            trained = train(home, spec, store, surrogate, observations, pool.features)
            choice = pick(spec, store, picker, trained, pool)
            assert choice.candidate in pool.ids
            assert choice.prediction is not None
            assert trained.card.n_observations == 7 + known
            own = observations[0].model_copy(
                update={"id": f"own {known}", "candidate": pool.ids[known], "fidelity": "agl/gpaw"}
            )
            store.add_observations([own])
            again = pick(spec, store, picker, trained, pool)  # by a model that does not know it yet
            assert again.prediction is not None


def test_compositions_do_where_descriptors_need_no_more(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign(descriptors=["composition"])
    files[0].write_text(TABLE.replace("b,NaCl", "b,NaBr"))  # not what its structure is
    answer = discover(*words(files, folder))
    assert answer.code == 0, answer
    assert "4 of 4 rows came in (2 crystals, 2 compositions)" in answer.out
    assert "1 by their composition only: its structure has another formula" in answer.out
    home = CampaignFolder.at(folder)
    with closing(home.open_existing_store(home.load())) as store:
        found = {c.formula: (c.title, c.spacegroup) for c in store.candidates()}
    assert found["NaBr"] == ("composition only", 225)
    garnet = next(formula for formula in found if "Zr" in formula)
    assert found[garnet] == ("composition only", 230)


def test_molecules_by_their_smiles(
    campaign: Callable[..., Path], tmp_path: Path, discover: Discover
) -> None:
    pytest.importorskip("rdkit")
    folder = campaign(
        objective={"property": "solvation_free_energy", "goal": "min"},
        generator={"name": "enumerate"},
        descriptors=["morgan"],
    )
    table = tmp_path / "solvation.csv"
    table.write_text("smiles,dGs\nCC#N,-3.9\nN#CC,-3.8\nC(C,-1\nCCO,-5.0\n")
    told = ["--property", "solvation_free_energy", "--unit", "kcal/mol", "--campaign", str(folder)]
    answer = discover("import", str(table), *told, "--drop-invalid", "--json")
    report = json.loads(answer.out)
    assert (report["used"], report["candidates"], report["known_already"]) == (3, 2, 1)
    assert report["refused"][0][0] == "row 3 (line 4)"
    assert sorted(round(o.value, 2) for o in observed(folder)) == [-20.92, -16.32, -15.9]


def test_a_running_campaign_is_left_alone(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign()
    home = CampaignFolder.at(folder)
    with closing(home.open_store(home.load())) as store, SteeringLease(store):
        answer = discover(*words(files, folder, "--drop-invalid"))
    assert answer.code == 2
    assert "steers this campaign" in answer.err


def test_a_ladder_asks_for_the_rung(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign(ladder=[{"kind": "agl", "engine": "potential", "name": "cheap"}])
    answer = discover(*words(files, folder))
    assert answer.code == 2
    assert "say by --fidelity which rung the values belong to: cheap, agl/gpaw" in answer.err


def test_a_campaign_cannot_change_its_descriptors_afterwards(
    campaign: Callable[..., Path], files: list[Path], discover: Discover
) -> None:
    folder = campaign()
    discover(*words(files, folder, "--drop-invalid"))
    (folder / "campaign.yaml").write_text(
        yaml.safe_dump(SPEC | {"descriptors": ["structure", "composition"]})
    )
    answer = discover(*words(files, folder, "--drop-invalid"))
    assert "descriptors: cannot be changed once a campaign has begun" in answer.err

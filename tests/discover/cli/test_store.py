"""`discover store`: a campaign checked, published, brought back and moved to MongoDB."""

import json
from contextlib import closing

import ase.io
import mongomock
import pyarrow.parquet as pq
import pytest

from discover.folder import CampaignFolder
from discover.records import CalculationState, Candidate, CandidateState, Provenance
from discover.store.conformance import calculation, candidate, observation
from discover.store.mongo import MongoStore
from discover.store.transfer import UNFINISHED, inventory
from discover.structures.composition import Composition
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

PROPOSED, SUBMITTED = CalculationState.PROPOSED, CalculationState.SUBMITTED

WATER = Molecule(
    smiles="O",
    numbers=(8, 1, 1),
    positions_angstrom=((0.0, 0.0, 0.0), (0.76, 0.59, 0.0), (-0.76, 0.59, 0.0)),
)


def made_of(structure):
    return Candidate(
        id=f"a-{type(structure).__name__}".lower(),
        formula=structure.formula,
        structure=structure,
        provenance=Provenance(generator="test", operation="none"),
        state=CandidateState.READY,
    )


@pytest.fixture
def campaign(quick_campaign):
    """A campaign with a crystal that was computed, a rejected one, and one of each other sort."""
    folder = CampaignFolder(quick_campaign)
    mixture = Formulation(
        components=(Component(role=Role.SOLVENT, molecule=WATER, mole_fraction=1.0),)
    )
    rejected = candidate(2, CandidateState.REJECTED).model_copy(update={"reason": "too close"})
    others = [made_of(one) for one in (WATER, mixture, Composition(amounts={"Li": 6.4, "O": 12.0}))]
    with closing(folder.open_store(folder.load())) as store:
        store.add_candidates([candidate(1), rejected, *others])
        store.add_calculation(calculation(1))
        store.transition("calculation-1", PROPOSED, SUBMITTED)
        known = observation(1).model_copy(update={"id": "calculation-1-bulk_modulus"})
        store.finish("calculation-1", SUBMITTED, [known])
        store.set_value("hours", 0.5)
    return folder


def held(folder):
    with closing(folder.open_existing_store(folder.load(), read_only=True)) as store:
        return inventory(store)


def test_a_check_says_what_is_wrong(campaign, discover):
    answer = discover("store", "check", campaign.root, "--json")
    told = json.loads(answer.out)
    assert answer.code == 1
    assert not told["sound"]
    assert {one["id"] for one in told["findings"]} == {
        "a-molecule",
        "a-formulation",
        "a-composition",
    }
    assert "its id is not that of its structure" in discover("store", "check", campaign.root).out


def test_a_database_needs_the_name_of_a_campaign(discover):
    answer = discover("store", "check", "mongodb://localhost/x")
    assert answer.code == 2
    assert "--campaign" in answer.err


def test_an_export_can_be_read_by_others_and_brought_back(campaign, discover, tmp_path):
    out = tmp_path / "data set"
    answer = discover("store", "export", campaign.root, "--out", out)
    assert (answer.code, answer.err) == (0, "")
    rows = pq.read_table(out / "candidates.parquet").to_pylist()
    assert [row["sort"] for row in rows] == [
        "crystal",
        "crystal",
        "molecule",
        "formulation",
        "composition",
    ]
    assert (rows[1]["state"], rows[1]["reason"]) == ("rejected", "too close")
    (value,) = pq.read_table(out / "observations.parquet").to_pylist()
    assert (value["property"], value["value"], value["unit"]) == ("bulk_modulus", 1.0, "GPa")
    (done,) = pq.read_table(out / "calculations.parquet").to_pylist()
    assert (done["state"], done["engine"]) == ("done", "emt")
    (crystal,) = ase.io.read(out / "crystals.extxyz", ":")
    assert crystal.info["candidate"] == "candidate-1"
    assert crystal.get_volume() == pytest.approx(4.12**3)
    molecules = ase.io.read(out / "molecules.extxyz", ":")
    assert [atoms.info["candidate"] for atoms in molecules] == ["a-molecule", "a-formulation"]
    card = (out / "README.md").read_text()
    for word in ("Licence", "bulk modulus", "GPa", "agl/emt", "SHA-256", "structures.json"):
        assert word in card

    again = discover("store", "export", campaign.root, "--out", out)
    assert again.code == 2
    assert "not an empty folder" in again.err
    copy = CampaignFolder(tmp_path / "copy")
    assert discover("store", "import", out, "--campaign", copy.root).code == 0
    assert held(copy) == held(campaign)
    assert copy.spec_file.read_text() == campaign.spec_file.read_text()
    twice = discover("store", "import", out, "--campaign", copy.root)
    assert twice.code == 2
    assert "not empty" in twice.err


def test_structures_have_the_attributes_of_optimade(campaign, discover, tmp_path):
    discover("store", "export", campaign.root, "--out", tmp_path / "out")
    answer = json.loads((tmp_path / "out" / "structures.json").read_text())
    assert answer["meta"]["data_returned"] == 2
    crystal, molecule = (one["attributes"] for one in answer["data"])
    assert crystal["chemical_formula_reduced"] == "ClCs"
    assert crystal["chemical_formula_anonymous"] == "AB"
    assert crystal["elements_ratios"] == [0.5, 0.5]
    assert crystal["species_at_sites"] == ["Cs", "Cl"]
    assert crystal["cartesian_site_positions"][1] == pytest.approx([2.06] * 3)
    assert crystal["_discover_observations"][0]["value"] == 1.0
    assert molecule["chemical_formula_reduced"] == "H2O"
    assert molecule["dimension_types"] == [0, 0, 0]
    assert molecule["lattice_vectors"] == [[None] * 3] * 3


def test_an_export_that_was_changed_is_refused(campaign, discover, tmp_path):
    out, copy = tmp_path / "out", tmp_path / "copy"
    discover("store", "export", campaign.root, "--out", out)
    records = out / "store.jsonl"
    records.write_text(records.read_text().replace('"value":1.0', '"value":2.0'))
    answer = discover("store", "import", out, "--campaign", copy)
    assert answer.code == 2
    assert "other records than manifest.json says" in answer.err
    assert not copy.exists()
    assert "no export" in discover("store", "import", copy, "--campaign", copy).err


def test_a_password_is_not_published(campaign, discover, tmp_path, monkeypatch):
    monkeypatch.setattr(CampaignFolder, "store_location", lambda folder, _: folder.store_file)
    with campaign.spec_file.open("a") as file:
        file.write("store: mongodb://me:secret@host/db\n")
    answer = discover("store", "export", campaign.root, "--out", tmp_path / "out")
    assert answer.code == 0
    for path in (tmp_path / "out").iterdir():
        assert b"secret" not in path.read_bytes()
    assert CampaignFolder(tmp_path / "out").load().store is None


def test_a_campaign_moves_to_mongodb_and_back(campaign, discover, monkeypatch):
    database = mongomock.MongoClient().get_database("discover")
    monkeypatch.setattr(
        MongoStore, "connect", lambda _, name, **options: MongoStore(database, name, **options)
    )
    before = held(campaign)
    there = discover("store", "migrate", campaign.root, "--to", "mongodb://localhost/discover")
    assert there.code == 0
    assert "`store: ...`" in there.out
    assert inventory(MongoStore(database, "quick")) == before == held(campaign)
    assert "not empty" in (
        discover("store", "migrate", campaign.root, "--to", "mongodb://localhost/discover").err
    )
    assert "in that store already" in (
        discover("store", "migrate", campaign.root, "--to", "sqlite").err
    )
    campaign.store_file.rename(campaign.root / "old.sqlite")
    monkeypatch.setenv("DISCOVER_STORE", "mongodb://localhost/discover")
    back = discover("store", "migrate", campaign.root, "--to", "sqlite", "--json")
    assert json.loads(back.out) == before.model_dump(mode="json")
    monkeypatch.delenv("DISCOVER_STORE")
    assert held(campaign) == before


def test_what_was_brought_in_by_half_is_not_run(campaign, discover):
    with closing(campaign.open_store(campaign.load())) as store:
        store.set_value(UNFINISHED, {"begun_at": 0.0})
    answer = discover("run", campaign.root, "--no-dashboard")
    assert answer.code == 2
    assert "cut short" in answer.err

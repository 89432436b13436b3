"""What a check of a store finds: damaged records, what is missing, ids and states that do not fit."""

import sqlite3
from contextlib import closing

import pytest
from pydantic import BaseModel

from discover.calculations.base import JobInput, JobResult, job_id
from discover.calculations.job import RESULT, write_input
from discover.files import file_hash
from discover.folder import CampaignFolder
from discover.records import (
    CalculationState,
    CandidateState,
    ModelCard,
    Pass,
    Prediction,
    content_hash,
)
from discover.store.checking import check_store
from discover.store.conformance import calculation, candidate, observation
from discover.store.transfer import UNFINISHED

PROPOSED, SUBMITTED, DONE = (
    CalculationState.PROPOSED,
    CalculationState.SUBMITTED,
    CalculationState.DONE,
)


class Settings(BaseModel):
    """Of the kind and of the engine alike."""

    points: int = 7


@pytest.fixture
def folder(tmp_path):
    return CampaignFolder(tmp_path)


@pytest.fixture
def question(folder):
    """A calculation that is submitted, with its candidate and its job's directory."""
    one = candidate(1)
    settings = Settings()
    asked = job_id(one.structure, "agl", settings, "emt", settings)
    job = JobInput(
        id=asked,
        kind="agl",
        engine="emt",
        settings=settings.model_dump(),
        engine_settings=settings.model_dump(),
        structure=one.structure,
    )
    write_input(folder.job(asked), job)
    return calculation(1).model_copy(update={"id": asked})


@pytest.fixture
def sound(store, question):
    """A store in which nothing is wrong."""
    store.add_candidates([candidate(1), candidate(2)])
    store.add_calculation(question)
    store.transition(question.id, PROPOSED, SUBMITTED)
    known = observation(1).model_copy(
        update={"calculation": question.id, "id": f"{question.id}-bulk_modulus"}
    )
    store.finish(question.id, SUBMITTED, [known])
    content = {"candidate": "candidate-2", "property": "bulk_modulus", "source": "paper, row 3"}
    imported = observation(2).model_copy(
        update={
            "calculation": None,
            "source": content["source"],
            "id": f"import-{content_hash(content)}",
        }
    )
    store.add_observations([imported])
    return store


def problems(store, folder=None):
    return {f"{one.kind} {one.id}: {one.problem}" for one in check_store(store, folder).findings}


def test_a_sound_store_has_no_findings(sound, folder):
    found = check_store(sound, folder)
    assert found.sound
    assert found.counts["candidate"] == found.counts["observation"] == 2


def test_files_of_a_result_that_changed(sound, question, folder):
    directory = folder.job(question.id)
    (directory / "frames.extxyz").write_text("forces")
    (directory / "spectra.npz").write_text("phonons")
    result = JobResult(
        id=question.id,
        status="done",
        fidelity="agl/emt",
        byproducts=("frames.extxyz", "spectra.npz"),
        hashes={name: file_hash(directory / name) for name in ("frames.extxyz", "spectra.npz")},
        kind="agl",
        engine="emt",
        settings={},
        engine_settings={},
        versions={},
        started_at=0.0,
        finished_at=1.0,
        seconds=1.0,
        cores=1,
    )
    (directory / RESULT).write_text(result.model_dump_json())
    assert check_store(sound, folder).sound
    (directory / "frames.extxyz").write_text("forced")
    (directory / "spectra.npz").unlink()
    assert {line.rpartition("/")[2] for line in problems(sound, folder)} == {
        "frames.extxyz is not the file that its result was written with",
        "spectra.npz is a file of its result, and is not there",
    }
    (directory / RESULT).write_text("{")
    assert "damaged" in problems(sound, folder).pop()


def test_what_records_refer_to_is_missed(store):
    prediction = Prediction(mean=1.0, std=1.0, score=1.0, model="gone")
    store.add_calculation(calculation(1).model_copy(update={"prediction": prediction}))
    store.add_observations([observation(2)])
    card = ModelCard(
        id="card",
        surrogate="ridge",
        created_at=0.0,
        data_hash="x",
        n_observations=1,
        observations=("lost",),
        fit_seconds=0.0,
        metrics={},
    )
    store.add_model_card(card)
    store.add_pass(
        Pass(number=0, started_at=0.0, finished_at=1.0, actions=(), picked=("never",), model="nil")
    )
    assert problems(store) == {
        "calculation calculation-1: there is no candidate 'candidate-1'",
        "calculation calculation-1: there is no model card 'gone'",
        "observation observation-2: its id is not that of what it is of, calculation-2-bulk_modulus",
        "observation observation-2: there is no candidate 'candidate-2'",
        "observation observation-2: there is no calculation 'calculation-2'",
        "model_card card: there is no observation 'lost'",
        "pass 0: there is no calculation 'never'",
        "pass 0: there is no model card 'nil'",
    }


def test_states_that_do_not_fit(store):
    one = candidate(1, CandidateState.REJECTED)
    store.add_candidates([one, candidate(2), candidate(3)])
    for number in (1, 2):
        store.add_calculation(calculation(number).model_copy(update={"order": 0}))
        store.transition(f"calculation-{number}", PROPOSED, SUBMITTED)
    store.transition("calculation-1", SUBMITTED, DONE)
    store.transition("calculation-2", SUBMITTED, CalculationState.FAILED)
    of_another = {"id": "calculation-2-bulk_modulus", "candidate": "candidate-3", "unit": "kbar"}
    store.add_observations([observation(2).model_copy(update=of_another)])
    store.set_value(UNFINISHED, {"begun_at": 0.0})
    second = "calculation-2"
    found = problems(store)
    assert any(line.startswith("store None: this store holds part of an import") for line in found)
    assert {line for line in found if not line.startswith("store")} == {
        "candidate candidate-1: is rejected without a reason",
        "calculation calculation-1: is done, and has neither observations nor a reason",
        "calculation calculation-2: failed without a reason",
        "calculation None: 2 calculations are pick number 0",
        "observation calculation-2-bulk_modulus: is in 'kbar', and bulk_modulus is kept in 'GPa'",
        "observation calculation-2-bulk_modulus: its calculation calculation-2 is failed, not done",
        f"observation calculation-2-bulk_modulus: its calculation {second} is of candidate-2",
    }


def test_the_directories_of_jobs(store, folder, question):
    store.add_candidates([candidate(1)])
    store.add_calculation(question)
    store.add_calculation(calculation(2).model_copy(update={"candidate": "candidate-1"}))
    store.transition("calculation-2", PROPOSED, SUBMITTED)
    path = folder.job("calculation-2") / "input.json"
    assert problems(store, folder) == {
        f"calculation calculation-2: is submitted, and there is no {path}"
    }
    assert problems(store) == set()
    file = folder.job(question.id) / "input.json"
    file.write_text(file.read_text().replace('"points": 7', '"points": 8', 1))
    path.parent.mkdir()
    path.write_text("{")
    first, second = sorted(problems(store, folder), key=lambda line: "asks" in line)
    assert f"{path} " in first
    assert f"{file} asks another question" in second


def test_the_id_of_a_structure_that_was_changed(store):
    one = candidate(1).model_copy(update={"prototype": None})
    expected = content_hash(one.crystal.content())
    store.add_candidates([one, one.model_copy(update={"id": expected})])
    assert problems(store) == {
        f"candidate candidate-1: its id is not that of its structure, {expected}"
    }


def test_every_damaged_candidate_and_the_first_of_others_is_found(store, tmp_path):
    store.add_candidates([candidate(n) for n in range(5)])
    store.add_observations([observation(1)])
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("UPDATE candidates SET record = '{}' WHERE position IN (2, 4)")
        connection.execute("UPDATE observations SET record = '{}'")
        connection.commit()
    found = check_store(store)
    assert found.counts["candidate"] == 3
    assert [(one.kind, one.problem.split(":")[0]) for one in found.findings][:2] == [
        ("candidate", "number 2 of all"),
        ("candidate", "number 4 of all"),
    ]
    assert "damaged Observation" in found.findings[2].problem
    assert len(found.findings) == 3


def test_a_molecule_has_the_id_of_its_content(store):
    pytest.importorskip("rdkit")
    from discover.records import Candidate, Provenance
    from discover.structures.molecule import Molecule

    water = Molecule.from_smiles("O")
    one = Candidate.of(water, Provenance(generator="test", operation="none"))
    store.add_candidates([one, one.model_copy(update={"id": "other"})])
    assert problems(store) == {f"candidate other: its id is not that of its structure, {one.id}"}

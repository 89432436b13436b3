"""The supply of candidates: draws that survive kills, and candidates that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from discover.errors import PluginError
from discover.folder import CampaignFolder
from discover.records import Calculation, Candidate, CandidateState
from discover.store import Store, open_store
from discover.supply import CandidateSupply

PICKY = """
import numpy as np
from discover.errors import StructureError

class Picky:
    names = ("one",)
    def describe(self, candidates):
        for candidate in candidates:
            if candidate.prototype == "rocksalt":
                raise StructureError(f"candidate {candidate.id}: not to my taste")
        return np.ones((len(candidates), 1))
"""
EMPTY = """
from generators import Proposal

class Empty:
    def propose(self, n, context):
        return Proposal(candidates=(), position=context.position, exhausted=False)
    def elements(self):
        return frozenset()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite", "test")
    yield opened
    opened.close()


def supply(folder: Path, store: Store, **sections: object) -> CandidateSupply:
    file = folder / "campaign.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | sections))
    campaign = CampaignFolder.at(folder)
    made = CandidateSupply(campaign, campaign.load(), store)
    made.recover()
    return made


def calculation(candidate: Candidate, fidelity: str, order: int = 0) -> Calculation:
    return Calculation(
        id=f"{candidate.id} at {fidelity}",
        candidate=candidate.id,
        order=order,
        kind="agl",
        engine="potential",
        fidelity=fidelity,
        picked_by="initial",
    )


def ids(candidates: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


def test_a_candidate_that_cannot_be_described_is_rejected_alone(
    quick_campaign: Path, store: Store
) -> None:
    (quick_campaign / "picky.py").write_text(PICKY)
    made = supply(quick_campaign, store, descriptors=["structure", "picky.py:Picky"])
    screened = made.screen(made.propose(6))
    states = {c.prototype == "rocksalt": c.state for c in screened}
    assert states == {True: CandidateState.REJECTED, False: CandidateState.READY}
    reasons = [c.reason for c in screened if c.state is CandidateState.REJECTED]
    assert all(reason and "descriptors: " in reason for reason in reasons)
    assert ids(list(store.candidates())) == ids(screened)
    assert made.pool.open()[0] == ids([c for c in screened if c.state is CandidateState.READY])


def test_a_draw_is_not_drawn_again_and_not_lost(quick_campaign: Path, store: Store) -> None:
    first = supply(quick_campaign, store)
    drawn = first.propose(4)
    again = CandidateSupply(CampaignFolder.at(quick_campaign), _spec(quick_campaign), store)
    unfinished = again.recover()
    assert ids(unfinished) == ids(drawn)
    again.screen(unfinished)
    following = again.propose(4)
    assert not set(ids(following)) & set(ids(drawn))


def test_twins_of_earlier_runs_are_found_while_a_draw_is_finished(
    quick_campaign: Path, store: Store
) -> None:
    made = supply(quick_campaign, store)
    original = made.screen(made.propose(1))[0]
    twin = original.model_copy(
        update={"id": "twin", "state": CandidateState.PROPOSED, "features": None}
    )
    store.add_candidates([twin])
    resumed = CandidateSupply(CampaignFolder.at(quick_campaign), _spec(quick_campaign), store)
    screened = resumed.screen(resumed.recover())
    assert [c.reason for c in screened] == [f"duplicate of {original.id}"]


def test_a_picked_candidate_is_not_pooled_again(quick_campaign: Path, store: Store) -> None:
    made = supply(quick_campaign, store)
    first, *others = [c for c in made.screen(made.propose(6)) if c.state is CandidateState.READY]
    resumed = CandidateSupply(CampaignFolder.at(quick_campaign), _spec(quick_campaign), store)
    store.add_calculation(calculation(first, "agl/potential"))
    resumed.recover()
    assert resumed.pool.open()[0] == ids(others)


def test_a_generator_that_gives_nothing_must_say_that_it_is_exhausted(
    quick_campaign: Path, store: Store
) -> None:
    (quick_campaign / "empty.py").write_text(EMPTY)
    made = supply(quick_campaign, store, generator={"name": "empty.py:Empty"})
    with pytest.raises(PluginError, match="proposed nothing and does not say that it is exhausted"):
        made.propose(3)


def _spec(folder: Path):  # type: ignore[no-untyped-def]
    return CampaignFolder.at(folder).load()

"""The supply of candidates: draws that survive kills, and candidates that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from discover.errors import PluginError
from discover.folder import CampaignFolder
from discover.records import Calculation, Candidate, CandidateState
from discover.store import Store, open_store
from discover.supply import CandidateSupply
from discover.workers import InTurn, Lost, Work, Workers, tasks
from discover.workers.base import Threads

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


def supply(
    folder: Path, store: Store, workers: Workers | None = None, **sections: object
) -> CandidateSupply:
    file = folder / "campaign.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | sections))
    campaign = CampaignFolder.at(folder)
    made = CandidateSupply(campaign, campaign.load(), store, workers)
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


class Clumsy:
    """Workers that lose every chunk of one kind of work."""

    in_processes = False

    def __init__(self, loses: Work) -> None:
        self._loses = loses

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        return [Lost("it died") if work is self._loses else work(chunk) for chunk in chunks]


def test_candidates_are_the_same_whoever_works(quick_campaign: Path, tmp_path: Path) -> None:
    sections: dict[str, object] = {"relaxation": {"enabled": True}, "tasks": {"chunk": 2}}
    threads = Threads(3)
    both: list[Workers] = [InTurn(), threads]
    made = []
    for number, workers in enumerate(both):
        with closing(open_store(tmp_path / f"{number}.sqlite", "test")) as store:
            one = supply(quick_campaign, store, workers, **sections)
            screened = one.screen(one.propose(6))
            made.append([(c.id, c.state, c.crystal, c.features) for c in screened])
    threads.close()
    assert made[0] == made[1]
    assert any(state is CandidateState.READY for _, state, _, _ in made[0])


@pytest.mark.parametrize(
    ("work", "reason"),
    [(tasks.relax_crystals, "relaxation: it died"), (tasks.describe, "descriptors: it died")],
)
def test_what_kills_workers_is_rejected(
    quick_campaign: Path, store: Store, work: Work, reason: str
) -> None:
    made = supply(quick_campaign, store, Clumsy(work), relaxation={"enabled": True})
    screened = made.screen(made.propose(3))
    assert reason in {c.reason for c in screened}
    assert all(c.state is CandidateState.REJECTED for c in screened)


def _spec(folder: Path):  # type: ignore[no-untyped-def]
    return CampaignFolder.at(folder).load()

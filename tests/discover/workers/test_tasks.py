"""The work itself: from JSON to JSON, and the same as when it is done directly."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from discover.campaign import RelaxationSettings
from discover.potentials import load_potential
from discover.potentials.relaxation import relax_many
from discover.records import CandidateState
from discover.workers import tasks


def test_crystals_are_relaxed_as_they_are_directly(to_relax: Any, metals: Any) -> None:
    answer = tasks.relaxed_crystals().validate_json(tasks.relax_crystals(to_relax(metals)))
    direct = relax_many(metals, load_potential("emt"), RelaxationSettings())

    def timeless(relaxed: Any) -> Any:
        record = relaxed.record.model_copy(update={"seconds": 0.0})
        return dataclasses.replace(relaxed, record=record)

    assert [timeless(one) for one in answer] == [timeless(one) for one in direct]


def test_what_cannot_be_described_is_rejected_alone(
    to_describe: Any, metal: Callable[..., Any]
) -> None:
    asked = to_describe([metal(id="plain"), metal(id="odd")])
    plain, odd = tasks.CANDIDATES.validate_json(tasks.describe(asked))
    assert plain.features == (5.0,)
    assert odd.state is CandidateState.REJECTED
    assert odd.reason == "descriptors: odd is not to my taste"


def test_each_thread_has_a_potential_of_its_own_and_loads_it_once() -> None:
    mine = tasks.potential_kept("emt", Path())
    assert tasks.potential_kept("emt", Path()) is mine
    theirs: list[object] = []
    other = threading.Thread(target=lambda: theirs.append(tasks.potential_kept("emt", Path())))
    other.start()
    other.join()
    assert theirs[0] is not mine

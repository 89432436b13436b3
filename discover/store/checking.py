"""Whether what a campaign's store holds is sound: records, what they refer to, ids and states."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from discover.calculations.job import INPUT, read_input, read_result
from discover.errors import CalculationError, CampaignError, MissingDependencyError, StoreError
from discover.files import file_hash
from discover.properties import property_named
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    ModelCard,
    Observation,
    Pass,
    Record,
    content_hash,
)
from discover.store.base import Store
from discover.store.transfer import KINDS, NamedValue, check_finished
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from discover.folder import CampaignFolder

R = TypeVar("R", bound=Record)

STARTED = frozenset(
    {CalculationState.SUBMITTED, CalculationState.RUNNING, CalculationState.UNKNOWN}
)
"""States in which a calculation's job directory must be there."""

LABEL = "committee"
"""Who picks calculations that are labels for a potential: their results are frames, not values."""


class Finding(Record):
    """One thing that is wrong."""

    kind: str
    id: str | None
    problem: str


class Check(Record):
    """What was looked at and what is wrong with it."""

    counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check_store(store: Store, folder: CampaignFolder | None = None) -> Check:
    """Look at every record; with the campaign's folder also at the jobs' directories.

    Damaged records are findings: every damaged candidate, the first one of the other kinds. StoreError
    where the database does not answer at all.
    """
    return _Checker(store, folder).check()


class _Checker:
    def __init__(self, store: Store, folder: CampaignFolder | None) -> None:
        self._store = store
        self._folder = folder
        self._findings: list[Finding] = []

    def check(self) -> Check:
        store, found = self._store, self._found
        try:
            check_finished(store)
        except StoreError as error:
            found("store", None, str(error))
        candidates: set[str] = set()
        for candidate in self._candidates():
            candidates.add(candidate.id)
            self._check(candidate.id, "candidate", candidate_problems(candidate))
        calculations = self._read("calculation", store.calculations)
        observations = self._read("observation", lambda: store.observations(quarantined=True))
        cards = self._read("model_card", store.model_cards)
        passes = self._read("pass", store.passes)
        values = self._read(
            "value", lambda: [NamedValue(name=k, value=v) for k, v in store.values().items()]
        )
        references = _References(candidates, calculations, observations, cards)
        for calculation in calculations or ():
            self._check(calculation.id, "calculation", references.of_calculation(calculation))
            if self._folder:
                problems = job_problems(calculation, self._folder)
                self._check(calculation.id, "calculation", problems)
        for order, times in Counter(c.order for c in calculations or ()).items():
            if times > 1:
                found("calculation", None, f"{times} calculations are pick number {order}")
        for observation in observations or ():
            self._check(observation.id, "observation", observation_problems(observation))
            self._check(observation.id, "observation", references.of_observation(observation))
        for card in cards or ():
            self._check(card.id, "model_card", references.of_card(card))
        for one in passes or ():
            self._check(str(one.number), "pass", references.of_pass(one))
        read = (candidates, calculations, observations, cards, passes, values)
        counts = {name: len(records or ()) for name, records in zip(KINDS, read, strict=True)}
        return Check(counts=counts, findings=tuple(self._findings))

    def _found(self, kind: str, record_id: str | None, problem: str) -> None:
        self._findings.append(Finding(kind=kind, id=record_id, problem=problem))

    def _check(self, record_id: str, kind: str, problems: Iterable[str]) -> None:
        for problem in problems:
            self._found(kind, record_id, problem)

    def _candidates(self) -> Iterator[Candidate]:
        """Those that can be read; where one cannot, each by itself."""
        last = 0
        try:
            for candidate in self._store.candidates():
                yield candidate
                last += 1
        except StoreError:
            for position in range(last, sum(self._store.count_candidates().values())):
                try:
                    yield from self._store.candidate_page(position, 1)
                except StoreError as error:
                    self._found("candidate", None, f"number {position + 1} of all: {error}")

    def _read(self, kind: str, read: Callable[[], list[R]]) -> list[R] | None:
        try:
            return read()
        except (StoreError, ValueError) as error:
            self._found(kind, None, str(error))
            return None


def candidate_problems(candidate: Candidate) -> Iterator[str]:
    """What is wrong with a candidate by itself; MissingDependencyError where a molecule needs RDKit.

    The id of a crystal is compared with its content where it is neither relaxed nor the decoration of a
    prototype, of which the id is made from other things.
    """
    if candidate.state is CandidateState.REJECTED and not candidate.reason:
        yield "is rejected without a reason"
    if isinstance(candidate.structure, Crystal):
        if candidate.relaxation or candidate.prototype:
            return
        expected = content_hash(candidate.structure.content())
    else:
        if importlib.util.find_spec("rdkit") is None:
            raise MissingDependencyError(
                "ids of molecules are checked with RDKit: pip install 'discover-materials[molecules]'"
            )
        expected = Candidate.of(candidate.structure, candidate.provenance).id
    if candidate.id != expected:
        yield f"its id is not that of its structure, {expected}"


def observation_problems(observation: Observation) -> Iterator[str]:
    """What is wrong with an observation by itself: its unit, and the id, made from what it is of."""
    try:
        unit = property_named(observation.property).unit
    except CampaignError as error:
        yield str(error)
    else:
        if observation.unit != unit:
            yield f"is in {observation.unit!r}, and {observation.property} is kept in {unit!r}"
    content = {
        "candidate": observation.candidate,
        "property": observation.property,
        "source": observation.source,
    }
    expected = (
        f"{observation.calculation}-{observation.property}"
        if observation.calculation
        else f"import-{content_hash(content)}"
    )
    if observation.id != expected:
        yield f"its id is not that of what it is of, {expected}"


def job_problems(calculation: Calculation, folder: CampaignFolder) -> Iterator[str]:
    """What is wrong with the directory of a calculation's job.

    Whether it asks what the id says, and whether the files of its result are those that were written.
    """
    directory = folder.job(calculation.id)
    if not (directory / INPUT).exists():
        if calculation.state in STARTED:
            yield f"is {calculation.state}, and there is no {directory / INPUT}"
        return
    try:
        job = read_input(directory)
    except CalculationError as error:
        yield str(error)
        return
    asked = content_hash(
        {
            "kind": calculation.kind,
            "settings": job.settings,
            "engine": calculation.engine,
            "engine_settings": job.engine_settings,
            **job.structure.content(),
        }
    )
    if not job.id == asked == calculation.id:
        yield f"{directory / INPUT} asks another question, {asked}"
    try:
        result = read_result(directory)
    except CalculationError as error:
        yield str(error)
        return
    for name, expected in (result.hashes if result else {}).items():
        path = directory / name
        if not path.exists():
            yield f"{path} is a file of its result, and is not there"
        elif file_hash(path) != expected:
            yield f"{path} is not the file that its result was written with"


class _References:
    """Whether what records refer to is there; of a kind that could not be read nothing is missed."""

    def __init__(
        self,
        candidates: set[str],
        calculations: list[Calculation] | None,
        observations: list[Observation] | None,
        cards: list[ModelCard] | None,
    ) -> None:
        self._candidates = candidates
        self._calculations = None if calculations is None else {c.id: c for c in calculations}
        self._observations = None if observations is None else {o.id for o in observations}
        self._observed = None if observations is None else {o.calculation for o in observations}
        self._cards = None if cards is None else {c.id for c in cards}

    def of_calculation(self, calculation: Calculation) -> Iterator[str]:
        state, reason = calculation.state, calculation.reason
        yield from self._missing("candidate", [calculation.candidate], self._candidates)
        if calculation.prediction:
            yield from self._missing("model card", [calculation.prediction.model], self._cards)
        if state is CalculationState.FAILED and not reason:
            yield "failed without a reason"
        without = self._observed is not None and calculation.id not in self._observed
        label = calculation.picked_by == LABEL
        if state is CalculationState.DONE and without and not reason and not label:
            yield "is done, and has neither observations nor a reason"

    def of_observation(self, observation: Observation) -> Iterator[str]:
        yield from self._missing("candidate", [observation.candidate], self._candidates)
        if observation.calculation is None or self._calculations is None:
            return
        calculation = self._calculations.get(observation.calculation)
        if calculation is None:
            yield f"there is no calculation {observation.calculation!r}"
            return
        if calculation.state is not CalculationState.DONE:
            yield f"its calculation {calculation.id} is {calculation.state}, not done"
        if calculation.candidate != observation.candidate:
            yield f"its calculation {calculation.id} is of {calculation.candidate}"

    def of_card(self, card: ModelCard) -> Iterator[str]:
        yield from self._missing("observation", card.observations, self._observations)

    def of_pass(self, one: Pass) -> Iterator[str]:
        yield from self._missing("calculation", (*one.picked, *one.collected), self._calculations)
        if one.model is not None:
            yield from self._missing("model card", [one.model], self._cards)

    @staticmethod
    def _missing(what: str, wanted: Iterable[str], there: Container[str] | None) -> Iterator[str]:
        if there is not None:
            yield from (f"there is no {what} {one!r}" for one in wanted if one not in there)

"""Known values in a campaign's store: observations with source and citation, to begin from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from discover import plugins
from discover.campaign import CampaignSpec
from discover.errors import CampaignError, DataError, StructureError
from discover.folder import CampaignFolder
from discover.importing.rows import CheckedTable, KnownRow, KnownValue
from discover.lease import SteeringLease
from discover.properties import property_named
from discover.records import Candidate, CandidateState, Observation, Record, content_hash
from discover.store.base import Store
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import find_duplicate
from discover.structures.structure import SORTS, sort_name, sorts_taken

IMPORTED = "imported"
"""Fidelity of known values that nobody named another for."""


class ValueRange(Record):
    """The values of one property that come in, in its unit."""

    property: str
    unit: str
    values: int
    lowest: float
    highest: float
    bounds: int
    quarantined: int
    learned: bool


class ImportReport(Record):
    """What an import brought in, or would; `refused` are (row, problem), all of them."""

    source: str
    dry_run: bool
    columns: tuple[str, ...]
    rows: int
    used: int
    candidates: int
    known_already: int
    sorts: dict[str, int]
    composition_only: dict[str, int]
    ranges: tuple[ValueRange, ...]
    refused: tuple[tuple[str, str], ...]


def sorts_of(spec: CampaignSpec, base: Path) -> tuple[type, ...]:
    """Sorts of structure that every descriptor of a campaign takes; CampaignError where there is none."""
    takes = [sorts_taken(plugins.load("descriptors", name, base)) for name in spec.descriptors]
    shared = tuple(sort for sort in SORTS if all(sort in one for one in takes))
    if not shared:
        raise CampaignError(
            f"the descriptors {', '.join(spec.descriptors)} have no sort of structure in common"
        )
    return shared


def fidelity_for(spec: CampaignSpec, asked: str | None) -> str:
    """The fidelity of imported values; CampaignError where a ladder needs to be told which."""
    names = [rung.fidelity for rung in spec.rungs]
    if spec.ladder and asked not in names:
        raise CampaignError(
            f"this campaign has a ladder: say by --fidelity which rung the values belong to: "
            f"{', '.join(names)}"
        )
    return asked or IMPORTED


class Import:
    """Checked rows on their way into one campaign."""

    def __init__(
        self, folder: CampaignFolder, spec: CampaignSpec, source: str, fidelity: str
    ) -> None:
        self._folder, self._spec = folder, spec
        self._source, self._fidelity = source, fidelity

    def run(
        self,
        checked: CheckedTable,
        columns: Sequence[str],
        *,
        citation: str | None = None,
        drop_invalid: bool = False,
        dry_run: bool = False,
        told: Callable[[str], None] = lambda _: None,
    ) -> ImportReport:
        """Bring the rows in, or with `dry_run` only say what would come.

        The lease is held meanwhile: LeaseHeldError where the campaign is running. DataError listing every
        row that cannot be used, unless those are dropped; CampaignError where what the campaign has
        begun with was changed.
        """
        described, refused = self._described(checked, told)
        if not dry_run and refused and not drop_invalid:
            raise DataError(
                f"{self._source}: {len(refused)} rows cannot be used; correct them, or leave them out "
                "by --drop-invalid:\n" + "\n".join(f"{place}: {why}" for place, why in refused)
            )
        if not described and not dry_run:
            raise DataError(f"{self._source}: no row can be used")
        if dry_run:
            if self._folder.has_store(self._spec):
                with closing(self._folder.open_existing_store(self._spec, read_only=True)) as store:
                    present = _Present(store.candidates())
            else:
                present = _Present(())
            return self._report(checked, columns, described, refused, present, dry_run=True)
        from discover.unchanged import check_unchanged, note_beginning

        with closing(self._folder.open_store(self._spec)) as store, SteeringLease(store):
            check_unchanged(store, self._spec, str(self._folder.spec_file))
            note_beginning(store, self._spec)
            report = self._report(
                checked, columns, described, refused, _Present(store.candidates()), dry_run=False
            )
            self._keep(store, described, citation)
        return report

    def _described(
        self, checked: CheckedTable, told: Callable[[str], None]
    ) -> tuple[list[KnownRow], list[tuple[str, str]]]:
        """The rows with their candidates ready and described, and all that cannot be used."""
        from surrogates.descriptors import descriptors_named, featurize

        descriptors = descriptors_named(
            self._spec.descriptors, self._folder.root, self._spec.potential
        )
        told(f"describing {len(checked.rows)} candidates by {', '.join(self._spec.descriptors)}")
        rows, refused = [], list(checked.refused)
        for row in checked.rows:
            try:
                (candidate,) = featurize([row.candidate], descriptors)
            except StructureError as error:
                refused.append((row.place, f"descriptors: {error}"))
                continue
            ready = candidate.model_copy(update={"state": CandidateState.READY})
            rows.append(KnownRow(row.place, ready, row.values, row.citation, row.without))
        return rows, refused

    def _keep(self, store: Store, rows: Sequence[KnownRow], citation: str | None) -> None:
        """New candidates first, then their values: doing it again after a kill changes nothing."""
        present = _Present(store.candidates())
        new, described, observations = [], {}, []
        for row in rows:
            known = present.like(row.candidate)
            if known is None:
                present.add(row.candidate)
                new.append(row.candidate)
                known = row.candidate
            elif known.features is None:
                described[known.id] = known.model_copy(update={"features": row.candidate.features})
            observations += [
                self._observation(known.id, row, value, citation) for value in row.values
            ]
        store.add_candidates(new)
        store.update_candidates(list(described.values()))
        store.add_observations(observations)

    def _observation(
        self, candidate: str, row: KnownRow, value: KnownValue, citation: str | None
    ) -> Observation:
        source = f"{self._source}, {row.place}: {value.given}"
        content = {"candidate": candidate, "property": value.property, "source": source}
        return Observation(
            id=f"import-{content_hash(content)}",
            candidate=candidate,
            calculation=None,
            property=value.property,
            value=value.value,
            unit=property_named(value.property).unit,
            fidelity=self._fidelity,
            source=source,
            citation=row.citation or citation,
            bound=value.bound,
            uncertainty=value.uncertainty,
            quarantined=_doubt(value),
        )

    def _report(
        self,
        checked: CheckedTable,
        columns: Sequence[str],
        rows: Sequence[KnownRow],
        refused: Sequence[tuple[str, str]],
        present: _Present,
        *,
        dry_run: bool,
    ) -> ImportReport:
        new = 0
        for row in rows:
            if present.like(row.candidate) is None:
                present.add(row.candidate)
                new += 1
        return ImportReport(
            source=self._source,
            dry_run=dry_run,
            columns=tuple(columns),
            rows=len(checked.rows) + len({place for place, _ in checked.refused}),
            used=len(rows),
            candidates=new,
            known_already=len(rows) - new,
            sorts=dict(Counter(sort_name(row.candidate.structure) for row in rows)),
            composition_only=dict(Counter(_kind(row.without) for row in rows if row.without)),
            ranges=self._ranges(rows),
            refused=tuple(refused),
        )

    def _ranges(self, rows: Sequence[KnownRow]) -> tuple[ValueRange, ...]:
        values: dict[str, list[KnownValue]] = {}
        for row in rows:
            for value in row.values:
                values.setdefault(value.property, []).append(value)
        learned = {target.name for target in self._spec.modelled}
        return tuple(
            ValueRange(
                property=name,
                unit=property_named(name).unit,
                values=len(known),
                lowest=min(v.value for v in known),
                highest=max(v.value for v in known),
                bounds=sum(v.bound is not None for v in known),
                quarantined=sum(_doubt(v) is not None for v in known),
                learned=name in learned,
            )
            for name, known in values.items()
        )


class _Present:
    """Candidates that are there already, to be found again by their structure."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._by_id: dict[str, Candidate] = {}
        self._by_fingerprint: dict[str, dict[str, Candidate]] = {}
        for candidate in candidates:
            self.add(candidate)

    def add(self, candidate: Candidate) -> None:
        self._by_id[candidate.id] = candidate
        self._by_fingerprint.setdefault(candidate.fingerprint, {})[candidate.id] = candidate

    def like(self, candidate: Candidate) -> Candidate | None:
        """The one that is the same, if any."""
        if candidate.id in self._by_id:
            return self._by_id[candidate.id]
        alike = self._by_fingerprint.get(candidate.fingerprint, {})
        if not isinstance(candidate.structure, Crystal):
            return next(iter(alike.values()), None)
        twin = find_duplicate(candidate.crystal, {i: one.crystal for i, one in alike.items()})
        return alike[twin] if twin else None


def _doubt(value: KnownValue) -> str | None:
    """Why a value is not plausible."""
    return property_named(value.property).doubt(value.value, value.bound)


def _kind(why: str) -> str:
    """A reason without what differs from row to row, to be counted."""
    return "its structure has another formula" if why.startswith("its structure is") else why

"""Candidates, calculations and observations as Parquet tables, a row for each record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.records import Calculation, Candidate, Observation
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.structure import sort_name

if TYPE_CHECKING:
    import pyarrow as pa

    from discover.calculations.base import JobResult

ROWS = 10_000

STRINGS = "list<string>"
NUMBERS = "list<double>"

CANDIDATES = {
    "id": "string",
    "sort": "string",
    "formula": "string",
    "title": "string",
    "spacegroup": "int16",
    "prototype": "string",
    "state": "string",
    "reason": "string",
    "generator": "string",
    "operation": "string",
    "parents": STRINGS,
    "draw": "int64",
    "relaxation_potential": "string",
    "relaxation_energy_ev_per_atom": "double",
    "relaxation_max_force_ev_per_angstrom": "double",
    "relaxation_max_stress_gpa": "double",
    "relaxation_volume_ratio": "double",
    "relaxation_steps": "int64",
    "relaxation_converged": "bool",
    "relaxation_seconds": "double",
    "formation_energy_ev_per_atom": "double",
    "features": NUMBERS,
    "structure_json": "string",
}

CALCULATIONS = {
    "id": "string",
    "candidate": "string",
    "order": "int64",
    "kind": "string",
    "engine": "string",
    "fidelity": "string",
    "picked_by": "string",
    "predicted_mean": "double",
    "predicted_std": "double",
    "score": "double",
    "model": "string",
    "predicted_others_json": "string",
    "state": "string",
    "attempts": "int64",
    "native_id": "string",
    "reason": "string",
    "submitted_at": "double",
    "started_at": "double",
    "finished_at": "double",
    "seconds": "double",
    "cores": "int64",
    "settings_json": "string",
    "engine_settings_json": "string",
    "versions_json": "string",
    "warnings": STRINGS,
}

OBSERVATIONS = {
    "id": "string",
    "candidate": "string",
    "calculation": "string",
    "property": "string",
    "value": "double",
    "unit": "string",
    "fidelity": "string",
    "source": "string",
    "citation": "string",
    "bound": "string",
    "uncertainty": "double",
    "quarantined": "string",
}


class Table:
    """A Parquet file with these columns that is written row by row; a context manager."""

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([(name, _type(kind)) for name, kind in columns.items()])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """One more row; a column that it lacks is null."""
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()


def candidate_row(candidate: Candidate) -> dict[str, Any]:
    """The cells of a candidate; its structure is JSON as in the store, lengths in Å."""
    row = candidate.model_dump(mode="json")
    structure, relaxation = row.pop("structure"), row.pop("relaxation") or {}
    return {
        **row,
        **row.pop("provenance"),
        **{f"relaxation_{name}": value for name, value in relaxation.items()},
        "sort": sort_name(candidate.structure),
        "title": None
        if isinstance(candidate.structure, Crystal | Composition)
        else candidate.title,
        "structure_json": _json(structure),
    }


def calculation_row(calculation: Calculation, result: JobResult | None) -> dict[str, Any]:
    """The cells of a calculation, with the settings and versions that its result tells."""
    row = calculation.model_dump(mode="json")
    prediction = row.pop("prediction")
    if prediction:
        row |= {
            "predicted_mean": prediction["mean"],
            "predicted_std": prediction["std"],
            "score": prediction["score"],
            "model": prediction["model"],
            "predicted_others_json": _json(prediction["others"]) if prediction["others"] else None,
        }
    if result:
        row |= {
            "settings_json": _json(result.settings),
            "engine_settings_json": _json(result.engine_settings),
            "versions_json": _json(result.versions),
            "warnings": list(result.warnings),
        }
    return row


def observation_row(observation: Observation) -> dict[str, Any]:
    """The cells of an observation."""
    return observation.model_dump(mode="json")


def _type(kind: str) -> pa.DataType:
    import pyarrow as pa

    inner = {STRINGS: "string", NUMBERS: "double"}.get(kind)
    return pa.list_(pa.type_for_alias(inner)) if inner else pa.type_for_alias(kind)


def _json(content: Any) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False)

"""Records as documents of MongoDB and back."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import bson
from bson.errors import BSONError

from discover.errors import StoreError
from discover.records import Record
from discover.store import rules

R = TypeVar("R", bound=Record)
Document = dict[str, Any]

LARGEST_BYTES = 16 * 2**20 - 16 * 2**10
"""What MongoDB takes as one document, less what it may add to an update and what announces a write."""
BESIDE = frozenset({"_id", "position", "serial"})
"""Fields of a document that are none of its record's."""


def to_document(record: Record) -> Document:
    """The document of a record under `_id`, where it has an id; StoreError where MongoDB cannot keep it.

    `ModelCard.details` becomes JSON text, as BSON refuses some of what JSON allows.
    """
    content = record.model_dump(mode="json")
    what = f"a {type(record).__name__}"
    rules.to_json(content, what)  # BSON would take NaN, JSON does not
    if "id" in content:
        content["_id"] = content.pop("id")
    if "details" in content:
        content["details"] = rules.to_json(content["details"], "details")
    return fitting(content, what)


def to_record(kind: type[R], document: Document, where: str) -> R:
    """The record of a document; StoreError, which names `where` it lies, if it is damaged."""
    content = {key: document[key] for key in document.keys() - BESIDE}
    if "id" in kind.model_fields:
        content["id"] = document["_id"]
    try:
        if "details" in content:
            content["details"] = json.loads(content["details"])
        return kind.model_validate(content)
    except ValueError as error:
        raise StoreError(f"{where}: holds a damaged {kind.__name__}: {error}") from error


def fitting(document: Document, what: str) -> Document:
    """The document itself; StoreError where MongoDB would not take it, for its size or what it holds."""
    try:
        size = len(bson.encode(document))
    except (BSONError, OverflowError) as error:
        raise StoreError(f"{what} cannot be kept as a document: {error}") from error
    if size > LARGEST_BYTES:
        raise StoreError(
            f"{what} takes {size / 2**20:.0f} MB, and MongoDB keeps at most 16 MB as one document: large"
            " arrays belong into files of the job's directory"
        )
    return document

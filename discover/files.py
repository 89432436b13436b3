"""Files that survive a kill at any moment: whole, or not there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from discover.errors import CalculationError, DataError


def new_folder(path: Path) -> Path:
    """A folder, made with those above it where it is not there; DataError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path}: cannot be a folder for results: {error.strerror}") from error
    return path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file so that a reader sees the old or the new content, never a part.

    Text is written as UTF-8; the content is on disk when this returns. Raises OSError (disk full, no
    permission) with `path` untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class JsonLines:
    """An append-only file of JSON records, one a line, on disk when `append` returns.

    A last line without its end is what a kill or a full disk leaves: it is not read, and it is cut
    off by the next `append`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[dict[str, Any]]:
        """Every record in the order written; CalculationError where a whole line is not JSON."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        *lines, _torn = content.split(b"\n")
        records = []
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise CalculationError(
                    f"{self._path}, line {number} is not a JSON record: the file was changed by "
                    "hand or the disk is damaged; delete it to compute anew"
                )
            records.append(record)
        return records

    def append(self, record: dict[str, Any]) -> None:
        """Add one record; OSError where it cannot be written."""
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        with os.fdopen(descriptor, "r+b") as file:
            end = file.read().rfind(b"\n") + 1
            file.seek(end)
            file.truncate()
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

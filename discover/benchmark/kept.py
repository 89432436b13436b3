"""Runs of a benchmark that are over, in files: the same call goes on where a killed one was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import surrogates
from discover import acquisition
from discover.files import new_folder, write_atomically
from discover.records import content_hash

Run = dict[str, Any]


class KeptRuns:
    """What was asked and answered, a file each; it notes which code of ours answered.

    An answer of other code is used, since an edit that changes nothing must not cost days; `notice` says
    how many there are.
    """

    def __init__(self, folder: Path, format_: int) -> None:
        self._folder = new_folder(folder)
        self._format = format_
        self._code = code_of_models()
        self.of_other_code = 0
        self._used = 0

    def answer(self, question: Mapping[str, Any], ask: Callable[[], Run], **noted: Any) -> Run:
        """What is kept for the question; else it is asked now, and kept with what else is `noted`."""
        file = self._folder / f"{content_hash(question)}.json"
        kept = _read(file)
        if kept is not None and kept.get("format") == self._format:
            self._used += 1
            self.of_other_code += kept.get("code") != self._code
            return kept
        made = noted | ask() | {"format": self._format, "code": self._code}
        write_atomically(file, json.dumps(made))
        return made

    def notice(self) -> str | None:
        """What a reader of the results must know of where they come from, if anything."""
        if not self.of_other_code:
            return None
        return (
            f"{self.of_other_code} of {self._used} kept runs are of another version of the models' "
            f"code; delete {self._folder} to compute them anew"
        )


def _read(file: Path) -> Run | None:
    """What the file holds, None where it is not there or damaged."""
    try:
        made = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return made if isinstance(made, dict) else None


def code_of_models() -> str:
    """Hash of our own surrogates' and acquisitions' source."""
    digest = hashlib.sha256()
    for package in (surrogates, acquisition):
        (root,) = map(Path, package.__path__)
        for file in sorted(root.rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

"""Finished parts of a calculation, each a file of JSON, so that a killed job goes on where it was."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from discover.errors import CalculationError
from discover.files import write_atomically
from discover.records import Record

R = TypeVar("R", bound=Record)

_log = logging.getLogger(__name__)


class Timed(Record):
    """What a part took: CPU time of its process in s, and the part itself as JSON."""

    cpu_seconds: float
    content: str


class Parts:
    """Parts below a folder, computed once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.cpu_seconds: dict[str, float] = {}

    def get(self, name: str, record: type[R], compute: Callable[[], R]) -> R:
        """The part called `name`: read where it is finished, else computed and kept.

        Raises CalculationError where its file cannot be read, and whatever `compute` raises.
        """
        path = self._folder / f"{name}.json"
        if path.exists():
            try:
                timed = Timed.model_validate_json(path.read_bytes())
                part = record.model_validate_json(timed.content)
            except ValidationError as error:
                raise CalculationError(f"{path} is damaged: delete it, and run again") from error
        else:
            started = time.process_time()
            part = compute()
            timed = Timed(cpu_seconds=time.process_time() - started, content=part.model_dump_json())
            self._folder.mkdir(exist_ok=True)
            write_atomically(path, timed.model_dump_json())
            _log.info("%s: %.1f s", name, timed.cpu_seconds)
        self.cpu_seconds[name] = timed.cpu_seconds
        return part

"""The job contract: one directory, one command, one atomic result.

A job directory holds `input.json` (the question), `result.json` (the answer, written last, by one
rename), `frames.extxyz` (labelled structures, by-products) and `history.jsonl` (when it was started
and when it ran to its end). What a kind leaves while it computes lets a killed job go on where it was.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import io
import logging
import os
import platform
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from discover import plugins
from discover.calculations.base import (
    JOB_FORMAT,
    CalculationKind,
    CalculationWarning,
    Engine,
    JobInput,
    JobResult,
    Outcome,
    check_engine,
    check_structure,
    fidelity_of,
)
from discover.errors import CalculationError, DiscoverError
from discover.files import JsonLines, file_hash, write_atomically
from discover.records import Record

if TYPE_CHECKING:
    from ase import Atoms

INPUT = "input.json"
RESULT = "result.json"
FRAMES = "frames.extxyz"
HISTORY = "history.jsonl"
_LOCK = "lock"

_log = logging.getLogger(__name__)
_R = TypeVar("_R", bound=Record)


def write_input(directory: Path, job: JobInput) -> None:
    """Make the directory (with its parents) and put the question there.

    Raises CalculationError where the directory belongs to another job.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / INPUT
    if path.exists():
        present = _read(path, JobInput)
        if present.id != job.id:
            raise CalculationError(
                f"{directory} belongs to job {present.id}, not {job.id}: give each job its own"
            )
        return
    write_atomically(path, job.model_dump_json(indent=2))


def read_input(directory: Path) -> JobInput:
    """The question; CalculationError where there is none or it cannot be read."""
    path = directory / INPUT
    if not path.exists():
        raise CalculationError(f"{directory} is no job directory: there is no {INPUT} in it")
    return _read(path, JobInput)


def read_result(directory: Path) -> JobResult | None:
    """The answer, or None where there is none yet; CalculationError where it cannot be believed."""
    path = directory / RESULT
    if not path.exists():
        return None
    result = _read(path, JobResult)
    if result.status not in {"done", "failed"}:
        raise CalculationError(f"{path}: status {result.status!r} is neither 'done' nor 'failed'")
    return result


def run_job(directory: Path) -> JobResult:
    """Answer the question of this directory, unless that was done: then the answer is returned.

    A reason that a person can act on (any DiscoverError while computing) makes a result with status
    `failed`, beside the frames that were computed before; any other exception leaves no result. Two
    processes on one directory take turns.
    """
    with _locked(directory):
        job = read_input(directory)
        present = read_result(directory)
        if present is not None:
            if present.id != job.id:
                raise CalculationError(
                    f"{directory / RESULT} answers job {present.id}, not {job.id}: delete it"
                )
            _log.info("job %s has its result already: %s", job.id, present.status)
            return present
        history = JsonLines(directory / HISTORY)
        history.append({"event": "start", "time": time.time(), "pid": os.getpid()})
        result = _compute(job, directory)
        write_atomically(directory / RESULT, result.model_dump_json(indent=2))
        history.append({"event": "end", "time": time.time(), "pid": os.getpid()})
    _log.info("job %s %s%s", job.id, result.status, f": {result.reason}" if result.reason else "")
    return result


def _compute(job: JobInput, directory: Path) -> JobResult:
    started = time.time()
    reason, outcome, versions = None, Outcome(values=()), _versions()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CalculationWarning)
        try:
            kind: CalculationKind = plugins.create("calculations", job.kind, job.settings)
            engine: Engine = plugins.create("engines", job.engine, job.engine_settings)
            engine.check()
            try:
                check_structure(kind, job.structure)
                check_engine(kind, engine)
                outcome = kind.run(job.structure, engine, directory)
            finally:
                versions |= engine.versions()  # some know only now, such as a program's own version
        except DiscoverError as error:
            reason = str(error)
            if isinstance(error, CalculationError):
                outcome = Outcome(values=(), frames=error.frames)
    if outcome.frames:
        write_atomically(directory / FRAMES, _extxyz(outcome.frames))
    byproducts = ((FRAMES,) if outcome.frames else ()) + outcome.files
    finished = time.time()
    noticed = [str(w.message) for w in caught if issubclass(w.category, CalculationWarning)]
    return JobResult(
        id=job.id,
        status="done" if reason is None else "failed",
        reason=reason,
        fidelity=fidelity_of(job.kind, job.engine),
        values=outcome.values,
        details=outcome.details,
        warnings=(*outcome.warnings, *dict.fromkeys(noticed)),
        byproducts=byproducts,
        hashes={name: file_hash(directory / name) for name in byproducts},
        kind=job.kind,
        engine=job.engine,
        settings=job.settings,
        engine_settings=job.engine_settings,
        versions=versions,
        started_at=started,
        finished_at=finished,
        seconds=finished - started,
        cores=_cores(),
    )


def _read(path: Path, record: type[_R]) -> _R:
    try:
        parsed = record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CalculationError(
            f"{path} is damaged or was written by another version"
            f"{f', at {where!r}' if where else ''}: {problem['msg']}"
        ) from error
    found = getattr(parsed, "format", JOB_FORMAT)
    if found != JOB_FORMAT:
        raise CalculationError(f"{path} has format {found}; this version reads {JOB_FORMAT}")
    return parsed


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    if not directory.is_dir():
        raise CalculationError(f"{directory} is no job directory: it does not exist")
    with (directory / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed by the kernel when the process ends, however
        yield


def _extxyz(frames: Sequence[Atoms]) -> str:
    from ase.io import write

    text = io.StringIO()
    write(text, list(frames), format="extxyz")
    return text.getvalue()


def _versions() -> dict[str, str]:
    import discover

    return {
        "discover": discover.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("ase", "numpy", "spglib")},
    }


def _cores() -> int:
    available = len(os.sched_getaffinity(0))
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(threads)) if threads.isdigit() and int(threads) else available

"""What every dispatcher must do, as tests that the author of one runs.

Subclass `DispatcherConformance` in a test module and give it one fixture:

    class TestMyDispatcher(DispatcherConformance):
        @pytest.fixture
        def make_dispatcher(self):
            return lambda: MyDispatcher(...)

It is called several times; what it makes must be one and the same scheduler, as after a restart of this
process. The jobs are real ones (`python -m discover.calculations`, copper by EMT, seconds each) below
`tmp_path`; override the fixture `folder` where the scheduler needs another disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from discover import plugins
from discover.calculations.base import JobInput, job_id
from discover.calculations.job import HISTORY, read_result, write_input
from discover.dispatch.base import Dispatcher, JobState, JobStatus
from discover.structures.crystal import Crystal

NewDispatcher = Callable[[], Dispatcher]

POLL_SECONDS = 0.1
UNDER_WAY = {JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN}


class DispatcherConformance:
    """The contract of `discover.dispatch.base.Dispatcher`; give it `make_dispatcher`."""

    patience_seconds = 120.0

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where the job directories are made."""
        return tmp_path

    def _end(self, dispatcher: Dispatcher, *jobs: tuple[str, Path]) -> list[JobStatus]:
        """The states once no job is under way any more."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            states = dispatcher.poll(jobs)
            if not UNDER_WAY & {status.state for status in states}:
                return states
            assert time.monotonic() < deadline, f"still under way: {states}"
            time.sleep(POLL_SECONDS)

    def test_jobs_run_once_and_end_with_a_result(
        self, make_dispatcher: NewDispatcher, folder: Path
    ) -> None:
        """Submitted twice and polled by a dispatcher that was made later, in the order asked."""
        directories = [_job(folder / name, a) for name, a in (("one", 3.6), ("two", 3.7))]
        dispatcher = make_dispatcher()
        ids = [dispatcher.submit(directory) for directory in directories]
        assert [make_dispatcher().submit(directory) for directory in directories] == ids
        jobs = list(zip(ids, directories, strict=True))
        states = self._end(make_dispatcher(), *jobs, *reversed(jobs))
        assert [status.state for status in states] == [JobState.ENDED] * 4
        assert states == [*states[:2], *reversed(states[:2])]
        for directory, status in zip(directories, states, strict=False):
            assert status.exit_code in {0, None}
            result = read_result(directory)
            assert result is not None
            assert result.status == "done"
            assert (directory / HISTORY).read_text().count('"start"') == 1

    def test_a_job_that_crashes_is_told_from_one_that_succeeds(
        self, make_dispatcher: NewDispatcher, folder: Path
    ) -> None:
        """An input that cannot be read ends the job without a result, with an exit code if known."""
        directory = _job(folder / "job", 3.6)
        (directory / "input.json").write_text("{")
        dispatcher = make_dispatcher()
        (status,) = self._end(dispatcher, (dispatcher.submit(directory), directory))
        assert status.state in {JobState.ENDED, JobState.LOST}
        assert status.exit_code != 0
        assert read_result(directory) is None

    def test_a_cancelled_job_ends_and_is_not_to_be_tried_again(
        self, make_dispatcher: NewDispatcher, folder: Path
    ) -> None:
        """Cancelling it once more, or after a restart, is no error."""
        directory = _job(folder / "job", 3.6)
        native_id = make_dispatcher().submit(directory)
        make_dispatcher().cancel(native_id, directory)
        make_dispatcher().cancel(native_id, directory)
        (status,) = self._end(make_dispatcher(), (native_id, directory))
        assert not status.retryable
        assert read_result(directory) is None

    def test_what_was_never_submitted_is_not_taken_for_a_job(
        self, make_dispatcher: NewDispatcher, folder: Path
    ) -> None:
        """It is lost, or unknown; and nothing asked is nothing answered."""
        dispatcher = make_dispatcher()
        (status,) = dispatcher.poll([("0", _job(folder / "job", 3.6))])
        assert status.state in {JobState.LOST, JobState.UNKNOWN}
        assert dispatcher.poll([]) == []


def _job(directory: Path, a: float) -> Path:
    """A job directory: copper with this lattice constant (Å), kind `agl`, engine `emt`."""
    from ase.build import bulk

    crystal = Crystal.from_atoms(bulk("Cu", "fcc", a=a))
    settings = plugins.options_model(plugins.load("calculations", "agl"))()
    engine_settings = plugins.options_model(plugins.load("engines", "emt"))()
    write_input(
        directory,
        JobInput(
            id=job_id(crystal, "agl", settings, "emt", engine_settings),
            kind="agl",
            engine="emt",
            settings=settings.model_dump(mode="json"),
            engine_settings=engine_settings.model_dump(mode="json"),
            structure=crystal,
        ),
    )
    return directory

"""Many small jobs in few allocations: the dispatcher's side of the queue that allocations serve."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from discover.calculations.job import RESULT
from discover.dispatch import submission as noted
from discover.dispatch.asking import Asking
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.bulk_folder import (
    CLAIMS,
    CLOSED,
    BulkFolder,
    Packed,
    added_at,
    note_end,
    read,
)
from discover.dispatch.machines import Bulk
from discover.dispatch.outcomes import Outcomes, end_of, started_at_of
from discover.dispatch.queue_view import QueueView, View
from discover.dispatch.scheduler import NoAnswerError, Request
from discover.dispatch.scripts import body
from discover.dispatch.submission import Submission
from discover.errors import DispatchError
from discover.files import write_atomically

MOST_FRUITLESS = 3
INDEX = '"${SLURM_ARRAY_TASK_ID:-${PBS_ARRAY_INDEX:-1}}"'
LONGEST_GATHER = 5  # times gather_seconds, where jobs come one by one without end
BLAMELESS = frozenset({"node", "preempted", "cancelled"})
OVER = frozenset({JobState.ENDED, JobState.LOST})


@dataclass(frozen=True)
class AllocationAsking(Asking):
    """What an allocation asks for, whatever is in its directory."""

    bulk: Bulk

    def request(self, directory: Path, submission: Submission) -> Request:  # noqa: ARG002
        """The section `bulk.resources` of the profile."""
        resources = self.bulk.resources
        memory = resources.memory_per_node_gb
        return Request(
            token=submission.token,
            resources=resources,
            cores_per_task=self.bulk.cores // resources.tasks_per_node,
            wall_seconds=self.bulk.wall_seconds,
            memory_per_node_mb=None if memory is None else math.ceil(1000 * memory),
        )


class Packing:
    """Puts jobs into the queue and keeps as many allocations as they need, as arrays of the scheduler.

    All it knows stands in the folder (`discover.dispatch.bulk_folder`): another process may go on with
    it. An allocation that ends, however, gives its unfinished jobs back.
    """

    def __init__(self, folder: BulkFolder, asking: AllocationAsking, queue: QueueView) -> None:
        self._folder = folder
        self._bulk = asking.bulk
        self._asking = asking
        self._jobs = Asking(
            asking.profile, asking.scheduler, asking.threads, asking.wall_time_minutes
        )
        self._outcomes = Outcomes(self._jobs)
        self._allocations = Outcomes(asking)
        self._queue = queue

    @classmethod
    def of(cls, root: Path, asking: Asking, queue: QueueView) -> Packing | None:
        """None where the machine profile packs no jobs."""
        bulk = asking.profile.bulk
        if bulk is None:
            return None
        of_allocations = AllocationAsking(
            asking.profile, asking.scheduler, asking.threads, asking.wall_time_minutes, bulk
        )
        return cls(BulkFolder(root), of_allocations, queue)

    # --- jobs -------------------------------------------------------------------------------------

    def takes(self, directory: Path) -> bool:
        """Whether the job of this directory is of a kind that is packed."""
        return self._bulk.packs(*noted.kind_and_engine(directory))

    def add(self, directory: Path, submission: Submission) -> str:
        """Note the job and put it into the queue; its id.

        DispatchError where no allocation can hold it.
        """
        request = self._jobs.request(directory, submission)
        cores = request.resources.tasks_per_node * request.cores_per_task
        has_mb = self._asking.request(directory, submission).memory_per_node_mb
        if cores > self._bulk.cores or (
            has_mb is not None and (request.memory_per_node_mb or 0) > has_mb
        ):
            raise DispatchError(
                f"{directory}: the job asks for {cores} cores and {request.memory_per_node_mb or 0} MB, "
                f"an allocation has {self._bulk.cores} cores and {has_mb or 'unknown'} MB: raise "
                "bulk.resources in the machine profile, or leave this kind out of bulk.kinds"
            )
        self._jobs.write_script(directory, submission, header=False)
        native_id = f"bulk-{submission.token}"
        submission = submission.model_copy(
            update={"packed": True, "native_id": native_id, "submitted_at": time.time()}
        )
        self._folder.make()
        submission.note(directory)
        self._folder.add(
            Packed(
                token=submission.token,
                directory=directory,
                cores=cores,
                memory_mb=request.memory_per_node_mb,
                wall_seconds=request.wall_seconds,
            )
        )
        return native_id

    def holds(self, submission: Submission) -> bool:
        """Whether the job waits or runs; one that waits and was cancelled is taken out of the queue."""
        waiting = self._folder.waiting().get(submission.token)
        if waiting is not None and submission.cancelled:
            waiting.unlink(missing_ok=True)
            waiting = None
        return waiting is not None or submission.token in self._folder.claimed()

    def poll(
        self, jobs: Mapping[Path, Submission], view: View | NoAnswerError
    ) -> dict[Path, JobStatus]:
        """The state of each job, after what became of the allocations was seen to."""
        if not self._folder.allocations.is_dir():
            self._folder.make()
        allocations = self._settle(view)
        self._top_up(allocations)
        waiting = self._folder.waiting()
        claimed = self._folder.claimed()
        waiting |= self._folder.waiting()  # one that was put back in between
        return {
            directory: self._status(directory, submission, waiting, claimed, allocations)
            for directory, submission in jobs.items()
        }

    def _status(
        self,
        directory: Path,
        submission: Submission,
        waiting: Mapping[str, Path],
        claimed: Mapping[str, Path],
        allocations: Mapping[str, JobStatus],
    ) -> JobStatus:
        if end := end_of(directory, submission):
            return self._outcomes.told(directory, submission, end)
        if claim := claimed.get(submission.token):
            started_at = started_at_of(directory, submission)
            host = allocations.get(claim.parent.parent.name)
            if host is not None and host.state is JobState.UNKNOWN:
                return JobStatus(JobState.UNKNOWN, started_at=started_at, reason=host.reason)
            state = JobState.QUEUED if started_at is None else JobState.RUNNING
            return JobStatus(state, started_at=started_at)
        if submission.cancelled:
            end = self._outcomes.record(directory, submission, "cancelled")
            return self._outcomes.told(directory, submission, end)
        if submission.token in waiting:
            return JobStatus(JobState.QUEUED, reason="it waits for a place in an allocation")
        if (directory / RESULT).exists():
            return JobStatus(JobState.ENDED, started_at=started_at_of(directory, submission))
        # Whoever submitted it was killed before it was in the queue.
        self.add(directory, submission)
        return JobStatus(JobState.QUEUED)

    # --- allocations ------------------------------------------------------------------------------

    def native_ids(self) -> dict[str, float]:
        """The allocations that may still be under way, and when each was submitted, for one question."""
        found = {}
        for name, submission in self._known().items():
            if submission.native_id and not end_of(self._directory(name), submission):
                found[submission.native_id] = submission.submitted_at or 0.0
        return found

    def _settle(self, view: View | NoAnswerError) -> dict[str, JobStatus]:
        """The allocations under way, by name; those that are over give back what they had taken."""
        alive = {}
        for name, noted_submission in self._known().items():
            directory = self._directory(name)
            submission = self._identified(name, noted_submission)
            if submission is not None:
                status = self._allocations.status(directory, submission, view)
                if status.state not in OVER:
                    alive[name] = status
                    continue
                self._judge(directory, submission, status)
            for claim in self._folder.claims_of(name):
                self._folder.put_back(claim, self._bulk.cut_offs)
            self._folder.retire(name)
        return alive

    def _judge(self, directory: Path, submission: Submission, status: JobStatus) -> None:
        """After several allocations in a row that failed before they took a job, give up."""
        count = self._folder.root / "fruitless"
        if (directory / CLAIMS).exists() or status.exit_code == 0:
            count.unlink(missing_ok=True)
            return
        end = end_of(directory, submission)
        if end is not None and end.cause in BLAMELESS:
            return
        with count.open("a+") as file:
            file.write("x")
            file.seek(0)
            times = len(file.read())
        if times >= MOST_FRUITLESS:
            count.unlink()
            past = self._folder.root / "past" / directory.name
            self._give_up(
                f"{times} allocations in a row ended before they took a job, the last one because "
                f"{status.reason or 'of something unknown'}; see {past / noted.LOG} and scheduler.log "
                "beside its folder"
            )

    def _give_up(self, reason: str) -> None:
        for path in self._folder.waiting().values():
            if job := read(path):
                note_end(job, "refused", reason)
                path.unlink(missing_ok=True)

    def _top_up(self, allocations: Mapping[str, JobStatus]) -> None:
        """Ask for the allocations that are missing, all at once."""
        waiting = self._folder.waiting()
        if not waiting or self._queue.backs_off:
            return
        since = [time.time() - added_at(path) for path in waiting.values()]
        gather = self._bulk.gather_seconds
        if 0 <= min(since) < gather and max(since) < LONGEST_GATHER * gather:
            return
        most = self._bulk.allocations - len(allocations)
        number = min(self._missing(waiting, allocations), most)
        if number > 0:
            try:
                self._submit(number)
            except NoAnswerError as error:
                self._queue.note_silence(error)
            except DispatchError as error:
                self._give_up(str(error))

    def _missing(self, waiting: Mapping[str, Path], allocations: Mapping[str, JobStatus]) -> int:
        """Allocations, of those not asked for yet, that it takes to run all that waits at once."""
        memory_mb = self._asking.request(self._folder.root, Submission(token="")).memory_per_node_mb
        whole = (self._bulk.cores, math.inf if memory_mb is None else memory_mb)
        free: list[tuple[float, float]] = []
        for name in allocations:
            if not (self._directory(name) / CLOSED).exists():
                jobs = [job for claim in self._folder.claims_of(name) if (job := read(claim))]
                free.append(
                    (
                        whole[0] - sum(job.cores for job in jobs),
                        whole[1] - sum(job.memory_mb or 0 for job in jobs),
                    )
                )
        there = len(free)
        for path in waiting.values():
            if (job := read(path)) is None:
                continue
            cores, memory = job.cores, job.memory_mb or 0
            fits = (i for i, (c, m) in enumerate(free) if c >= cores and m >= memory)
            place = next(fits, None)
            if place is None:
                free.append(whole)
                place = len(free) - 1
            free[place] = (free[place][0] - cores, free[place][1] - memory)
        return len(free) - there

    def _submit(self, number: int) -> None:
        """Hand `number` allocations over as one array; each has a directory before it begins."""
        token = noted.new_token()
        submission = Submission(token=token)
        request = self._asking.request(self._folder.root, submission)
        names = [f"{token}.{index}" for index in range(1, number + 1)]
        for name in names:
            self._directory(name).mkdir(parents=True)
            submission.note(self._directory(name))
        script = self._asking.scheduler.script(
            replace(request, array=number), self._body(token, request)
        )
        file = f"{token}.sh"
        write_atomically(self._folder.root / file, script)
        native_id = self._asking.scheduler.submit(self._folder.root, file)
        self._note_ids(names, submission, native_id)

    def _note_ids(self, names: list[str], submission: Submission, native_id: str) -> None:
        for name in names:
            index = int(name.rpartition(".")[2])
            element = self._asking.scheduler.element(native_id, index)
            update = {"native_id": element, "submitted_at": time.time()}
            submission.model_copy(update=update).note(self._directory(name))

    def _identified(self, name: str, submission: Submission) -> Submission | None:
        """An allocation with its id, searched by name; None where it never reached the scheduler."""
        if submission.native_id is not None or self._queue.backs_off:
            return submission
        try:
            found = self._asking.scheduler.find(submission.token)
        except NoAnswerError as error:
            self._queue.note_silence(error)
            return submission
        if not found:
            return None
        self._note_ids([name], submission, found[0])
        self._queue.forget()
        return Submission.of(self._directory(name))

    def _body(self, token: str, request: Request) -> str:
        """The script of each allocation of the array: the runner, in the directory of its number."""
        allocations = shlex.quote(str(self._folder.allocations / token))
        command: list[str] = [request.resources.python, "-m", "discover.dispatch.bulk"]
        command += ["--cores", str(self._bulk.cores)]
        if request.memory_per_node_mb is not None:
            command += ["--memory-mb", str(request.memory_per_node_mb)]
        command += ["--seconds", str(request.wall_seconds - self._bulk.save_seconds)]
        command += ["--idle-seconds", str(self._bulk.idle_seconds)]
        command += ["--cut-offs", str(self._bulk.cut_offs)]
        return body(f"{allocations}.{INDEX}", token, request.resources, 1, command)

    def _known(self) -> dict[str, Submission]:
        found = {}
        for path in sorted(self._folder.allocations.glob("*.*")):
            if submission := Submission.of(path):
                found[path.name] = submission
        return found

    def _directory(self, name: str) -> Path:
        return self._folder.allocations / name

"""Jobs on a machine whose scheduler is Slurm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from discover.dispatch.base import JobState
from discover.dispatch.cluster import ClusterDispatcher
from discover.dispatch.scheduler import SCHEDULER_LOG, Request, Scheduler, Seen

if TYPE_CHECKING:
    from qtoolkit.io.slurm import SlurmIO

# `man squeue`, JOB STATE CODES: whether a job in this state is queued, runs or has ended, and why.
_QUEUED = frozenset({"PD", "CF", "RD", "RF", "RH", "RQ", "SE"})
_RUNNING = frozenset({"R", "CG", "RS", "SI", "SO", "ST", "S"})
_ENDED = {
    "CD": "",
    "F": "",
    "TO": "time",
    "DL": "time",
    "OOM": "memory",
    "NF": "node",
    "BF": "node",
    "RV": "node",
    "PR": "preempted",
    "CA": "cancelled",
}


class SlurmScheduler(Scheduler):
    """Slurm, by `sbatch`, `squeue` and `scancel`; its accounting is not needed."""

    name = "slurm"
    programs = ("sbatch", "squeue", "scancel")
    outage = re.compile(
        r"unable to contact|connect(ion)? (failure|refused|timed out|reset)|timed out|broken pipe"
        r"|temporarily unable|standby mode|zero bytes were transmitted|communication (connection|error)"
        r"|munge|authentication credential|protocol authentication|resource temporarily unavailable"
        r"|transport endpoint|try again|unexpected message",
        re.IGNORECASE,
    )
    gone = re.compile(r"invalid job id|already completing or completed", re.IGNORECASE)
    # Not "requested node configuration is not available": that is said of nodes that are down, too.
    never = re.compile(r"invalid [^\n]*(?:specifi|account)[^\n]*", re.IGNORECASE)
    _io: SlurmIO

    def _make_io(self) -> SlurmIO:
        from qtoolkit.io.slurm import SlurmIO

        return SlurmIO()

    def script(self, request: Request, body: str) -> str:
        """The whole job script; what the scheduler itself has to say goes to `scheduler.log`."""
        from qtoolkit.core.data_objects import QResources

        asked = request.resources
        # Not by qtoolkit, which makes no array of one job: its id would be another.
        array = [f"#SBATCH --array=1-{request.array}"] if request.array else []
        lines = ["#SBATCH --open-mode=append", *array, *asked.directives]
        more: dict[str, str | int] = {"qverbatim": "\n".join(lines)}
        if request.memory_per_node_mb is not None:
            more["mem"] = f"{request.memory_per_node_mb}M"
        if asked.gpus_per_node:
            more["gpus_per_node"] = asked.gpus_per_node
        options = QResources.evenly_distributed(
            asked.nodes,
            asked.tasks_per_node,
            threads_per_process=request.cores_per_task,
            time_limit=request.wall_seconds,
            job_name=request.token,
            queue_name=asked.queue,
            account=asked.account,
            qos=asked.qos,
            output_filepath=SCHEDULER_LOG,
            scheduler_kwargs=more,
        )
        return self._io.get_submission_script(body, options)

    def refusal(self, directory: Path, script: str) -> str | None:
        """What `sbatch --test-only` says of names that do not exist and of values that are none."""
        (directory / "trial.sh").write_text(script, encoding="utf-8")
        answer = self._run("sbatch --test-only trial.sh", directory)
        said = self.never.search(answer.err) if answer.code != 0 else None
        return said.group() if said else None

    def find(self, token: str) -> list[str]:
        """Ids of the jobs, or the array, of this name; squeue remembers ended ones for minutes."""
        answer = self._asked(f"squeue --noheader --states=all --name={token} --format=%F")
        return list(dict.fromkeys(answer.split()))

    def element(self, array_id: str, index: int) -> str:
        """As squeue shows it: `ARRAY_INDEX`."""
        return f"{array_id}_{index}"

    def look(self, native_ids: Sequence[str]) -> dict[str, Seen]:
        """One `squeue` for all of them, those of arrays one by one."""
        if not native_ids:
            return {}
        command = self._io.get_jobs_list_cmd(list(native_ids), None)
        answer = self._asked(f"{command} --states=all --array")
        return dict(self._seen(line) for line in answer.splitlines() if line)

    def _seen(self, line: str) -> tuple[str, Seen]:
        """One line of squeue; a state that is not known is told as unknown, for this job alone."""
        from qtoolkit.core.exceptions import OutputParsingError

        fields = [field.strip() for field in line.split(self._io.split_separator)]
        native_id, word = fields[0], fields[1] if len(fields) > 1 else ""
        try:
            (job,) = self._io.parse_jobs_list_output(0, line, "")
            seconds, name = job.runtime, job.name or ""
        except (OutputParsingError, ValueError):
            seconds, name = None, ""
        if word in _ENDED:
            return native_id, Seen(JobState.ENDED, _ENDED[word], word, seconds, name)
        state = (
            JobState.QUEUED
            if word in _QUEUED
            else JobState.RUNNING
            if word in _RUNNING
            else JobState.UNKNOWN
        )
        why = fields[2] if state is JobState.QUEUED and len(fields) > 2 else ""
        said = f"{word}: {why}" if why not in {"", "None"} else word
        return native_id, Seen(state, "", said, seconds, name)


class SlurmDispatcher(ClusterDispatcher):
    """Runs each job as one Slurm job, with the resources that the machine profile gives its kind."""

    scheduler = SlurmScheduler

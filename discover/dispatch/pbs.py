"""Jobs on a machine whose scheduler is PBS Pro or OpenPBS."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from discover.dispatch.base import JobState
from discover.dispatch.cluster import ClusterDispatcher
from discover.dispatch.scheduler import SCHEDULER_LOG, Request, Scheduler, Seen

if TYPE_CHECKING:
    from qtoolkit.io.pbs import PBSIO

_STATES = {
    **dict.fromkeys("HMQTW", JobState.QUEUED),
    **dict.fromkeys("BERSU", JobState.RUNNING),
    **dict.fromkeys("FX", JobState.ENDED),
}
# Exit_status of jobs that PBS itself ended (OpenPBS, src/include/job.h): below zero, limits by name.
_KILLED_FOR = {-29: "time", -28: "time", -27: "memory", -26: "memory"}
_EXIT_STATUS = re.compile(r"^\s*Exit_status = (-?\d+)\s*$", re.MULTILINE)
_JOB = re.compile(r"^(?=\s*Job Id: )", re.MULTILINE)


class PBSScheduler(Scheduler):
    """PBS Pro, by `qsub`, `qstat`, `qselect` and `qdel`; its job history helps, but is not needed."""

    name = "pbs"
    programs = ("qsub", "qstat", "qselect", "qdel")
    outage = re.compile(
        r"cannot connect|connection refused|no route to host|timed? ?out|communication failure"
        r"|server is busy|try again|temporarily|could not connect|end of file|errno",
        re.IGNORECASE,
    )
    gone = re.compile(r"unknown job id|job has finished|invalid for state of job", re.IGNORECASE)
    _io: PBSIO

    def _make_io(self) -> PBSIO:
        from qtoolkit.io.pbs import PBSIO

        io = PBSIO()
        io.job_id_regex = r"^\d+(\[\d*\])?(\.[\w.-]+)?$"  # qtoolkit has the brackets at the end
        return io

    def script(self, request: Request, body: str) -> str:
        """The whole job script; nodes are asked for as equal chunks."""
        from qtoolkit.core.data_objects import QResources

        asked = request.resources
        array = request.array if (request.array or 0) > 1 else None  # PBS knows no array of one
        cores = asked.tasks_per_node * request.cores_per_task
        chunk = [
            f"select={asked.nodes}",
            f"ncpus={cores}",
            f"mpiprocs={asked.tasks_per_node}",
            f"ompthreads={request.cores_per_task}",
        ]
        if asked.gpus_per_node:
            chunk.append(f"ngpus={asked.gpus_per_node}")
        if request.memory_per_node_mb is not None:
            chunk.append(f"mem={request.memory_per_node_mb}mb")
        options = QResources.evenly_distributed(
            asked.nodes,
            asked.tasks_per_node,
            threads_per_process=request.cores_per_task,
            time_limit=request.wall_seconds,
            job_name=request.token,
            queue_name=asked.queue,
            account=asked.account,
            output_filepath=f"{SCHEDULER_LOG}.^array_index^" if array else SCHEDULER_LOG,
            njobs=array,
            scheduler_kwargs={
                "select": ":".join(chunk),
                "qverbatim": "\n".join(["#PBS -j oe", *asked.directives]),
            },
        )
        return self._io.get_submission_script(body, options)

    def find(self, token: str) -> list[str]:
        """Ids of the jobs of this name, of those in the history too."""
        return self._asked(f"qselect -x -N {token}").split()

    def element(self, array_id: str, index: int) -> str:
        """As qstat shows it: `NUMBER[INDEX].SERVER`; one job that is no array stands for itself."""
        return array_id.replace("[]", f"[{index}]")

    def look(self, native_ids: Sequence[str]) -> dict[str, Seen]:
        """One `qstat` for all of them, history included."""
        if not native_ids:
            return {}
        command = self._io.get_jobs_list_cmd(list(native_ids), None)
        answer = self._asked(command.replace("qstat ", "qstat -x ", 1))
        return dict(self._seen(job) for job in _JOB.split(answer) if job.strip())

    def _seen(self, text: str) -> tuple[str, Seen]:
        """One job of `qstat -f`; what cannot be read of it is told as unknown, for this job alone."""
        from qtoolkit.core.exceptions import OutputParsingError

        native_id = text.split("Job Id:", 1)[1].split(maxsplit=1)[0]
        try:
            (job,) = self._io.parse_jobs_list_output(0, text, "")
        except (OutputParsingError, ValueError, KeyError, TypeError) as error:
            return native_id, Seen(JobState.UNKNOWN, said=f"qstat: {error}")
        word = job.sub_state.value if job.sub_state else ""
        status = _EXIT_STATUS.search(text)
        code = int(status.group(1)) if status else 0
        cause = _KILLED_FOR.get(code, "node" if code < 0 else "")
        state = _STATES.get(word, JobState.UNKNOWN)
        return native_id, Seen(state, cause, word, job.runtime, job.name or "")


class PBSDispatcher(ClusterDispatcher):
    """Runs each job as one PBS job, with the resources that the machine profile gives its kind."""

    scheduler = PBSScheduler

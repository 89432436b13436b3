"""The job table, and what lies in a job's directory: nothing outside of it is ever served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from discover.dispatch.local_job import LOG
from discover.errors import NotServedError
from discover.folder import CampaignFolder
from discover.page.candidate_answers import JobFile, JobRow, Jobs, Label
from discover.page.catalogue import OpenCampaign
from discover.records import Calculation, CalculationState, Observation
from discover.report.findings import Findings

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TEXT_SUFFIXES = frozenset(
    {
        ".json",
        ".jsonl",
        ".log",
        ".txt",
        ".extxyz",
        ".xyz",
        ".yaml",
        ".out",
        ".in",
        ".pwi",
        ".pwo",
        "",
    }
)
LOG_END_BYTES = 128 * 1024
DISCARDED = "discarded"
"""A reason for quarantine that begins so is a person's decision."""


def jobs(campaign: OpenCampaign, offset: int, limit: int, state: CalculationState | None) -> Jobs:
    """A part of the job table, the latest pick first."""
    findings = campaign.findings
    chosen = [c for c in reversed(findings.calculations) if state is None or c.state is state]
    counts = findings.status.calculations
    return Jobs(
        total=len(chosen),
        offset=offset,
        counts=counts,
        rows=tuple(job_rows(campaign, chosen[offset : offset + limit])),
    )


def job_rows(campaign: OpenCampaign, calculations: Iterable[Calculation]) -> list[JobRow]:
    """Lines of the job table."""
    findings = campaign.findings
    values = _values(findings)
    return [_row(campaign, calculation, values.get(calculation.id)) for calculation in calculations]


def job_files(folder: CampaignFolder, calculation_id: str) -> list[JobFile]:
    """The files of a job, by name; none where its directory is not in this folder."""
    directory = _directory(folder, calculation_id)
    if directory is None:
        return []
    return [
        JobFile(name=path.name, bytes=path.stat().st_size, text=is_text(path.name))
        for path in sorted(directory.iterdir())
        if SAFE_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink()
    ]


def job_file(folder: CampaignFolder, calculation_id: str, name: str) -> Path:
    """A file of a job; NotServedError for anything that is not a plain file in its directory."""
    directory = _directory(folder, calculation_id)
    if directory is not None and SAFE_NAME.fullmatch(name):
        path = directory / name
        if path.is_file() and not path.is_symlink() and path.resolve().parent == directory:
            return path
    raise NotServedError(f"job {calculation_id} has no file {name!r}")


def log_end(folder: CampaignFolder, calculation_id: str, lines: int) -> str | None:
    """The last lines of a job's log; None where it has none."""
    try:
        path = job_file(folder, calculation_id, LOG)
    except NotServedError:
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_END_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def is_text(name: str) -> bool:
    """Whether a file of this name is shown as text; others are downloaded."""
    return Path(name).suffix in TEXT_SUFFIXES


def label(campaign: OpenCampaign, observation: Observation) -> Label:
    """An observation for people."""
    reason = observation.quarantined
    return Label(
        id=observation.id,
        candidate=observation.candidate,
        formula=campaign.store.candidate(observation.candidate).formula,
        calculation=observation.calculation,
        property=observation.property,
        value=observation.value,
        bound=observation.bound,
        unit="" if observation.unit == "1" else observation.unit,
        fidelity=observation.fidelity,
        quarantined=reason,
        discarded=reason is not None and reason.startswith(DISCARDED),
    )


def quarantine_list(campaign: OpenCampaign) -> list[Label]:
    """Every label in quarantine: those to be decided on first."""
    held = [
        label(campaign, observation)
        for observation in campaign.store.observations(quarantined=True)
        if observation.quarantined is not None
    ]
    return sorted(held, key=lambda one: one.discarded)


def _directory(folder: CampaignFolder, calculation_id: str) -> Path | None:
    """The job's directory, resolved; None where it is not there or not below `jobs/`."""
    if not SAFE_NAME.fullmatch(calculation_id):
        return None
    jobs_directory = (folder.root / "jobs").resolve()
    directory = folder.job(calculation_id).resolve()
    return directory if directory.parent == jobs_directory and directory.is_dir() else None


def _values(findings: Findings) -> dict[str, Observation]:
    """Observation of the campaign's property by calculation."""
    name = findings.spec.objective.property
    return {
        o.calculation: o
        for o in findings.store.observations(name, quarantined=True)
        if o.calculation
    }


def _row(campaign: OpenCampaign, calculation: Calculation, observed: Observation | None) -> JobRow:
    candidate = campaign.store.candidate(calculation.candidate)
    directory = _directory(campaign.folder, calculation.id)
    return JobRow(
        id=calculation.id,
        candidate=calculation.candidate,
        formula=candidate.formula,
        title=candidate.title,
        order=calculation.order,
        fidelity=calculation.fidelity,
        state=calculation.state,
        attempts=calculation.attempts,
        reason=calculation.reason,
        picked_by=calculation.picked_by,
        started_at=calculation.started_at,
        finished_at=calculation.finished_at,
        seconds=calculation.seconds,
        cores=calculation.cores,
        value=observed and observed.value,
        bound=observed and observed.bound,
        quarantined=observed and observed.quarantined,
        has_log=directory is not None and (directory / LOG).is_file(),
    )

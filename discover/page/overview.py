"""The list of campaigns, and how one of them stands."""

from __future__ import annotations

from discover.errors import DiscoverError
from discover.page.answers import Best, CampaignAnswer, CampaignSummary, Version
from discover.page.catalogue import Catalogue, OpenCampaign, problem_of
from discover.page.orders import Launcher, is_stopping
from discover.records import content_hash
from discover.report.page import sought_in_words

OVER = ("done", "failed", "cancelled")


def summaries(catalogue: Catalogue) -> list[CampaignSummary]:
    """Every campaign in a line: running ones first, then by name; one that cannot be read with why."""
    found = [_summary(catalogue, name) for name in catalogue.folders()]
    return sorted(found, key=lambda one: (one.state != "running", one.name.lower()))


def list_version(catalogue: Catalogue) -> str:
    """Changes whenever the list has something new to show."""
    versions: dict[str, str] = {}
    for name in catalogue.folders():
        try:
            versions[name] = catalogue.open(name).version
        except DiscoverError as error:
            versions[name] = problem_of(error)
    return content_hash(versions)


def version(campaign: OpenCampaign, launcher: Launcher) -> Version:
    """Changes whenever the campaign, or a process that was started for it, has something new to show."""
    launch = launcher.launch(campaign)
    state = launch.state if launch else "none"
    return Version(version=f"{campaign.version}-{state}")


def campaign_answer(campaign: OpenCampaign, launcher: Launcher) -> CampaignAnswer:
    """How one campaign stands."""
    findings, spec = campaign.findings, campaign.spec
    status, target = findings.status, spec.target
    both = spec.objective.goal == "extremes" and len(findings.rows) > 1
    return CampaignAnswer(
        name=campaign.name,
        folder=str(campaign.folder.root),
        version=version(campaign, launcher).version,
        state=status.state,
        reason=status.reason,
        stopping=is_stopping(campaign),
        property=spec.objective.property,
        label=target.label,
        unit="" if target.unit == "1" else target.unit,
        scale=target.transform,
        sought=sought_in_words(spec),
        calculations=status.calculations,
        candidates=status.candidates,
        budget=status.budget,
        budget_hours=spec.budget.hours,
        budget_core_hours=spec.budget.core_hours,
        best=status.best,
        worst_end=findings.rows[1] if both else None,
        slots=status.slots,
        slots_busy=status.slots_busy,
        passes=status.passes,
        hours=findings.hours,
        core_hours=status.core_hours,
        job_seconds=findings.job_seconds,
        seconds_per_calculation=status.seconds_per_calculation,
        expected_seconds_left=status.expected_seconds_left,
        quarantined=len(findings.quarantined),
        unstable=status.unstable,
        rungs=status.rungs,
        tradeoff=status.tradeoff,
        launch=launcher.launch(campaign),
    )


def _summary(catalogue: Catalogue, name: str) -> CampaignSummary:
    folder = catalogue.folder(name)
    try:
        campaign = catalogue.open(name)
        status, target = campaign.findings.status, campaign.spec.target
    except DiscoverError as error:
        return CampaignSummary(name=name, folder=str(folder.root), problem=problem_of(error))
    best = status.best
    return CampaignSummary(
        name=name,
        folder=str(folder.root),
        title=campaign.spec.name,
        state=status.state,
        property=campaign.spec.objective.property,
        label=target.label,
        sought=sought_in_words(campaign.spec),
        best=best
        and Best(
            candidate=best.candidate,
            formula=best.formula,
            value=best.value,
            unit="" if best.unit == "1" else best.unit,
            relation=best.relation,
        ),
        finished=sum(status.calculations[state] for state in OVER),
        failed=status.calculations["failed"],
        unknown=status.calculations["unknown"],
        budget=status.budget,
        candidates=sum(status.candidates.values()),
        core_hours=status.core_hours,
        expected_seconds_left=status.expected_seconds_left,
    )

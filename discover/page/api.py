"""The JSON API behind the page."""

# No postponed annotations here: FastAPI reads them from functions that are made inside another.
import time
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.security import HTTPBearer

from discover.errors import DiscoverError
from discover.page import (
    answers,
    candidate_answers,
    candidates,
    curves,
    jobs,
    orders,
    overview,
    viewer,
)
from discover.page.access import COOKIE, Access
from discover.page.catalogue import Catalogue, OpenCampaign
from discover.page.orders import Launcher
from discover.page.space import space_map
from discover.page.tradeoffs import tradeoff_answer
from discover.records import CalculationState, CandidateState

LOG_TAIL_BYTES = 256 * 1024
"""So much of a log's end is shown unless all of it is asked for."""

Name = Annotated[str, Path(description="The campaign's name in the list.", max_length=80)]
CandidateId = Annotated[str, Path(description="Id of a candidate.", max_length=200)]
JobId = Annotated[str, Path(description="Id of a calculation.", max_length=200)]
Offset = Annotated[int, Query(ge=0, le=2**31, description="So many are left out before.")]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": answers.Problem, "description": words}
    for code, words in {
        400: "The request cannot be read.",
        401: "The token is missing.",
        403: "The request does not come from a page of ours.",
        404: "There is nothing of this name.",
        409: "It cannot be done as things are.",
        422: "The request does not fit the schema.",
        503: "The store does not answer.",
    }.items()
}


def make_api(catalogue: Catalogue, launcher: Launcher, access: Access) -> APIRouter:  # noqa: PLR0915
    """The routes below `/api`."""
    api = APIRouter(
        prefix="/api",
        responses=PROBLEMS,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="The page's token."))],
    )

    def opened(name: Name) -> OpenCampaign:
        return catalogue.open(name)

    Opened = Annotated[OpenCampaign, Depends(opened)]  # noqa: N806 - a type

    @api.get("/session", tags=["session"])
    def session(request: Request) -> answers.Session:
        """What a page needs to press its own buttons."""
        signed_in = access.is_session(request.cookies.get(COOKIE), time.time())
        return answers.Session(csrf=access.csrf, signed_in=signed_in or access.token is None)

    @api.get("/campaigns", tags=["campaigns"])
    def campaign_list() -> list[answers.CampaignSummary]:
        """Every campaign with its state and its best value."""
        return overview.summaries(catalogue)

    @api.get("/campaigns/{name}", tags=["campaigns"])
    def campaign(one: Opened) -> answers.CampaignAnswer:
        """How a campaign stands, what it cost and how long it will take."""
        return overview.campaign_answer(one, launcher)

    @api.get("/version", tags=["campaigns"])
    def list_version() -> answers.Version:
        """A short text that changes whenever the list of campaigns has something new to show."""
        return answers.Version(version=overview.list_version(catalogue))

    @api.get("/campaigns/{name}/version", tags=["campaigns"])
    def version(one: Opened) -> answers.Version:
        """A short text that changes whenever there is something new to show; cheap to ask for."""
        return overview.version(one, launcher)

    @api.get("/campaigns/{name}/search", tags=["results"])
    def search(one: Opened) -> answers.SearchCurve:
        """The search curve, beside what a random order would have given."""
        return curves.search_curve(one.findings)

    @api.get("/campaigns/{name}/ranking", tags=["results"])
    def ranking(one: Opened, offset: Offset = 0, limit: Limit = 100) -> answers.Ranking:
        """What was computed, best first, with what was expected before and what the model says now."""
        rows = one.findings.rows
        part = curves.ranked(one.findings, rows[offset : offset + limit])
        return answers.Ranking(total=len(rows), offset=offset, rows=tuple(part))

    @api.get("/campaigns/{name}/tradeoff", tags=["results"])
    def traded(one: Opened) -> answers.TradeoffAnswer:
        """Several objectives and constraints: outcomes with the front first, and the hypervolume."""
        return one.kept("tradeoff", lambda: tradeoff_answer(one.findings))

    @api.get("/campaigns/{name}/predictions", tags=["results"])
    def predicted(one: Opened) -> answers.Predictions:
        """Predicted against computed, and calibration inside and outside of the training domain."""
        return curves.predictions(one.findings)

    @api.get("/campaigns/{name}/models", tags=["models"])
    def models(one: Opened) -> list[answers.ModelRow]:
        """The retrainings of the surrogate, oldest first (of very many, an even choice)."""
        return curves.model_rows(curves.thinned(one.findings.cards))

    @api.get("/campaigns/{name}/map", tags=["candidates"])
    def candidate_map(one: Opened) -> answers.SpaceMap:
        """The candidates' descriptors on their two principal axes."""
        return one.kept("map", lambda: space_map(one.findings))

    @api.get("/campaigns/{name}/candidates", tags=["candidates"])
    def candidate_list(
        one: Opened, offset: Offset = 0, limit: Limit = 100, state: CandidateState | None = None
    ) -> candidate_answers.Candidates:
        """Candidates in the order they were proposed."""
        return candidates.candidate_list(one, offset, limit, state)

    @api.get("/campaigns/{name}/candidates/{candidate}", tags=["candidates"])
    def candidate(one: Opened, candidate: CandidateId) -> candidate_answers.CandidateAnswer:
        """One candidate with its way from generator to observation."""
        return candidates.candidate_answer(one, candidate)

    @api.get("/campaigns/{name}/candidates/{candidate}/shape", tags=["candidates"])
    def shape(
        one: Opened, candidate: CandidateId, repeat: Annotated[int, Query(ge=1, le=4)] = 1
    ) -> candidate_answers.Shape:
        """Atoms, bonds and cell for a three-dimensional viewer."""
        return viewer.shape(one.store.candidate(candidate), (repeat, repeat, repeat))

    @api.get(
        "/campaigns/{name}/candidates/{candidate}/structure.{kind}",
        tags=["candidates"],
        response_class=PlainTextResponse,
    )
    def structure(one: Opened, candidate: CandidateId, kind: viewer.Format) -> Response:
        """The structure as a CIF or extended XYZ file."""
        text = viewer.structure_text(one.store.candidate(candidate), kind)
        return PlainTextResponse(
            text, headers={"content-disposition": f'attachment; filename="structure.{kind}"'}
        )

    @api.get("/campaigns/{name}/jobs", tags=["jobs"])
    def job_table(
        one: Opened, offset: Offset = 0, limit: Limit = 100, state: CalculationState | None = None
    ) -> candidate_answers.Jobs:
        """The job table, the latest pick first, with reasons of failures."""
        return jobs.jobs(one, offset, limit, state)

    @api.get("/campaigns/{name}/jobs/{job}", tags=["jobs"])
    def job(one: Opened, job: JobId) -> candidate_answers.JobAnswer:
        """One job and the files in its directory."""
        (row,) = jobs.job_rows(one, [one.store.calculation(job)])
        return candidate_answers.JobAnswer(job=row, files=tuple(jobs.job_files(one.folder, job)))

    @api.get(
        "/campaigns/{name}/jobs/{job}/files/{file}", tags=["jobs"], response_class=PlainTextResponse
    )
    def job_file(one: Opened, job: JobId, file: str, *, whole: bool = False) -> Response:
        """A file of a job: the end of a text, or all of it (`whole`)."""
        path = jobs.job_file(one.folder, one.store.calculation(job).id, file)
        return _file(path, whole=whole)

    @api.get("/campaigns/{name}/quarantine", tags=["labels"])
    def quarantine(one: Opened) -> list[candidate_answers.Label]:
        """Labels in quarantine, with their reasons: those to be decided on first."""
        return jobs.quarantine_list(one)

    @api.post("/campaigns/{name}/labels/{label}", tags=["labels"])
    def decide(
        one: Opened, label: Annotated[str, Path(max_length=300)], order: answers.LabelOrder
    ) -> answers.Done:
        """Release a label from quarantine, discard it for good, or put it into quarantine."""
        return answers.Done(told=orders.decide(one, label, order))

    @api.post("/campaigns/{name}/stop", tags=["orders"])
    def stop(
        one: Opened, order: Annotated[answers.StopOrder, Body(default_factory=answers.StopOrder)]
    ) -> answers.Done:
        """Ask the process that steers the campaign to stop."""
        return answers.Done(told=orders.stop(one, now=order.now))

    @api.post("/campaigns/{name}/resume", tags=["orders"], status_code=202)
    def resume(
        one: Opened,
        order: Annotated[answers.ResumeOrder, Body(default_factory=answers.ResumeOrder)],
    ) -> answers.Done:
        """Start the campaign, or resume it where it was, as a process of its own."""
        process = launcher.resume(one, retry_failed=order.retry_failed)
        return answers.Done(told=f"process {process} was started")

    @api.post("/campaigns/{name}/budget", tags=["orders"])
    def budget(one: Opened, order: answers.BudgetOrder) -> answers.Done:
        """Raise the budget in the campaign file; nothing else in it changes."""
        return answers.Done(told=orders.raise_limits(one, order))

    return api


def status_of(error: DiscoverError) -> int:
    """The HTTP status that tells of an error."""
    from discover.errors import (
        LeaseHeldError,
        NotServedError,
        StateConflictError,
        StoreError,
        UnknownRecordError,
    )

    statuses: tuple[tuple[type[DiscoverError], int], ...] = (
        (NotServedError, 404),
        (UnknownRecordError, 404),
        (LeaseHeldError, 409),
        (StateConflictError, 409),
        (StoreError, 503),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 409)


def _file(path: FilePath, *, whole: bool) -> Response:
    size = path.stat().st_size
    with path.open("rb") as file:
        if not whole and jobs.is_text(path.name) and size > LOG_TAIL_BYTES:
            file.seek(size - LOG_TAIL_BYTES)
        content = file.read()
    if jobs.is_text(path.name):
        return PlainTextResponse(content.decode("utf-8", errors="replace"))
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{path.name}"'},
    )

"""The pages for people, made on the server; scripts draw the figures and keep them up to date."""

# No postponed annotations here: FastAPI reads them from functions that are made inside another.
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from discover.page import candidates, curves, jobs, overview, phonons
from discover.page.access import Access
from discover.page.api import CandidateId, JobId, Name
from discover.page.catalogue import Catalogue, OpenCampaign
from discover.page.orders import Launcher
from discover.page.templating import Templates
from discover.records import CalculationState, CandidateState
from discover.report.beliefs import beliefs_figure
from discover.report.canvas import inline_svg
from discover.report.findings import Findings

PAGE_ROWS = 100
TOP = 10
TOP_OUTCOMES = 20
LATEST_JOBS = 8
LOG_LINES = 400
TABS = (
    ("", "Overview"),
    ("ranking", "Ranking"),
    ("models", "Models"),
    ("candidates", "Candidates"),
    ("jobs", "Jobs"),
    ("labels", "Quarantine"),
    ("settings", "Settings"),
)
_CREDENTIALS = re.compile(r"(://)\S*@")

PageNumber = Annotated[int, Query(ge=1, le=10**7)]


class Pages:
    """Makes every page; problems too, as a page or as JSON, by who asks."""

    def __init__(
        self,
        catalogue: Catalogue,
        launcher: Launcher,
        access: Access,
        prefect_url: str | None = None,
    ) -> None:
        self._catalogue, self._launcher, self._access = catalogue, launcher, access
        dashboard = prefect_url.removesuffix("/api") if prefect_url else None
        self._templates = Templates(
            {"csrf": access.csrf, "has_token": access.token is not None, "dashboard": dashboard}
        )

    def problem(self, request: Request, status: int, detail: str) -> Response:
        """Why a request was not served."""
        if request.url.path.startswith("/api/") or request.method != "GET":
            return JSONResponse({"detail": detail}, status)
        return self._page("problem.html", {"status": status, "detail": detail}, status)

    def login(self, _: Request, wanted: str, *, wrong: bool) -> Response:
        """The form that takes the token."""
        return self._page("login.html", {"next": wanted, "wrong": wrong}, 401 if wrong else 200)

    def router(self) -> APIRouter:
        """The routes of all pages."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

        def opened(name: Name) -> OpenCampaign:
            return self._catalogue.open(name)

        Opened = Annotated[OpenCampaign, Depends(opened)]  # noqa: N806 - a type

        @router.get("/")
        def index() -> Response:
            return self._page(
                "index.html",
                {
                    "campaigns": overview.summaries(self._catalogue),
                    "version": overview.list_version(self._catalogue),
                },
            )

        @router.get("/docs")
        def docs(request: Request) -> Response:
            return self._page("docs.html", {"schema": request.app.openapi()})

        @router.get("/campaigns/{name}")
        def campaign(one: Opened) -> Response:
            findings = one.findings
            return self._tab(
                "overview.html",
                one,
                "",
                rows=curves.ranked(findings, findings.rows[:TOP]),
                drawn=self._templates.drawn(one, findings.rows[:TOP]),
                outcomes=findings.outcomes[:TOP_OUTCOMES],
                n_outcomes=len(findings.outcomes),
                latest=jobs.jobs(one, 0, LATEST_JOBS, None),
            )

        @router.get("/campaigns/{name}/ranking")
        def ranking(one: Opened, page: PageNumber = 1) -> Response:
            findings = one.findings
            part = findings.rows[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
            return self._tab(
                "ranking.html",
                one,
                "ranking",
                rows=curves.ranked(findings, part),
                drawn=self._templates.drawn(one, part),
                unstable=findings.unstable,
                preliminary=findings.preliminary[:PAGE_ROWS],
                pages=_pages(page, len(findings.rows)),
            )

        @router.get("/campaigns/{name}/models")
        def models(one: Opened) -> Response:
            cards = one.findings.cards
            return self._tab(
                "models.html",
                one,
                "models",
                predictions=curves.predictions(one.findings),
                beliefs=_beliefs(one.findings),
                cards=curves.model_rows(cards[: -PAGE_ROWS - 1 : -1]),
                n_cards=len(cards),
            )

        @router.get("/campaigns/{name}/candidates")
        def candidate_table(
            one: Opened, state: CandidateState | None = None, page: PageNumber = 1
        ) -> Response:
            part = candidates.candidate_list(one, (page - 1) * PAGE_ROWS, PAGE_ROWS, state)
            return self._tab(
                "candidates.html",
                one,
                "candidates",
                part=part,
                chosen=state,
                pages=_pages(page, part.total),
            )

        @router.get("/campaigns/{name}/candidates/{candidate}")
        def candidate(one: Opened, candidate: CandidateId) -> Response:
            found = one.store.candidate(candidate)
            return self._tab(
                "candidate.html",
                one,
                "candidates",
                found=candidates.candidate_answer(one, candidate),
                drawing=self._templates.drawing(found),
                elements=self._templates.elements(found),
            )

        @router.get("/campaigns/{name}/jobs")
        def job_table(
            one: Opened, state: CalculationState | None = None, page: PageNumber = 1
        ) -> Response:
            part = jobs.jobs(one, (page - 1) * PAGE_ROWS, PAGE_ROWS, state)
            return self._tab(
                "jobs.html", one, "jobs", part=part, chosen=state, pages=_pages(page, part.total)
            )

        @router.get("/campaigns/{name}/jobs/{job}")
        def job(one: Opened, job: JobId) -> Response:
            calculation = one.store.calculation(job)
            (row,) = jobs.job_rows(one, [calculation])
            return self._tab(
                "job.html",
                one,
                "jobs",
                job=row,
                files=jobs.job_files(one.folder, job),
                log=jobs.log_end(one.folder, job, LOG_LINES),
            )

        @router.get("/campaigns/{name}/jobs/{job}/phonons")
        def phonon_figures(one: Opened, job: JobId) -> Response:
            card = phonons.phonon_card_of(one, one.store.calculation(job))
            return self._page("phonons.html", {"card": card})

        @router.get("/campaigns/{name}/labels")
        def labels(one: Opened) -> Response:
            return self._tab("labels.html", one, "labels", labels=jobs.quarantine_list(one))

        @router.get("/campaigns/{name}/settings")
        def settings(one: Opened) -> Response:
            text = one.folder.spec_file.read_text(encoding="utf-8", errors="replace")
            return self._tab(
                "settings.html",
                one,
                "settings",
                file=_CREDENTIALS.sub(r"\1***@", text),
                passes=one.store.passes()[: -PAGE_ROWS - 1 : -1],
            )

        return router

    def _tab(self, template: str, one: OpenCampaign, tab: str, **content: Any) -> Response:
        """A page of a campaign, with its head and its tabs."""
        common = {
            "campaign": overview.campaign_answer(one, self._launcher),
            "spec": one.spec,
            "target": one.spec.target,
            "tab": tab,
            "tabs": TABS,
        }
        return self._page(template, common | content)

    def _page(self, template: str, content: Mapping[str, Any], status: int = 200) -> Response:
        return HTMLResponse(self._templates.render(template, content), status)


def _beliefs(findings: Findings) -> str | None:
    """The figure of whom the last model believes, as SVG."""
    if not findings.beliefs:
        return None
    return inline_svg(beliefs_figure(findings.beliefs, findings.spec.modelled), "beliefs")


def _pages(page: int, total: int) -> dict[str, int]:
    """Which page of how many a table shows."""
    return {"page": page, "last": max(1, -(-total // PAGE_ROWS)), "total": total}

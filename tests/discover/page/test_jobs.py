"""The job table, and that nothing outside of a job's directory is served."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from discover.errors import NotServedError
from discover.page.app import make_app
from discover.page.catalogue import OpenCampaign
from discover.page.jobs import job_file, job_files, jobs, log_end, quarantine_list
from discover.records import CalculationState

JOB = "0000000000000003"


def test_the_latest_pick_comes_first(campaign: OpenCampaign) -> None:
    part = jobs(campaign, 0, 3, None)
    assert (part.total, [row.order for row in part.rows]) == (25, [24, 23, 22])
    assert part.rows[0].reason == "<out of> memory"
    assert part.counts["failed"] == 1
    assert jobs(campaign, 24, 10, None).rows[0].order == 0
    (failed,) = jobs(campaign, 0, 10, CalculationState.FAILED).rows
    assert (failed.id, failed.has_log, failed.value) == ("failed-job", True, None)


def test_the_files_of_a_job(campaign: OpenCampaign) -> None:
    assert [file.name for file in job_files(campaign.folder, JOB)] == ["input.json", "job.log"]
    assert job_file(campaign.folder, JOB, "job.log").read_text().startswith("begin")
    assert log_end(campaign.folder, JOB, 1) == "<b>the end</b>"
    assert log_end(campaign.folder, "0000000000000005", 9) is None
    assert job_files(campaign.folder, "0000000000000005") == []


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (JOB, "../secret.txt"),
        (JOB, "../../campaign.yaml"),
        (JOB, ".."),
        (JOB, "."),
        (JOB, ""),
        (JOB, "/etc/passwd"),
        (JOB, "link.txt"),
        (JOB, "absent.log"),
        (JOB, "job.log\0"),
        (JOB, "a" * 5000),
        ("..", "campaign.yaml"),
        (".", "secret.txt"),
        ("", "secret.txt"),
        ("../jobs", "secret.txt"),
        (f"{JOB}/../{JOB}", "job.log"),
    ],
)
def test_nothing_else_is_served(job: str, name: str, campaign: OpenCampaign) -> None:
    with pytest.raises(NotServedError):
        job_file(campaign.folder, job, name)


def test_a_job_directory_that_leads_elsewhere_is_none(
    campaign: OpenCampaign, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "job.log").write_text("not for you")
    campaign.folder.job("0000000000000005").symlink_to(tmp_path / "outside")
    with pytest.raises(NotServedError):
        job_file(campaign.folder, "0000000000000005", "job.log")


@pytest.mark.parametrize("name", ["..%2Fsecret.txt", "%2e%2e%2fsecret.txt", "link.txt"])
def test_addresses_that_try(name: str, client: TestClient) -> None:
    answer = client.get(f"/api/campaigns/made-up/jobs/{JOB}/files/{name}")
    assert answer.status_code == 404
    assert "outside of every job" not in answer.text


def test_logs_are_text_and_never_html(client: TestClient) -> None:
    answer = client.get(f"/api/campaigns/made-up/jobs/{JOB}/files/job.log")
    assert answer.text == "begin\n<b>the end</b>\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert "&lt;b&gt;the end" in client.get(f"/campaigns/made-up/jobs/{JOB}").text


def test_only_the_end_of_a_long_log(folder: Path) -> None:
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    log = folder / "jobs" / JOB / "job.log"
    log.write_text("a" * 10**6 + "end")
    address = f"/api/campaigns/made-up/jobs/{JOB}/files/job.log"
    assert len(client.get(address).text) == 256 * 1024
    assert len(client.get(address, params={"whole": True}).text) == 10**6 + 3


def test_the_quarantine_list(campaign: OpenCampaign) -> None:
    (held,) = quarantine_list(campaign)
    assert held.quarantined == "an outlier against every model"
    assert not held.discarded

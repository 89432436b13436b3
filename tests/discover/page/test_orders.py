"""What the buttons do to a campaign."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from discover.errors import CampaignError, LeaseHeldError, UnknownRecordError
from discover.lease import SteeringLease
from discover.page.answers import BudgetOrder, LabelOrder
from discover.page.catalogue import OpenCampaign
from discover.page.jobs import quarantine_list
from discover.page.orders import Launcher, decide, is_stopping, raise_limits, stop
from discover.processes import Process
from discover.stopping import StopRequest, request_of

LABEL = "0000000000000004-thermal_conductivity"


def test_a_label_is_discarded_released_and_put_back(campaign: OpenCampaign) -> None:
    decide(campaign, LABEL, LabelOrder(decision="discard"))
    (held,) = quarantine_list(campaign)
    assert held.discarded
    assert held.quarantined == "discarded: an outlier against every model"
    decide(campaign, LABEL, LabelOrder(decision="discard", reason=" it is wrong "))
    assert quarantine_list(campaign)[0].quarantined == "discarded: it is wrong"
    decide(campaign, LABEL, LabelOrder(decision="release"))
    assert quarantine_list(campaign) == []
    assert len(campaign.findings.rows) == 24
    decide(campaign, LABEL, LabelOrder(decision="quarantine", reason="odd"))
    assert quarantine_list(campaign)[0].quarantined == "put into quarantine by hand: odd"
    with pytest.raises(UnknownRecordError):
        decide(campaign, "no-label", LabelOrder(decision="discard"))


def test_who_does_not_run_cannot_be_stopped(campaign: OpenCampaign) -> None:
    with pytest.raises(CampaignError, match="is not running"):
        stop(campaign, now=False)
    assert not is_stopping(campaign)


def test_the_steering_process_is_asked_to_stop(campaign: OpenCampaign) -> None:
    store = campaign.folder.open_existing_store(campaign.spec)
    with SteeringLease(store):
        stop(campaign, now=True)
        lease = store.lease()
        assert lease is not None
        steering = Process(lease.pid, lease.process_ticks)
        assert request_of(store, steering) is StopRequest.NOW
        assert is_stopping(campaign)
        with pytest.raises(LeaseHeldError):
            Launcher(remote=False).resume(campaign, retry_failed=False)
        told = raise_limits(campaign, BudgetOrder(calculations=100))
        assert "goes by the old one" in told
    store.close()


def test_plugins_from_files_are_not_started_from_remote(folder: Path) -> None:
    from discover.page.catalogue import Catalogue

    text = (folder / "campaign.yaml").read_text()
    (folder / "campaign.yaml").write_text(text.replace("name: informed-ucb", "name: mine.py:score"))
    campaign = Catalogue([folder]).open("made-up")
    with pytest.raises(CampaignError, match=r"acquisition.name: .* from remote"):
        Launcher(remote=True).resume(campaign, retry_failed=False)
    assert not (folder / "run.log").exists()


def test_a_start_that_fails_is_told_with_the_end_of_its_log(folder: Path) -> None:
    from discover.page.catalogue import Catalogue

    text = (folder / "campaign.yaml").read_text()
    (folder / "campaign.yaml").write_text(text.replace("seed: 0", "seed: 0\nnonsense: 1"))
    launcher = Launcher(remote=False)
    (folder / "campaign.yaml").write_text(text.replace("name: informed-ucb", "name: no-such-thing"))
    campaign = Catalogue([folder]).open("made-up")
    assert launcher.launch(campaign) is None
    launcher.resume(campaign, retry_failed=True)
    deadline = time.monotonic() + 60
    while (told := launcher.launch(campaign)) and told.state == "starting":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert told is not None
    assert told.state == "failed"
    assert "no-such-thing" in (told.told or "")

"""The benchmark of the page, on a campaign of a size for tests."""

from __future__ import annotations

import pytest

from discover.benchmark.page import FIRST_VIEW, run, show


@pytest.mark.slow
def test_every_request_of_the_first_view_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(candidates=60, results=12, descriptors=5)
    assert set(result["first"]) == set(result["again"]) == {what or "page" for what in FIRST_VIEW}
    assert result["first_view_seconds"] == pytest.approx(sum(result["first"].values()))
    assert all(seconds > 0 for seconds in result["first"].values())
    show(result)
    assert "60 candidates, 12 results" in capsys.readouterr().out

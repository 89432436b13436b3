from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from discover.errors import StoreError
from discover.lease import SteeringLease
from discover.report.page import markdown_report, write_report
from discover.results import ranking

Make = Callable[..., Any]
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """The page's text, attributes and rows; AssertionError where a tag is not closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.rows = Counter[str]()
        self._open: list[str] = []
        self._table = ""
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "table":
            self._table = dict(attrs).get("id") or "other"
        if tag == "tr":
            self.rows[self._table] += 1
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data


def source_of(reported: Any) -> str:
    return (reported.folder.report / "index.html").read_text(encoding="utf-8")


def written(campaign: Any) -> str:
    return write_report(campaign.folder, campaign.spec, campaign.store).read_text(encoding="utf-8")


def test_page_says_everything_that_was_found(reported: Any) -> None:
    page = Page(source_of(reported))
    for row in ranking(reported.store, reported.spec):
        for told in (row.formula, f"{row.value:.3g}", row.prototype, row.calculation[:8]):
            assert told in page.text
    assert page.rows["ranking"] == 15
    for told in (
        "heat-spreaders",
        "Searching for the highest lattice thermal conductivity",
        "P63mc",
        "469 (220 – 1000)",  # what was expected of BN
        "8 of 9 computed values lie inside",
        "MgS",
        "no minimum between -3 % and +3 % in length <after two widenings>",
        "formation energy 0.13 eV/atom is above the limit 0.0",
        "# the best heat spreaders",  # campaign.yaml, comments and all
        "min_distance_ratio: 0.6",  # a default
        "libxc7.0.0",
        "10 min 12 s",
        "collect, train, propose, wait",
    ):
        assert told in page.text


def test_page_needs_nothing_else(reported: Any) -> None:
    source = source_of(reported)
    page = Page(source)
    outside = [a for a in page.attributes if "//" in a[2] and a[1] not in {"xmlns", "xmlns:xlink"}]
    assert outside == []
    assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", source)
    assert {tag for tag, _, _ in page.attributes} & {"link", "img", "iframe", "object"} == set()
    relative = {value for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert all(
        (reported.folder.report / target).exists() for target in relative if "jobs" not in target
    )


def test_ids_are_unique_and_references_find_them(reported: Any) -> None:
    source = source_of(reported)
    ids = Counter(value for _, name, value in Page(source).attributes if name == "id")
    assert [name for name, n in ids.items() if n > 1] == []
    assert set(re.findall(r"url\(#([^)]+)\)", source)) <= set(ids)


def test_figures_lie_beside_the_page_and_nothing_else(reported: Any) -> None:
    assert {path.name for path in reported.folder.report.iterdir()} == {
        "index.html",
        "search.png",
        "parity.png",
        "calibration.png",
        "models.png",
    }


def test_text_from_elsewhere_is_escaped(campaign_of: Make) -> None:
    campaign = campaign_of()
    campaign.add_failure(16, "KBr", "<script>alert('x')</script> & more")
    source = written(campaign)
    assert "<script>alert" not in source
    assert "<script>alert('x')</script> & more" in Page(source).text


def test_both_ends_head_the_page_of_a_search_for_extremes(campaign_of: Make) -> None:
    campaign = campaign_of("extremes")
    campaign.fill()
    text = " ".join(Page(written(campaign)).text.split())
    assert "Highest 310 W/m/K BN" in text
    assert "Lowest 0.9 W/m/K CsCl" in text


@pytest.mark.parametrize(
    ("results", "sentences", "charts"),
    [
        (
            0,
            ("There are no results yet", "There is no model yet", "no results to rank",
             "first 5 picks are made without one", "Nothing failed"),
            set(),
        ),
        (1, ("There is one result", "There is no model yet"), set()),
        (6, ("Calibration is shown from 5 predictions on; there is 1.",), {"search", "parity"}),
    ],
)  # fmt: skip
def test_a_young_campaign_has_sentences_where_there_is_nothing_to_draw(
    campaign_of: Make, results: int, sentences: tuple[str, ...], charts: set[str]
) -> None:
    campaign = campaign_of()
    for order in range(results):
        campaign.add_result(order)
    page = Page(written(campaign))
    for sentence in sentences:
        assert sentence in page.text
    ids = {value for tag, name, value in page.attributes if tag == "svg" and name == "id"}
    assert ids == charts
    assert page.rows["ranking"] == (results + 1 if results else 0)


def test_one_model_is_told_in_a_sentence(campaign_of: Make) -> None:
    campaign = campaign_of()
    campaign.add_card(5)
    assert "One model so far, gp trained on 5 observations" in Page(written(campaign)).text


def test_state_is_that_of_the_lease(campaign_of: Make) -> None:
    campaign = campaign_of()
    campaign.add_result(0)
    assert 'class="state interrupted"' in written(campaign)
    with SteeringLease(campaign.store):
        assert 'class="state running"' in written(campaign)
    campaign.store.set_value("stopped", "budget: 16 calculations")
    source = written(campaign)
    assert 'class="state finished"' in source
    assert "Ended: budget: 16 calculations" in source


def test_a_damaged_job_result_is_told_and_does_not_stop_the_page(campaign_of: Make) -> None:
    campaign = campaign_of()
    job = campaign.add_result(0)
    campaign.write_result(job)
    (campaign.folder.job(job.id) / "result.json").write_text("{", encoding="utf-8")
    assert "not readable" in Page(written(campaign)).text


def test_a_folder_without_its_campaign_file_is_reported_from_the_spec(campaign_of: Make) -> None:
    campaign = campaign_of()
    campaign.folder.spec_file.unlink()
    assert "min_distance_ratio: 0.6" in Page(written(campaign)).text


@pytest.mark.parametrize("password", ["secret", "sec@ret", "sec/ret", "sec%40ret"])
def test_a_page_that_is_shared_tells_no_password(campaign_of: Make, password: str) -> None:
    campaign = campaign_of()
    address = f"mongodb+srv://alice:{password}@host.example/materials"
    with campaign.folder.spec_file.open("a", encoding="utf-8") as file:
        file.write(
            f'\nstore: "{address}"  # see https://wiki.example/store, or ask me@example.org\n'
        )
    spec = campaign.spec.model_copy(update={"store": address})
    page = write_report(campaign.folder, spec, campaign.store).read_text(encoding="utf-8")
    assert "alice" not in page
    assert "ret@" not in page
    assert Page(page).text.count("mongodb+srv://***@host.example/materials") == 2
    assert "https://wiki.example/store, or ask me@example.org" in Page(page).text


def test_a_closed_store_is_an_error(campaign_of: Make) -> None:
    campaign = campaign_of()
    campaign.store.close()
    with pytest.raises(StoreError):
        written(campaign)


def test_markdown_has_headline_progress_ranking_and_picture(reported: Any) -> None:
    text = markdown_report(reported.folder, reported.spec, reported.store, now=1.8e9)
    assert text.startswith("# heat-spreaders: highest lattice thermal conductivity\n")
    assert "**Best: BN, 310 W/m/K** (F-43m zincblende)" in text
    assert "16 of 20 calculations · 2 failed" in text
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == 10
    assert (
        rows[0]
        == "| 1 | BN | F-43m zincblende | 310 W/m/K | 469 (220 – 1000) | logei | `11bn0000` |"
    )
    assert "<svg" not in text
    assert "$" not in text
    picture = re.search(r"!\[[^]]*\]\(data:image/png;base64,([^)]+)\)", text)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")


def test_markdown_of_a_new_campaign(campaign_of: Make) -> None:
    campaign = campaign_of("extremes")
    text = markdown_report(campaign.folder, campaign.spec, campaign.store, now=1.8e9)
    assert "No results yet." in text
    assert "0 of 20 calculations" in text
    assert "| # |" not in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_sorts_the_ranking(reported: Any, tmp_path: Path) -> None:
    source = source_of(reported)
    click = "document.querySelectorAll('#ranking th button')[3].click();"
    page = tmp_path / "clicked.html"
    page.write_text(source.replace("</body>", f"<script>{click}</script></body>"), encoding="utf-8")
    dom = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    table = dom[dom.index('id="ranking"') : dom.index("</table>", dom.index('id="ranking"'))]
    assert re.findall(r'aria-sort="(\w+)"><button>(\w+)', table) == [("ascending", "Computed")]
    ranks = [int(n) for n in re.findall(r'<tr>\s*<td class="n" data-v="(\d+)"', table)]
    assert ranks == list(range(14, 0, -1))
    assert "BN" in unescape(table)


def test_whom_auto_believes_is_drawn_on_page_and_dashboard(campaign_of: Make) -> None:
    """Here of made-up numbers; those of a real model are drawn in `test_beliefs`."""
    campaign = campaign_of()
    campaign.add_card(20)
    assert 'id="beliefs"' not in written(campaign)
    splits = ("group", "property-top", "property-bottom", "cluster")
    judged = {
        "crps": {"gp": dict.fromkeys(splits, 0.2), "ilr": dict.fromkeys(splits, 0.1)},
        "weights": {key: {"gp": 0.25, "ilr": 0.75} for key in ("inside", "edge", "novel")},
        "decided_on": 20,
    }
    (last,) = campaign.store.model_cards()[-1:]
    campaign.store.add_model_card(
        last.model_copy(
            update={"id": "auto-24", "surrogate": "auto", "created_at": 1.9e9}
            | {"n_observations": 24, "details": {"judged": judged}}
        )
    )
    source = written(campaign)
    assert 'id="beliefs"' in source
    assert "of the first 20 observations" in source
    text = markdown_report(campaign.folder, campaign.spec, campaign.store, now=1.8e9)
    assert "**Whom `auto` believes**" in text

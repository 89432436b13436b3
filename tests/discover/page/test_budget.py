"""Raising the budget leaves the rest of the campaign file as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discover.campaign import load_campaign
from discover.errors import CampaignError
from discover.page.answers import BudgetOrder
from discover.page.budget import raise_budget

FILES = {
    "block": (
        "name: a  # mine\nbudget:\n  # never too many\n  calculations: 10   # at most\n"
        "  hours: 2.5\nseed: 7\n"
    ),
    "flow": "name: a\nbudget: {calculations: 10, hours: 2.5}  # both\nseed: 7\n",
    "quoted": 'name: a\n"budget":\n    "calculations": 10\n    hours: 2.5\n',
    "no calculations": "name: a\nbudget:\n  hours: 2.5\n",
    "no calculations, flow": "name: a\nbudget: { hours: 2.5 }\n",
    "empty": "name: a\nbudget: {}\n",
    "absent": "name: a\nseed: 7",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "campaign.yaml"


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_calculations_are_raised_wherever_they_stand(text: str, path: Path) -> None:
    path.write_text(text)
    before = load_campaign(path)
    after = raise_budget(path, BudgetOrder(calculations=123))
    assert load_campaign(path) == after
    assert after.budget.calculations == 123
    assert after.model_dump(exclude={"budget"}) == before.model_dump(exclude={"budget"})
    assert after.budget.hours == before.budget.hours


def test_comments_and_layout_stay(path: Path) -> None:
    path.write_text(FILES["block"])
    raise_budget(path, BudgetOrder(calculations=11, hours=4.25))
    changed = (
        FILES["block"].replace("calculations: 10 ", "calculations: 11 ").replace("2.5", "4.25")
    )
    assert path.read_text() == changed


def test_large_numbers_are_numbers(path: Path) -> None:
    path.write_text(FILES["flow"])
    raise_budget(path, BudgetOrder(calculations=10_000_000, hours=1e6))
    assert "{calculations: 10000000, hours: 1000000.0}" in path.read_text()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    before=st.integers(1, 1000),
    more=st.integers(1, 10_000_000),
    flow=st.booleans(),
    lines=st.lists(
        st.sampled_from(["# a comment", "", "seed: 3", "# b: {c"]), max_size=4, unique=True
    ),
)
def test_any_larger_number(
    before: int, more: int, flow: bool, lines: list[str], path: Path
) -> None:
    limits = f"{{calculations: {before}}}" if flow else f"\n    calculations: {before}"
    path.write_text("\n".join([*lines, f"budget: {limits}", "name: a"]))
    wanted = before + more
    if wanted <= 10_000_000:
        assert raise_budget(path, BudgetOrder(calculations=wanted)).budget.calculations == wanted
        assert all(line in path.read_text() for line in lines)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (BudgetOrder(), "say what to raise"),
        (BudgetOrder(calculations=10), "does not raise it"),
        (BudgetOrder(calculations=9), "does not raise it"),
        (BudgetOrder(core_hours=5.0), "has no limit"),
        (BudgetOrder(calculations=20, hours=1.0), "budget.hours is 2.5 already"),
    ],
)
def test_what_raises_nothing_is_refused(order: BudgetOrder, message: str, path: Path) -> None:
    path.write_text(FILES["block"])
    with pytest.raises(CampaignError, match=message):
        raise_budget(path, order)
    assert path.read_text() == FILES["block"]


def test_a_file_in_which_more_would_change_is_left_alone(path: Path) -> None:
    text = "budget: {calculations: &n 10}\nseed: *n\nname: a\n"
    path.write_text(text)
    with pytest.raises(CampaignError, match="by hand"):
        raise_budget(path, BudgetOrder(calculations=20))
    assert path.read_text() == text

"""Raising the budget in a campaign file, whose comments and layout stay as they are."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from discover.campaign import CampaignSpec, load_campaign
from discover.errors import CampaignError
from discover.files import write_atomically
from discover.page.answers import BudgetOrder

KEY = "budget"


def raise_budget(path: Path, order: BudgetOrder) -> CampaignSpec:
    """Write larger limits into the campaign file; the campaign as it is then.

    CampaignError where a limit is not larger than before, there is none to raise (what is unlimited
    stays so), or the file cannot be changed without changing anything else.
    """
    before = load_campaign(path)
    wanted = order.model_dump(exclude_none=True)
    if not wanted:
        raise CampaignError("say what to raise: calculations, hours or core_hours")
    for key, value in wanted.items():
        present = getattr(before.budget, key)
        if present is None:
            raise CampaignError(f"budget.{key} has no limit, so there is nothing to raise")
        if value <= present:
            raise CampaignError(f"budget.{key} is {present:g} already: {value:g} does not raise it")
    expected = before.model_copy(update={KEY: before.budget.model_copy(update=wanted)})
    text = path.read_text(encoding="utf-8")
    for key, value in wanted.items():
        text = _with(text, key, repr(value))
    if not _says(text, expected):
        raise CampaignError(
            f"{path}: the section {KEY} is written in a way that cannot be changed from here "
            "(an anchor or a merge key?): change it by hand"
        )
    write_atomically(path, text)
    return expected


def _says(text: str, expected: CampaignSpec) -> bool:
    try:
        return CampaignSpec.model_validate(yaml.safe_load(text)) == expected
    except (yaml.YAMLError, ValidationError):
        return False


def _with(text: str, key: str, value: str) -> str:
    """The YAML text with `budget: {key: value}` in it, everything else untouched."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    section = _value_of(document, KEY)
    if section is None:  # the file leaves the whole section out
        return f"{text.rstrip()}\n{KEY}: {{{key}: {value}}}\n"
    present = _value_of(section, key)
    if present is not None:
        return text[: present.start_mark.index] + value + text[present.end_mark.index :]
    if not isinstance(section, yaml.MappingNode) or not section.value:
        return (
            text[: section.start_mark.index]
            + f"{{{key}: {value}}}"
            + text[section.end_mark.index :]
        )
    first = section.value[0][0].start_mark
    separator = ", " if section.flow_style else "\n" + " " * first.column
    return text[: first.index] + f"{key}: {value}{separator}" + text[first.index :]


def _value_of(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)

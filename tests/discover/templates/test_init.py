"""Campaign files to start from."""

from __future__ import annotations

import re

import pytest
import yaml

from discover.campaign import CampaignSpec
from discover.errors import CampaignError
from discover.templates import template_names, template_text


def test_the_first_template_is_there() -> None:
    assert "thermal-conductivity" in template_names()


@pytest.mark.parametrize("name", template_names())
def test_templates_are_commented_and_use_real_engines(name: str) -> None:
    text = template_text(name)
    spec = CampaignSpec.model_validate(yaml.safe_load(text))
    assert spec.name == name
    # a potential only where there is no other way: a trajectory is out of reach for DFT
    first_principles = {"gpaw", "pyscf"} & {rung.engine for rung in spec.rungs}
    assert first_principles or spec.calculation.kind == "transport"
    assert "emt" not in {rung.engine for rung in spec.rungs} | {spec.potential}
    keys = set(yaml.safe_load(text))
    commented = set(re.findall(r"^#[^\n]*\n(?:[a-z_]+:[^\n]*\n|  [^\n]*\n)*", text, re.MULTILINE))
    assert keys & {"objective", "objectives"}
    assert keys >= {"generator", "acquisition", "calculation", "budget", "seed"}
    assert len(commented) >= 8


def test_an_unknown_template_is_told_with_the_known_ones() -> None:
    with pytest.raises(CampaignError, match="did you mean 'thermal-conductivity'"):
        template_text("thermal-conductivty")

"""The campaign file: defaults, errors, round trips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from discover.campaign import CampaignSpec, file_plugins, load_campaign, parse_schema, read_spec
from discover.errors import CampaignError
from discover.templates import template_names, template_text


def problems_of(content: dict[str, Any]) -> str:
    _, problems = parse_schema(content, "campaign.yaml")
    return "\n".join(problems.values())


@pytest.mark.parametrize("name", template_names())
def test_templates_are_valid(name: str, tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(template_text(name))
    assert load_campaign(path).format == 1


def test_every_error_at_once_each_with_its_key() -> None:
    found = problems_of(
        {
            "nmae": "x",
            "objective": {"property": "thermal_conductvity", "goal": "biggest"},
            "budget": {"calculations": 0, "hour": 3},
            "dispatch": {"jobs": "many"},
            "seed": -1,
        }
    )
    assert "campaign.yaml: nmae: unknown key; did you mean 'name'?" in found
    assert "objective.property: unknown property" in found
    assert "did you mean 'thermal_conductivity'" in found
    assert "objective.goal: " in found
    assert "'max', 'min' or 'extremes'" in found
    assert "budget.calculations: " in found
    assert "budget.hour: unknown key; did you mean 'hours'" in found
    assert "dispatch.jobs: " in found
    assert "(got 'many')" in found
    assert "seed: " in found
    assert len(found.splitlines()) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "is not valid YAML"),
        ("seed: 1\nname: x\nseed: 2\n", "the key 'seed' stands twice"),
        ("- 1\n- 2\n", "must hold keys and values"),
        ("", "must hold keys and values"),
        ("a: !!python/object/apply:os.system [true]", "is not valid YAML"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(CampaignError, match=message):
        read_spec(path)


def test_merge_keys_of_yaml_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text("pool: &p {size: 5, batch: 2}\nbudget:\n  <<: {calculations: 3}\n  hours: 1\n")
    assert load_campaign(path).budget.calculations == 3


def test_missing_file_and_binary_file(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no such file"):
        read_spec(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CampaignError):
        read_spec(tmp_path / "binary.yaml")


@settings(max_examples=10)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_under_any_key_is_an_error_not_a_crash(value: Any) -> None:
    for key in CampaignSpec.model_fields:
        spec, problems = parse_schema({key: value}, "file")
        assert problems or spec == CampaignSpec.model_validate({key: value})


@given(
    goal=st.sampled_from(["max", "min", "extremes"]),
    jobs=st.integers(1, 100),
    hours=st.none() | st.floats(0.1, 1e4),
    seed=st.integers(0, 2**31),
)
def test_survives_yaml_and_json(goal: str, jobs: int, hours: float | None, seed: int) -> None:
    spec = CampaignSpec.model_validate(
        {
            "objective": {"goal": goal},
            "dispatch": {"jobs": jobs},
            "budget": {"hours": hours},
            "seed": seed,
        }
    )
    plain = yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))
    assert CampaignSpec.model_validate(plain) == spec
    assert CampaignSpec.model_validate_json(spec.model_dump_json()) == spec


def test_is_frozen() -> None:
    with pytest.raises(ValidationError):
        CampaignSpec().seed = 3  # type: ignore[misc]


def test_schema_describes_every_key() -> None:
    schema = CampaignSpec.model_json_schema()
    json.dumps(schema)
    assert schema["additionalProperties"] is False
    sections = [schema, *(d for d in schema["$defs"].values() if "properties" in d)]
    undescribed = [
        key
        for section in sections
        for key, field in section["properties"].items()
        if "description" not in field and "$ref" not in field
    ]
    assert undescribed == []


def test_file_plugins_are_found_wherever_they_hide() -> None:
    assert file_plugins(CampaignSpec()) == []
    spec = CampaignSpec.model_validate(
        {
            "acquisition": {"name": "mine.py:Mine"},
            "potential": "mace:/tmp/model.pt",
            "surrogate": {"name": "mixture", "options": {"members": ["gp", "x/y.py:Z"]}},
        }
    )
    assert file_plugins(spec) == ["potential", "surrogate.options.members.1", "acquisition.name"]

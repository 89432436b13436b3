"""What the README shows works: its acquisition function, and its command lines."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (discover .*)$", README, re.MULTILINE)


def block(language: str, text: str) -> str:
    """The first fenced block of a language."""
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_acquisition_function_picks(quick_campaign: Path) -> None:
    example = README[README.index("```python") :]
    (quick_campaign / "mine.py").write_text(block("python", example), encoding="utf-8")
    chosen = yaml.safe_load(block("yaml", example))
    spec = quick_campaign / "campaign.yaml"
    content = yaml.safe_load(spec.read_text()) | chosen
    content["budget"]["calculations"] = 5
    spec.write_text(yaml.safe_dump(content))

    done = subprocess.run(
        [sys.executable, "-m", "discover", "run", str(quick_campaign), "--no-dashboard", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["state"] == "finished"
    assert status["calculations"]["done"] == 5
    results = subprocess.run(
        [sys.executable, "-m", "discover", "results", str(quick_campaign), "--json"],
        capture_output=True,
        check=True,
    )
    rows = sorted(json.loads(results.stdout), key=lambda row: row["order"])
    assert chosen == {"acquisition": {"name": "mine.py:cautious"}}
    assert [row["picked_by"] for row in rows] == ["initial"] * 3 + ["mine.py:cautious"] * 2


def parse(command: Any, words: list[str], name: str) -> None:
    """Parse a command line without running it; a usage error for what the tool does not have."""
    context = command.make_context(name, list(words))
    rest = [*context._protected_args, *context.args] if hasattr(command, "commands") else []
    if rest:
        found, subcommand, words = command.resolve_command(context, rest)
        parse(subcommand, words, found)


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("line", COMMANDS)
def test_command_lines_exist(line: str) -> None:
    from discover.cli import app

    _, *words = shlex.split(line, comments=True)
    assert words
    parse(typer.main.get_command(app), words, "discover")


@pytest.mark.parametrize("line", ["discover runn x", "discover run x --no-such", "discover run"])
def test_wrong_command_lines_are_noticed(line: str) -> None:
    from discover.cli import app

    with pytest.raises(Exception, match=r"No such (command|option)|Missing (argument|parameter)"):
        parse(typer.main.get_command(app), shlex.split(line)[1:], "discover")

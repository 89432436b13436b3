"""Strategies by name."""

from __future__ import annotations

import pytest

from discover.benchmark.strategies import shown


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mixture + informed-ucb", "mixture + informed-ucb"),
        ("gp + ../my/own.py:cautious", "gp + own.py:cautious"),
        ("/a/b.py:Model", "b.py:Model"),
    ],
)
def test_folders_of_plug_ins_are_not_shown(name: str, said: str) -> None:
    assert shown(name) == said

"""Paths in an engine's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def _absolute(path: str) -> str:
    if not Path(path).expanduser().is_absolute():
        raise ValueError("must be an absolute path, for a job works in a directory of its own")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
"""A path that means the same to a job, which works in a directory of its own; `~` is allowed."""

"""Where this installation keeps what belongs to no campaign."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder for logs, notes and environments of potentials (`DISCOVER_HOME`); it may not exist."""
    return Path(os.environ.get("DISCOVER_HOME") or "~/.local/share/discover").expanduser()

"""What a program that was run from here left to read, for messages that a person can act on."""

from __future__ import annotations


def last_lines(*texts: str, lines: int = 4) -> str:
    """The last lines of each text that are not blank, joined by ` | `; `no output` without any."""
    kept = [
        line.strip()
        for text in texts
        for line in [line for line in text.splitlines() if line.strip()][-lines:]
    ]
    return " | ".join(kept) or "no output"

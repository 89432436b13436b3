"""Campaigns that were run on this machine, wherever their folders lie, so that the page can show them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from discover.files import write_atomically
from discover.folder import SPEC_FILE
from discover.home import home
from discover.records import content_hash


def note_campaign(folder: Path) -> None:
    """Remember a campaign's folder; where that cannot be written, it is not remembered."""
    place = home() / "known"
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        name = place / f"{content_hash({'folder': str(folder)})}.txt"
        if not name.exists():
            write_atomically(name, f"{folder}\n")


def known_campaigns() -> list[Path]:
    """Folders that were remembered and still hold a campaign, the longest known first."""
    found: list[tuple[float, Path]] = []
    for note in (home() / "known").glob("*.txt"):
        with suppress(OSError, UnicodeDecodeError):
            folder = Path(note.read_text(encoding="utf-8").strip())
            if folder.is_absolute() and (folder / SPEC_FILE).is_file():
                found.append((note.stat().st_mtime, folder))
    return [folder for _, folder in sorted(found)]

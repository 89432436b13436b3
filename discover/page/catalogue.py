"""Which campaigns the page shows, under which names, and their open stores."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from discover.campaign import CampaignSpec
from discover.errors import DiscoverError, NotServedError
from discover.folder import SPEC_FILE, CampaignFolder
from discover.home import home
from discover.lease import is_alive
from discover.page.known import known_campaigns
from discover.records import content_hash
from discover.report.findings import Findings
from discover.store import Store, open_store

FRESH_SECONDS = 1.0
"""For so long an answer is given again without asking the store whether something changed."""
STALE_SECONDS = 10.0
"""After so long what depends on the clock alone (busy slots, time left) is worked out anew."""

T = TypeVar("T")

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class Catalogue:
    """The campaigns in named folders, in the service's home, and all that were run on this machine.

    `folders` are campaigns, or folders of campaigns. Each has a name that is fit for addresses; names are
    looked up, never made into paths.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = [path.expanduser().resolve() for path in folders]
        self._opened: dict[str, OpenCampaign] = {}
        self._lock = threading.Lock()

    def folders(self) -> dict[str, CampaignFolder]:
        """Every campaign there is now, by name."""
        named: dict[str, CampaignFolder] = {}
        seen: set[Path] = set()
        for place in (*self._folders, home() / "campaigns", *known_campaigns()):
            for root in _campaigns_in(place):
                if root not in seen:
                    seen.add(root)
                    named[_name(root, named)] = CampaignFolder(root)
        return named

    def folder(self, name: str) -> CampaignFolder:
        """The folder of a campaign; NotServedError for an unknown name."""
        try:
            return self.folders()[name]
        except KeyError:
            raise NotServedError(f"there is no campaign called {name!r} here") from None

    def open(self, name: str) -> OpenCampaign:
        """A campaign, ready to be read; NotServedError for an unknown name.

        CampaignError where its file is not valid, StoreError where its store cannot be opened.
        """
        folder = self.folder(name)
        with self._lock:
            known = self._opened.get(name)
            if known is None or known.is_outdated(folder):
                self._opened[name] = known = OpenCampaign.at(name, folder)
            return known

    def close(self) -> None:
        """Close every store."""
        with self._lock:
            for campaign in self._opened.values():
                campaign.store.close()
            self._opened.clear()


@dataclass
class OpenCampaign:
    """A campaign and its store, opened for reading, with what was last read from it."""

    name: str
    folder: CampaignFolder
    spec: CampaignSpec
    store: Store
    stamp: tuple[int, ...]
    _revision: int = 0
    _tag: str = ""
    _tagged_at: float = 0.0
    _findings: Findings | None = None
    _findings_tag: str = ""
    _kept: dict[str, tuple[str, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def at(cls, name: str, folder: CampaignFolder) -> OpenCampaign:
        """The campaign in a folder; one that was never run has an empty store."""
        stamp = _stamp(folder)
        spec = folder.load()
        store = (
            folder.open_existing_store(spec, read_only=True)
            if folder.has_store(spec)
            else open_store(":memory:", spec.name)
        )
        return cls(name, folder, spec, store, stamp)

    def is_outdated(self, folder: CampaignFolder) -> bool:
        """Whether it is another folder, or campaign file or store were replaced since it was opened."""
        return folder != self.folder or _stamp(folder) != self.stamp

    @property
    def is_steered(self) -> bool:
        """Whether a living process holds the campaign's lease."""
        lease = self.store.lease()
        return lease is not None and is_alive(lease, time.time())

    @property
    def version(self) -> str:
        """A short text that changes whenever there is something new to show."""
        with self._lock:
            if time.monotonic() - self._tagged_at > FRESH_SECONDS:
                content = {
                    "candidates": self.store.count_candidates(),
                    "calculations": self.store.count_calculations(),
                    "passes": self.store.count_passes(),
                    "stopped": self.store.value("stopped"),
                    "stop": self.store.value("stop"),
                    "revision": self._revision,
                    "steered": self.is_steered,
                    "file": self.stamp,
                }
                self._tag = content_hash(content)
                self._tagged_at = time.monotonic()
            return self._tag

    def renew(self) -> None:
        """Forget what was read, for somebody has just changed it."""
        with self._lock:
            self._tagged_at, self._findings = 0.0, None
            self._revision += 1

    @property
    def findings(self) -> Findings:
        """What the store says, read once for every version of it."""
        with self._lock:
            version = self.version
            old = self._findings
            if old is None or version != self._findings_tag or _age(old) > STALE_SECONDS:
                self._findings = old = Findings(self.spec, self.store, time.time())
                self._findings_tag = version
            return old

    def kept(self, what: str, make: Callable[[], T]) -> T:
        """An answer that takes long, made once for each version."""
        with self._lock:
            version = self.version
            known = self._kept.get(what)
            if known is None or known[0] != version:
                self._kept[what] = known = (version, make())
            answer: T = known[1]
            return answer


def _age(findings: Findings) -> float:
    return time.time() - findings.now


def _campaigns_in(place: Path) -> list[Path]:
    """The place itself where it is a campaign, else the campaigns right beneath it."""
    if (place / SPEC_FILE).is_file():
        return [place]
    try:
        return sorted(path.parent.resolve() for path in place.glob(f"*/{SPEC_FILE}"))
    except OSError:
        return []


def _name(root: Path, taken: dict[str, CampaignFolder]) -> str:
    name = _UNSAFE.sub("-", root.name).strip("-.")[:64] or "campaign"
    return name if name not in taken else f"{name}-{content_hash({'path': str(root)}, 6)}"


def _stamp(folder: CampaignFolder) -> tuple[int, ...]:
    """What tells that campaign file or store are others than before."""
    numbers = []
    for path in (folder.spec_file, folder.store_file):
        try:
            found = path.stat()
        except OSError:
            numbers += [0, 0, 0]
            continue
        changed = found.st_mtime_ns if path == folder.spec_file else int(found.st_size > 0)
        numbers += [found.st_dev, found.st_ino, changed]
    return tuple(numbers)


def problem_of(error: DiscoverError) -> str:
    """An error in one line, for a list."""
    return " ".join(str(error).split())

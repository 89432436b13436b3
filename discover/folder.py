"""A campaign's folder: `campaign.yaml`, the store, `jobs/`, `models/` and `report/`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from discover.campaign import CampaignSpec, load_campaign
from discover.errors import CampaignError
from discover.store import Store, open_store

SPEC_FILE = "campaign.yaml"


@dataclass(frozen=True)
class CampaignFolder:
    """Where everything of one campaign lies; a folder can be copied and looked into."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> CampaignFolder:
        """The folder of a campaign, given itself or its campaign file; CampaignError for another file."""
        path = path.expanduser()
        if path.name == SPEC_FILE:
            return cls(path.parent.resolve())
        if path.is_file():
            raise CampaignError(
                f"{path}: is a file; a campaign is a folder with a {SPEC_FILE} in it: move it there"
            )
        return cls(path.resolve())

    @property
    def spec_file(self) -> Path:
        """The campaign file."""
        return self.root / SPEC_FILE

    @property
    def store_file(self) -> Path:
        """The embedded store."""
        return self.root / "store.sqlite"

    @property
    def models(self) -> Path:
        """Saved models and model cards, and the potential's reference energies."""
        return self.root / "models"

    @property
    def report(self) -> Path:
        """The campaign's page and figures."""
        return self.root / "report"

    @property
    def slots(self) -> Path:
        """Lock files of the local dispatcher's job slots."""
        return self.root / "jobs" / ".slots"

    @property
    def workers(self) -> Path:
        """Keys and logs of Dask's workers on other machines."""
        return self.root / "workers"

    def job(self, calculation_id: str) -> Path:
        """Directory of one calculation."""
        return self.root / "jobs" / calculation_id

    def load(self) -> CampaignSpec:
        """The valid campaign in this folder; CampaignError listing every error."""
        return load_campaign(self.spec_file)

    def store_location(self, spec: CampaignSpec) -> str | Path:
        """Where the store is: a server's address or the file in this folder."""
        return os.environ.get("DISCOVER_STORE") or spec.store or self.store_file

    def open_store(self, spec: CampaignSpec) -> Store:
        """The campaign's store, made where there is none."""
        return open_store(self.store_location(spec), spec.name)

    def has_store(self, spec: CampaignSpec) -> bool:
        """Whether the campaign's store was made; one on a server always is."""
        location = self.store_location(spec)
        return isinstance(location, str) or (location.exists() and location.stat().st_size > 0)

    def open_existing_store(self, spec: CampaignSpec, *, read_only: bool = False) -> Store:
        """The campaign's store; CampaignError where it was never run."""
        if not self.has_store(spec):
            raise CampaignError(
                f"{self.root}: this campaign has no store yet; start it with `discover run`"
            )
        return open_store(self.store_location(spec), spec.name, read_only=read_only)

    def check_writable(self) -> None:
        """CampaignError where jobs, models or report could not be written."""
        for directory in (self.root, self.root / "jobs", self.models, self.report):
            try:
                directory.mkdir(parents=True, exist_ok=True)
                probe = directory / f".writable-{os.getpid()}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise CampaignError(
                    f"{directory}: cannot be written: {error.strerror}; "
                    "choose another folder or change its permissions"
                ) from None

"""Every error this package raises on purpose: one root, narrow children that refine a builtin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms


class DiscoverError(Exception):
    """Root of all errors; the message says what is wrong, where, and what to do."""


class CampaignError(DiscoverError, ValueError):
    """A campaign file, or the folder around it, cannot be used as it is."""


class DataError(DiscoverError, ValueError):
    """A file of known data cannot be used as it is; the message lists columns and rows."""


class PluginError(DiscoverError, LookupError):
    """A plug-in cannot be found, loaded, or does not fit its contract."""


class MissingDependencyError(DiscoverError, ImportError):
    """An optional package or program is needed and is not installed."""


class StoreError(DiscoverError, RuntimeError):
    """The store cannot be opened or does not hold what was asked for."""


class OutageError(DiscoverError, RuntimeError):
    """Something that a campaign needs is away for a while: it is waited for, and nothing is lost."""


class DiskFullError(OutageError):
    """There is no room left for a campaign's files."""


class StoreOutageError(StoreError, OutageError):
    """The store's database does not answer, or cannot write, for now."""


class StoreVersionError(StoreError):
    """The store was written by a newer version of this package."""


class UnknownRecordError(StoreError, LookupError):
    """The store has no record of this id."""


class StateConflictError(StoreError):
    """A guarded transition found another state than the one it expected."""


class LeaseHeldError(StoreError):
    """Another living process steers this campaign."""


class StructureError(DiscoverError, ValueError):
    """A structure is malformed or physically impossible."""


class PotentialError(DiscoverError, RuntimeError):
    """An interatomic potential cannot be loaded or does not cover a structure."""


class SurrogateError(DiscoverError, ValueError):
    """A surrogate cannot be fitted on the data at hand."""


class LostFitError(DiscoverError, RuntimeError):
    """A fit ended every worker that was to make it."""


class CalculationError(DiscoverError, RuntimeError):
    """A calculation failed for a reason that a person can act on.

    `frames` are the labelled structures that were computed before it failed, kept all the same.
    """

    def __init__(self, message: str, frames: Sequence[Atoms] = ()) -> None:
        super().__init__(message)
        self.frames = tuple(frames)


class DispatchError(DiscoverError, RuntimeError):
    """A job could not be handed to, or asked of, its scheduler."""


class MachineError(DiscoverError, ValueError):
    """A machine profile cannot be found or used as it is."""


class NotServedError(DiscoverError, LookupError):
    """The campaign page has no campaign, job or file of this name."""


class ServerError(DiscoverError, RuntimeError):
    """Prefect's server, or the service beside it, does not start or does not answer."""

"""The campaign's memory: one interface, SQLite (embedded) and MongoDB adapters."""

from pathlib import Path

from discover.errors import MissingDependencyError
from discover.store.base import FORMAT_VERSION, TRANSITIONS, Store

__all__ = ["FORMAT_VERSION", "TRANSITIONS", "Store", "open_store"]


def open_store(location: str | Path, campaign: str, *, read_only: bool = False) -> Store:
    """The store of a campaign: a SQLite file at a path, or `mongodb://host/database`.

    Campaigns may share a database on a server; a file holds one. What is opened `read_only` is not
    changed: a file must exist and need not be writable, on a server nothing is laid out. StoreError
    where it cannot be opened, StoreVersionError where a newer version wrote it, MissingDependencyError
    where the server's driver is not installed.
    """
    if isinstance(location, str) and location.startswith(("mongodb://", "mongodb+srv://")):
        try:
            from discover.store.mongo import MongoStore
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"a MongoDB store needs the package {error.name!r}:"
                " pip install 'discover-materials[mongo]'"
            ) from error
        return MongoStore.connect(location, campaign, read_only=read_only)
    from discover.store.sqlite import SQLiteStore

    return SQLiteStore(Path(location), read_only=read_only)

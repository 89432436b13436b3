"""The campaign's memory: one interface, SQLite (embedded) and MongoDB adapters."""

from discover.store.base import FORMAT_VERSION, TRANSITIONS, Store

__all__ = ["FORMAT_VERSION", "TRANSITIONS", "Store"]

"""How far the engine scales: relaxations by workers, slots kept busy, memory of a large store."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from discover.benchmark import scale_memory, scale_relaxation
from discover.benchmark.scale_loop import Mix, busy_share
from discover.errors import MissingDependencyError
from discover.files import write_atomically

PARTS = ("relaxation", "loop", "memory")
GOALS = {8: 0.99, 64: 0.99, 512: 0.97}
"""Shares of the time that so many slots are to be busy."""
REAL = (("threads", 1), ("threads", 2), ("dask", 1), ("dask", 2))
"""Workers that relax for real."""


@dataclass(frozen=True)
class Settings:
    """What is measured, and how much of it; options of `discover benchmark scale`."""

    parts: tuple[str, ...] = PARTS
    potential: str = "mace:bundled"
    structures: int = 96
    slots: tuple[int, ...] = (8, 64, 512)
    mean_seconds: float = 3600.0
    sigma: float = 1.0
    queued: int = 0
    cpu_time: bool = False
    surrogate: str = "auto"
    known: int = 200
    picks: int = 32
    candidates: int = 1_000_000
    seed: int = 0


def run(
    settings: Settings, out: Path | None, told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure the parts that are asked for; with `out`, also after each part, results and figure there.

    Without the extra `cluster` what needs Dask is left out, and told.
    """
    if unknown := set(settings.parts) - set(PARTS):
        raise ValueError(
            f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}"
        )
    result: dict[str, Any] = {"settings": asdict(settings), "machine": machine()}
    for part in (name for name in PARTS if name in settings.parts):
        result[part] = {"relaxation": _relaxation, "loop": _loop, "memory": _memory}[part](
            settings, told
        )
        if out is not None:
            write(result, out)
    return result


def machine() -> dict[str, Any]:
    """Where it was measured, and how much else ran there."""
    return {
        "cores": os.cpu_count(),
        "load_1_min": os.getloadavg()[0],
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def write(result: dict[str, Any], out: Path) -> None:
    """`results.json`, `results.csv` and `figure.png` in a folder."""
    from discover.benchmark.scale_report import figure
    from discover.report.canvas import png

    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "results.json", json.dumps(result, indent=2))
    write_atomically(out / "results.csv", table(result))
    write_atomically(out / "figure.png", png(figure(result)))


def table(result: dict[str, Any]) -> str:
    """CSV: one measured number a row."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["part", "case", "quantity", "value"])
    for part in PARTS:
        for row in result.get(part, ()):
            case = " ".join(str(row[key]) for key in ("runner", "workers", "slots") if key in row)
            for quantity, value in row.items():
                if isinstance(value, int | float):
                    writer.writerow([part, case, quantity, value])
    return written.getvalue()


def _relaxation(settings: Settings, told: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    with TemporaryDirectory(prefix="discover-scale-") as folder:
        for runner, n in REAL:
            try:
                row = scale_relaxation.relaxed_a_minute(
                    settings.potential,
                    runner,
                    n,
                    structures=settings.structures,
                    folder=Path(folder),
                    seed=settings.seed,
                    told=told,
                )
            except MissingDependencyError as error:
                told(f"left out: {error}")
                continue
            rows.append(row | {"simulated": False})
        for runner in sorted({row["runner"] for row in rows}, reverse=True):
            row = scale_relaxation.simulated(runner, settings.seed, told)
            rows.append(row | {"simulated": True})
    return rows


def _loop(settings: Settings, told: Callable[[str], None]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for slots in settings.slots:
        mix = Mix(
            slots,
            settings.mean_seconds,
            settings.sigma,
            settings.queued,
            settings.cpu_time,
            settings.surrogate,
        )
        row = busy_share(
            mix, known=settings.known, picks=settings.picks, seed=settings.seed, told=told
        )
        rows.append(row | {"goal": GOALS.get(slots)})
        told(f"{slots} slots: busy {row['slots_busy']:.4f}")
    return rows


def _memory(settings: Settings, told: Callable[[str], None]) -> list[dict[str, Any]]:
    told(f"memory with {settings.candidates:,} candidates in the store")
    return [
        scale_memory.run(settings.candidates, settings.known, settings.seed, settings.surrogate)
    ]

"""Batches of candidates by a Dask cluster: the same picks, and each chunk is a task run in Prefect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def picks(command: Any, folder: Path) -> list[Any]:
    rows = json.loads(command.run("discover", "results", folder, "--json"))
    return [(row["formula"], row["value"]) for row in rows]


def test_workers_are_shown_and_change_no_pick(
    command: Any, prefect_at: Any, quick: Any, finished_run: Any
) -> None:
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    name, tasks = "with-dask", {"runner": "dask", "workers": 2, "chunk": 1}
    folder = quick(name, tasks=tasks, budget={"calculations": 6})
    command.run("discover", "run", folder)
    assert picks(command, folder) == picks(command, finished_run.folder)
    prefect = prefect_at(command.daemon("server")[1])
    (flow_run,) = prefect.flow_runs(name)
    assert flow_run["state"]["type"] == "COMPLETED"
    keys = [run["task_key"].rsplit("-", 1)[0] for run in prefect.task_runs(flow_run)]
    assert keys.count("describe") >= 6

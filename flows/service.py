"""`discover up`: the deployment that launches campaigns, served from this process.

The flow lies in a module of its own: Prefect hands it over to the process of a campaign as a reference
then, of some 30 kB with the rest. What does not fit into a pipe (64 kB) is written while the new process
reads it, and where that one is killed before, the write never ends (`flows/polling.py` sees that).
"""

from __future__ import annotations

import argparse

from flows.keeper import start_keeper_again
from flows.launch import launch
from flows.server import kept_alive, watching

DEPLOYMENT = "discover"


def serve(campaigns: int | None = None) -> None:
    """Serve the deployment until this process is ended; at most `campaigns` of them run at once.

    Whoever keeps this process is kept by it in turn.
    """
    with kept_alive(), watching(start_keeper_again, "keeper-keeper"):
        launch.serve(
            name=DEPLOYMENT,
            limit=campaigns,
            description="Launch a discovery campaign: fill in the form, watch the run.",
            pause_on_shutdown=False,
            print_starting_message=False,
        )


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m flows.service")
    parser.add_argument("--campaigns", type=int, help="so many at once; the others wait")
    serve(parser.parse_args().campaigns)


if __name__ == "__main__":
    _main()

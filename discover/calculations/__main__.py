"""`python -m discover.calculations DIR`: run the job in this directory.

Exit code 0 when the job ran to its end (its result may be a failure with a reason), 1 on a crash.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from discover.calculations.job import run_job


def main() -> None:
    """Parse the command line and run the job, its progress on standard output."""
    parser = argparse.ArgumentParser(prog="python -m discover.calculations", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="holds input.json")
    directory = parser.parse_args().directory
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("discover")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    run_job(directory)


if __name__ == "__main__":
    main()

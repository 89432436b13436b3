"""`python -m flows.daemon NOTE CONTENT COMMAND...`: note this process, then become the command.

The note is written by the process that it is about, before it is anything else, so that whoever starts a
daemon may be killed at any moment: there is no daemon without a note.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from discover.files import write_atomically
from discover.processes import Process


def main(arguments: list[str]) -> None:
    """Write the JSON object CONTENT with this process added to it, and run COMMAND in its place."""
    note, content, *command = arguments
    noted = {**json.loads(content), "process": str(Process.of(os.getpid()))}
    write_atomically(Path(note), json.dumps(noted))
    os.execvp(command[0], command)  # noqa: S606 - the id of the process stays what was noted


if __name__ == "__main__":
    main(sys.argv[1:])

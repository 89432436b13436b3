"""`discover ...`: thin commands over the library; heavy imports happen where a command needs them."""

from __future__ import annotations

import errno
import sys

import typer

from discover.cli import (
    benchmarks,
    campaigns,
    faults,
    importing,
    inspection,
    machines,
    potentials,
    service,
    store,
)
from discover.errors import DiscoverError

app = typer.Typer(
    name="discover",
    help="Discover extreme materials by active learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
"""What a full disk, a read-only file system and missing permissions say."""

campaigns.register(app)
importing.register(app)
inspection.register(app)
service.register(app)
faults.register(benchmarks.app)
app.add_typer(benchmarks.app, name="benchmark")
app.add_typer(machines.app, name="machines")
app.add_typer(potentials.app, name="potentials")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line; an expected error is one clear message and exit code 2."""
    try:
        app()
    except DiscoverError as error:
        for line in str(error).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        typer.secho(
            f"error: {error.filename or 'a file'}: cannot be written: {error.strerror}; make room or "
            "change permissions, then run it again: what was found so far is safe",
            fg="red",
            err=True,
        )
        sys.exit(2)

"""Programs that an engine runs: whether a command line can be run here."""

from __future__ import annotations

import shlex
import shutil

from discover.errors import MissingDependencyError


def check_command(command: str, program: str, advice: str) -> None:
    """MissingDependencyError, with the advice, where a command line names what is not installed.

    What must be there is its first word, such as a launcher, and `program`, if it is named after it.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise MissingDependencyError(f"engine_settings.command: {command!r}: {error}") from error
    needed = [word for word in words[1:] if word.rsplit("/", maxsplit=1)[-1] == program]
    for word in [*words[:1], *needed] or [program]:
        if shutil.which(word) is None:
            raise MissingDependencyError(
                f"engine_settings.command: there is no program {word!r} here: {advice}"
            )

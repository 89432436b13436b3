"""The script of a job on a cluster: what the scheduler's header is followed by."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from discover.dispatch.machines import Resources
from discover.dispatch.submission import EXIT, LOG, STARTED, revoked

_BODY = """\
# It notes its start and its end itself, with `token`, so that nobody need ask the scheduler.
cd {directory} || exit 1
[ -e {revoked} ] && exit 0
exec >>{log} 2>&1
rm -f {exit}
note() {{ printf '%s\\n' "$2" >".$1.$$" && mv -f ".$1.$$" "$1"; }}
started=$(date +%s.%N)
note {started} "{{\\"token\\": \\"{token}\\", \\"started_at\\": $started, \\"host\\": \\"$(hostname)\\"}}"
child= signal=null reason=null
finish() {{
  code=$?
  trap '' TERM
  note {exit} "{{\\"token\\": \\"{token}\\", \\"exit_code\\": $code, \\"signal\\": $signal, \
\\"reason\\": $reason, \\"started_at\\": $started, \\"ended_at\\": $(date +%s.%N)}}"
}}
trap finish EXIT
trap 'signal="\\"TERM\\""; [ -n "$child" ] || exit 143; kill -TERM "$child" 2>/dev/null' TERM
"""
# A line of ours that fails ends the job; not so one in a file that it reads, nor one that a signal ended.
_SET_UP = """\
refuse() {
  [ "$1" -le 128 ] && [ "${#BASH_SOURCE[@]}" -eq 2 ] || return 0
  reason="\\"'${2//[[:cntrl:]\\"\\\\]/ }' ended with exit code $1; see job.log, and modules and pre \
in the machine profile\\""
  exit "$1"
}
trap 'refuse "$?" "$BASH_COMMAND"' ERR
"""
_RUN = """\
trap - ERR
{command} &
child=$!
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break  # it was the wait that a signal ended
done
"""


def body(
    directory: str, token: str, resources: Resources, threads: int, command: Sequence[str]
) -> str:
    """Everything below the header; `command` is run in `directory` (as the shell is to read it).

    The end is noted however the shell ends, other than by SIGKILL. SIGTERM, the scheduler's warning, is
    passed on to the command.
    """
    quoted = shlex.quote
    lines = [
        _BODY.format(
            directory=directory,
            token=token,
            revoked=quoted(revoked(token)),
            log=LOG,
            exit=EXIT,
            started=STARTED,
        ),
        *_exports(resources, threads),
        _SET_UP,
        *(["module purge"] if resources.modules else []),
        *(f"module load {quoted(module)}" for module in resources.modules),
        *resources.pre,
        _RUN.format(
            command=" ".join(
                [*([resources.launcher] if resources.launcher else []), *map(quoted, command)]
            )
        ),
        *resources.post,
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"


def _exports(resources: Resources, threads: int) -> list[str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    values = dict.fromkeys(names, str(threads)) | resources.environment
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]

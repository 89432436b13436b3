"""What a job's script notes, run by a real shell."""

import shlex
import subprocess

import pytest

from discover.dispatch.machines import Resources
from discover.dispatch.scripts import body
from discover.dispatch.submission import Exit


def run(folder, **resources):
    text = body(shlex.quote(str(folder)), "token", Resources(**resources), 1, ["touch", "ran"])
    (folder / "job.sh").write_text(text)
    process = subprocess.run(["bash", "job.sh"], cwd=folder, check=False)
    end = Exit.of(folder, "token")
    assert (process.returncode, end.signal) == (end.exit_code, None)
    return end, (folder / "ran").exists()


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"modules": ["none/1.0"]}, "module purge"),
        ({"pre": ["true", 'nothing "a\\b"']}, "nothing  a b "),
        ({"pre": ["source nowhere"]}, "source nowhere"),
    ],
)
def test_a_set_up_that_fails_ends_the_job_and_is_told(tmp_path, resources, line):
    end, ran = run(tmp_path, **resources)
    assert (end.exit_code != 0, ran) == (True, False)
    assert end.reason.startswith(f"'{line}' ended with exit code {end.exit_code}")


def test_what_fails_inside_of_a_set_up_that_works_ends_nothing(tmp_path):
    (tmp_path / "read").write_text("false\nls nowhere\ntrue\n")
    loop = ["until [ -e read ]; do", "false", "done"]
    pre = ["source read", "[ -e nowhere ] && false", "f() { false; true; }", "f", *loop]
    assert run(tmp_path, pre=pre, post=["false"])[1]
    assert run(tmp_path, pre=pre)[0].exit_code == 0

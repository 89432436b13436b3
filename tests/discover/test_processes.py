"""Processes are named for good: signals never reach another process with the same id."""

import os
import signal
import subprocess

import pytest

from discover.processes import Process, process_ticks


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_alive_until_it_is_killed(sleeper):
    process = Process.of(sleeper.pid)
    assert process.is_alive
    assert Process.parse(str(process)) == process
    process.send(signal.SIGTERM)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive, "a zombie does not run"
    assert sleeper.wait() == -signal.SIGTERM
    assert process_ticks(sleeper.pid) is None
    process.send(signal.SIGTERM)


def test_another_process_with_the_same_id_is_spared(sleeper):
    ticks = process_ticks(sleeper.pid)
    for stranger in (Process(sleeper.pid, ticks - 1), Process(sleeper.pid, None)):
        assert not stranger.is_alive
        stranger.send(signal.SIGKILL)
        stranger.send_to_group(signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_group_is_ended(sleeper):
    Process.of(sleeper.pid).send_to_group(signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL


@pytest.mark.parametrize("text", ["", "12", "12:None", "finished", "a:b", "-1:5"])
def test_what_names_no_process(text):
    assert Process.parse(text) is None

"""A Slurm reached by SSH alone: a real SSH server on loopback, rsync, connections that drop."""

import asyncio
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from discover.calculations.job import HISTORY, RESULT, read_result
from discover.campaign import Dispatch
from discover.dispatch.base import JobState
from discover.dispatch.conformance import DispatcherConformance, _job
from discover.dispatch.creation import make_dispatcher
from discover.dispatch.machines import MachineProfile
from discover.dispatch.remote import RemoteDispatcher
from discover.errors import DispatchError, MachineError

QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState


class Server:
    """An SSH server in a thread, with a key of its own; `down`, `up` and `cut_answers` disturb it."""

    def __init__(self, folder: Path) -> None:
        import asyncssh

        self._ssh = asyncssh
        self.folder = folder
        self.cut_answers = (
            0  # commands that are carried out, but the connection drops before they answer
        )
        self.commands = 0
        self._connections = []
        self.port = 0
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(folder / "key")
        (folder / "key").chmod(0o600)
        key.write_public_key(folder / "key.pub")
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.up()
        public = self._host_key.export_public_key().decode()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")

    def up(self) -> None:
        """Listen, on the same port as before."""
        connections = self._connections

        class Hello(self._ssh.SSHServer):
            def connection_made(self, connection):
                connections.append(connection)

        async def listen():
            return await self._ssh.listen(
                "127.0.0.1",
                self.port,
                server_factory=Hello,
                server_host_keys=[self._host_key],
                authorized_client_keys=str(self.folder / "key.pub"),
                process_factory=self._serve,
                encoding=None,
            )

        self._acceptor = self._do(listen())
        self.port = self._acceptor.get_port()

    def down(self) -> None:
        """Stop listening and drop every connection."""

        async def stop():
            self._acceptor.close()
            for connection in self._connections:
                connection.abort()
            self._connections.clear()
            await self._acceptor.wait_closed()

        self._do(stop())

    def stop(self) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def options(self) -> tuple[str, ...]:
        return (
            f"Port={self.port}",
            f"IdentityFile={self.folder / 'key'}",
            f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
        )

    async def _serve(self, process) -> None:
        self.commands += 1
        child = await asyncio.create_subprocess_shell(
            process.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if "agent" in process.command:
            # a program that ends before it reads (it is not there, say) breaks a pipe, but no connection
            said, complaint = await child.communicate(await process.stdin.read())
            if self.cut_answers:
                self.cut_answers -= 1
                process.get_extra_info("connection").abort()
                return
            process.stdout.write(said)
            process.stderr.write(complaint)
            process.exit(child.returncode)
            await process.wait_closed()
            return
        await process.redirect(stdin=child.stdin, stdout=child.stdout, stderr=child.stderr)
        code = await child.wait()
        await process.stdout.drain()
        process.exit(code)
        await process.wait_closed()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@pytest.fixture(scope="module")
def server(slurm, tmp_path_factory):
    pytest.importorskip("asyncssh")
    for program in ("ssh", "rsync"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here: deploy/setup.sh test installs it")
    server = Server(tmp_path_factory.mktemp("ssh"))
    yield server
    server.stop()


@pytest.fixture
def profile(server, tmp_path):
    def made(**more):
        return MachineProfile.model_validate(
            {
                "scheduler": "slurm",
                "host": "127.0.0.1",
                "remote_dir": str(tmp_path / "there"),
                "remote_python": sys.executable,
                "ssh_options": server.options,
                "poll_seconds": 1,
                "answer_seconds": 20,
                "settle_seconds": 2,
            }
            | more
        )

    return made


@pytest.fixture
def dispatcher(profile, tmp_path):
    return RemoteDispatcher(tmp_path / "here" / ".slots", profile(), 1, 10)


class TestConformance(DispatcherConformance):
    """Of packed jobs as well, which the dispatcher on the login node packs."""

    @pytest.fixture
    def make_dispatcher(self, profile, tmp_path):
        bulk = {
            "resources": {"cores_per_task": 2, "wall_time_minutes": 10},
            "idle_seconds": 2,
            "gather_seconds": 0.2,
            "save_seconds": 5,
        }
        machine = profile(bulk=bulk)
        return lambda: RemoteDispatcher(tmp_path / "here" / ".slots", machine, 1, 10)


def wait_for(dispatcher, job, *states):
    deadline = time.monotonic() + 120
    while (status := dispatcher.poll([("", job)])[0]).state not in states:
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    return status


@pytest.mark.parametrize("keep", ["failed", "all"])
def test_an_answer_that_gets_lost_starts_no_second_job(server, slurm, profile, tmp_path, keep):
    """The job was handed over there, and nobody here was told: it is found, and run once."""
    machine = profile(keep_remote=keep)
    dispatcher = RemoteDispatcher(tmp_path / "here" / ".slots", machine, 1, 10)
    before = slurm.submitted()
    job = _job(tmp_path / "job", 3.6)
    server.cut_answers = 1
    assert dispatcher.submit(job) == "waits-job"
    assert dispatcher.poll([("", job)])[0].state is UNKNOWN
    status = wait_for(dispatcher, job, ENDED, LOST)
    assert (status.state, status.exit_code) == (ENDED, 0)
    assert read_result(job).status == "done"
    assert (job / HISTORY).read_text().count('"start"') == 1
    (folder,) = tmp_path.glob("there/*")
    assert [path.name for path in folder.glob("*/")] == ["job"] * (keep == "all")
    assert slurm.submitted() == before + 2
    # A failed result that was put aside, as `--retry-failed` does, is not taken for the answer.
    (job / RESULT).rename(job / "result.failed-1.json")
    dispatcher.submit(job)
    wait_for(dispatcher, job, ENDED)
    assert read_result(job).status == "done"
    assert (job / HISTORY).read_text().count('"start"') == 2


def test_a_login_node_that_is_down_makes_jobs_unknown_never_failed(server, profile, tmp_path):
    """One runs meanwhile and ends, one waits to be handed over; both are taken up afterwards."""
    hold = profile(resources={"pre": ["until [ -e go ]; do sleep 0.1; done"]})
    dispatcher = RemoteDispatcher(tmp_path / "here" / ".slots", hold, 1, 10)
    job, later = _job(tmp_path / "job", 3.6), _job(tmp_path / "later", 3.7)
    dispatcher.submit(job)
    wait_for(dispatcher, job, RUNNING)
    server.down()
    try:
        name = dispatcher.submit(later)
        states = [status.state for status in dispatcher.poll([("", job), (name, later)])]
        assert states == [UNKNOWN, UNKNOWN]
        (there,) = tmp_path.glob("there/*/job")
        (there / "go").touch()
        after = RemoteDispatcher(tmp_path / "here" / ".slots", hold, 1, 10)
        assert after.poll([("", job)])[0].state is UNKNOWN
        assert "cannot be reached" in after.poll([("", job)])[0].reason
    finally:
        server.up()
    wait_for(dispatcher, later, QUEUED, RUNNING)
    (there.with_name("later") / "go").touch()
    for directory in (job, later):
        assert wait_for(dispatcher, directory, ENDED, LOST).exit_code == 0
        assert read_result(directory).status == "done"


def test_what_is_wrong_on_the_other_side_is_said(profile, tmp_path):
    nowhere = RemoteDispatcher(
        tmp_path / "here" / ".slots", profile(resources={"queue": "nowhere"}), 1, 10
    )
    with pytest.raises(DispatchError, match=r"refused the job.*partition"):
        nowhere.submit(_job(tmp_path / "job", 3.6))
    no_python = RemoteDispatcher(
        tmp_path / "here" / ".slots", profile(remote_python="/nowhere/python"), 1, 10
    )
    with pytest.raises(DispatchError, match="is this program installed there"):
        no_python.submit(_job(tmp_path / "other", 3.6))


def test_a_machine_behind_ssh_is_checked(profile, discover, tmp_path, monkeypatch):
    import yaml

    machines = tmp_path / "config" / "discover" / "machines"
    machines.mkdir(parents=True)
    content = profile().model_dump(mode="json", exclude_unset=True)
    (machines / "far.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    answer = discover("machines", "check", "far", "--folder", tmp_path, "--json")
    assert (answer.code, '"passed": true' in answer.out) == (0, True), answer
    assert not list(tmp_path.glob("discover-check-*"))
    text = (machines / "far.yaml").read_text()
    (machines / "far.yaml").write_text(
        text.replace("host: 127.0.0.1", "host: no.such.host.invalid")
    )
    answer = discover("machines", "check", "far", "--folder", tmp_path)
    assert answer.code
    assert "far.yaml: host: no.such.host.invalid cannot be reached" in answer.err
    with pytest.raises(MachineError, match=r"set dispatch.name to 'slurm'"):
        make_dispatcher(Dispatch(name="pbs", machine="far"), tmp_path, tmp_path)

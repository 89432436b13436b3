"""A worker in our own environment, for real: what it answers, and how it dies."""

import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT, parameters

from discover.errors import PotentialError
from discover.potentials.remote import RemoteModel
from discover.processes import Process

PYTHON = Path(sys.executable)
LARGE = bulk("Cu", cubic=True).repeat(6)

PATCHED = """#!{python}
# The worker as it is, but for what stands in PATCH.
import sys
boot = sys.argv[3]
sys.argv = sys.argv[:1] + sys.argv[4:]
PATCH = '''
import os, signal
from discover_worker import models, server
sound = models.evaluate
{patch}
'''
exec(boot.replace("sys.exit(main())", PATCH + "sys.exit(main())"))
"""

DIES_OF_GOLD = """
def evaluate(model, structures):
    if any("Au" in atoms.get_chemical_symbols() for atoms in structures):
        print("no gold, please", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return sound(model, structures)
models.evaluate = evaluate
"""

SPEAKS_NONSENSE = """
def write(stream, body, arrays=()):
    if "problems" in body:
        stream.write(b"good morning to you")
        return stream.flush()
    return sane(stream, body, arrays)
sane, server.write_message = server.write_message, write
"""

WAITS_ONCE = """
from pathlib import Path
began = Path({began!r})
def evaluate(model, structures):
    if not began.exists():
        began.touch()
        signal.pause()
    return sound(model, structures)
models.evaluate = evaluate
"""

PARENT = """
import sys, time
from pathlib import Path
from ase.build import bulk
from discover.potentials.remote import RemoteModel

model = RemoteModel(Path(sys.executable), "emt", "")
model.describe()
print(model.pid, flush=True)
if sys.argv[1] == "computing":
    model.answers([bulk("Cu", cubic=True).repeat(8)] * 1000)
elif sys.argv[1] == "idle":
    time.sleep(600)
"""

FORK = """
import os, sys
from pathlib import Path
from ase.build import bulk
from discover.potentials.remote import RemoteModel

model = RemoteModel(Path(sys.executable), "emt", "")
first = model.answers([bulk("Cu")])[0].energy_ev
theirs = model.pid
child = os.fork()
if child == 0:
    same = model.answers([bulk("Cu")])[0].energy_ev == first
    other = model.pid != theirs
    model.close()
    os._exit(0 if same and other else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert model.answers([bulk("Cu")])[0].energy_ev == first
assert model.pid == theirs
"""


@pytest.fixture(scope="module")
def model():
    """One worker for all tests: who kills it leaves it to be started again."""
    started = RemoteModel(PYTHON, "emt", "")
    yield started
    started.close()


@pytest.fixture
def patched(tmp_path):
    """A model whose worker does as the patch says."""
    made = []

    def make(patch):
        script = tmp_path / "python"
        script.write_text(PATCHED.format(python=sys.executable, patch=patch))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        made.append(RemoteModel(script, "emt", ""))
        return made[-1]

    yield make
    for each in made:
        each.close()


def here(atoms):
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


def agrees(answer, atoms):
    return all(
        np.allclose(found, expected, atol=1e-9, rtol=0)
        for found, expected in zip(answer, here(atoms), strict=True)
    )


def rattled(formula, **keywords):
    atoms = bulk(formula, **keywords)
    atoms.rattle(0.1, seed=1)
    return atoms


COPPER = rattled("Cu", cubic=True)
GOLD = rattled("Au", cubic=True)
SALT = rattled("NaCl", crystalstructure="rocksalt", a=5.64)
ALLOY = rattled("PtNi", crystalstructure="cesiumchloride", a=3.1)


def gone(pid, seconds=20.0):
    worker = Process.of(pid)
    deadline = time.monotonic() + seconds
    while worker.is_alive and time.monotonic() < deadline:
        time.sleep(0.05)
    return not worker.is_alive


def test_it_says_what_it_is(model):
    described = model.describe()
    assert described.elements == frozenset(parameters)
    assert described.device == "cpu"
    assert described.versions.keys() == {"ase"}


def test_any_composition_in_any_order(model):
    batch = [COPPER, ALLOY, GOLD, COPPER, LARGE]
    assert all(agrees(*pair) for pair in zip(model.answers(batch), batch, strict=True))
    assert agrees(model.answers([GOLD])[0], GOLD)
    assert model.answers([]) == []


def test_one_bad_structure_costs_no_other(model):
    lost = COPPER.copy()
    lost.positions[1, 2] = np.nan
    no_cell = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]])
    batch = [COPPER, lost, SALT, Atoms(), GOLD, no_cell]
    answers = model.answers(batch)
    assert agrees(answers[0], COPPER)
    assert agrees(answers[4], GOLD)
    assert answers[1] == "positions or cell are not finite"
    assert answers[2] == "the model does not know Cl, Na"
    assert answers[3] == "it has no atoms"
    assert isinstance(answers[5], str)
    assert "stress" in answers[5] or "PropertyNotImplemented" in answers[5]


def test_a_worker_killed_between_calls_is_started_again(model, caplog):
    model.describe()
    first = model.pid
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    with caplog.at_level(logging.WARNING):
        assert agrees(model.answers([COPPER])[0], COPPER)
    assert model.pid != first
    assert "killed; out of memory?" in caplog.text


def test_a_worker_killed_in_the_middle_of_a_call_is_asked_again(patched, tmp_path):
    began = tmp_path / "began"
    model = patched(WAITS_ONCE.format(began=str(began)))
    model.describe()
    first = model.pid

    def kill():
        while not began.exists():
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    answers = model.answers([COPPER, GOLD])
    killer.join()
    assert model.pid != first
    assert all(agrees(*pair) for pair in zip(answers, [COPPER, GOLD], strict=True))


def test_a_worker_that_dies_again_is_an_error_with_its_last_words(patched):
    model = patched(DIES_OF_GOLD)
    assert agrees(model.answers([COPPER])[0], COPPER)
    with pytest.raises(PotentialError, match=r"(?s)emt: died \(killed.*no gold, please"):
        model.answers([GOLD])
    assert agrees(model.answers([COPPER])[0], COPPER)


def test_a_structure_that_kills_the_worker_costs_no_other(patched):
    answers = patched(DIES_OF_GOLD).answers([COPPER, GOLD, ALLOY])
    assert agrees(answers[0], COPPER)
    assert agrees(answers[2], ALLOY)
    assert "no gold, please" in answers[1]


def test_a_worker_that_dies_of_all_is_given_up(patched):
    with pytest.raises(PotentialError, match="died"):
        patched(DIES_OF_GOLD).answers([GOLD] * 50)


def test_a_worker_that_speaks_nonsense_is_given_up(patched):
    with pytest.raises(PotentialError, match="a message begins with b'DPW1'"):
        patched(SPEAKS_NONSENSE).answers([COPPER])


def test_a_worker_that_hears_nonsense_ends_and_is_started_again(model):
    model.describe()
    first = model.pid
    model._worker._stream.write(b"GET / HTTP/1.1\r\n\r\n")
    model._worker._stream.flush()
    assert gone(first)
    assert agrees(model.answers([COPPER])[0], COPPER)


def test_an_answer_that_was_not_waited_for_is_never_taken_for_another(patched, tmp_path):
    """Ctrl-C while the worker computes."""

    def interrupt(*_):
        raise KeyboardInterrupt

    model = patched(WAITS_ONCE.format(began=str(tmp_path / "began")))
    model.describe()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            model.answers([COPPER])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert agrees(model.answers([GOLD])[0], GOLD)


@pytest.mark.parametrize("state", ["computing", "idle", "ending"])
def test_no_worker_outlives_its_parent(state):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, state], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        assert Process.of(pid).is_alive or state == "ending"
        if state == "ending":
            parent.wait(20)
        else:
            parent.kill()
        assert gone(pid)


def test_a_worker_ends_with_its_potential():
    model = RemoteModel(PYTHON, "emt", "")
    model.describe()
    pid = model.pid
    del model
    assert gone(pid)


def test_a_fork_has_a_worker_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", FORK], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("family", "name", "said"),
    [
        ("emt", "large", "emt:large: cannot be loaded: ValueError: emt has no models"),
        ("none", "x", "none:x: cannot be loaded: KeyError: 'none'"),
    ],
)
def test_what_cannot_be_loaded_says_why(family, name, said):
    with pytest.raises(PotentialError, match=said):
        RemoteModel(PYTHON, family, name).describe()


def test_a_worker_that_does_not_start_shows_its_last_words(patched):
    with pytest.raises(
        PotentialError, match=r"(?s)does not start \(exit code 1; .*No module named 'nothing'"
    ):
        patched("import nothing").describe()


def test_an_interpreter_that_is_not_there(tmp_path):
    with pytest.raises(PotentialError, match="no-python"):
        RemoteModel(tmp_path / "no-python", "emt", "").describe()

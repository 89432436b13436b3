"""Machine profiles: what a file may say, which key wins, and what every error names."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.dispatch.machines import (
    MachineProfile,
    Resources,
    folders,
    load_machine,
    machines,
    read_machine,
)
from discover.errors import MachineError

BULK = """\
scheduler: slurm
bulk:
  resources: {cores_per_task: 4, wall_time_minutes: 10}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "discover" / "machines"
    folder.mkdir(parents=True)
    assert folders()[0] == folder
    return folder


def test_the_profiles_that_come_with_it_are_sound(own):
    found = {listed.name: listed for listed in machines()}
    assert {"slurm", "slurm-gpu", "slurm-bulk", "slurm-ssh", "pbs"} <= set(found)
    assert [listed.problem for listed in found.values()] == [None] * len(found)
    assert load_machine("slurm-gpu").resources.gpus_per_node == 1


def test_a_profile_of_ones_own_wins(own):
    (own / "slurm.yaml").write_text("scheduler: slurm\ndescription: mine\n")
    assert load_machine("slurm").description == "mine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("scheduler: slum\n", "scheduler: input should be 'slurm' or 'pbs'"),
        ("scheduler: slurm\nresources: {nods: 1}\n", "resources.nods: unknown key; did you mean"),
        ("scheduler: slurm\nresources: {nodes: 0}\n", "resources.nodes: input should be"),
        ("scheduler: slurm\nretry: {time: 1}\n", "retry.time: unknown key; did you mean 'times'"),
        ("scheduler: slurm\nkinds: {alg: {}}\n", "kinds.alg: there is no such calculation; did"),
        ("scheduler: slurm\nkinds: {agl/emd: {}}\n", "kinds.agl/emd: there is no such engine"),
        ("scheduler: slurm\nkinds: {agl: {nodes: x}}\n", "kinds.agl.nodes: input should be"),
        ("scheduler: pbs\nresources: {qos: high}\n", "resources.qos: pbs has none"),
        ("scheduler: pbs\nresources: {directives: ['#SBATCH -x']}\n", "must begin with '#PBS '"),
        ("scheduler: slurm\nresources: {queue: 'a b; rm'}\n", "resources.queue: string should"),
        ("scheduler: slurm\nscheduler: pbs\n", "the key 'scheduler' stands twice"),
        (f"{BULK}  kinds: [alg]\n", "bulk.kinds: 'alg': there is no such calculation; did you"),
        (f"{BULK}  idle_second: 1\n", "bulk.idle_second: unknown key; did you mean 'idle_seconds'"),
        (f"{BULK}  save_seconds: 400\n", "bulk.save_seconds: must be less than half"),
        (
            f"{BULK}kinds: {{agl: {{nodes: 2}}}}\n",
            "kinds.agl.nodes: a packed job has a part of one",
        ),
        (f"{BULK}kinds: {{agl: {{cores_per_task: 5}}}}\n", "5 cores do not fit into the 4 of"),
        (f"{BULK}kinds: {{agl: {{gpus_per_node: 1}}}}\n", "kinds.agl.gpus_per_node: more than"),
        ("scheduler: slurm\nbulk: {allocations: 2}\n", "bulk.resources: "),
        ("scheduler: slurm\nbulk: {resources: {nods: 1}}\n", "bulk.resources.nods: unknown key"),
        (
            "scheduler: slurm\nbulk: {resources: {cores_per_task: 2}}\n",
            "bulk.resources.wall_time_minutes: say how much",
        ),
        ("scheduler: slurm\nhost: login\n", "remote_dir: needed where host is given"),
        ("scheduler: slurm\nremote_dir: /x\n", "remote_dir: without host it means nothing"),
        ("scheduler: slurm\nhost: -oProxyCommand=x\n", "host: string should match"),
        ("- slurm\n", "must hold keys and values"),
    ],
)
def test_an_error_names_file_and_key(own, text, problem):
    path = own / "mine.yaml"
    path.write_text(text)
    with pytest.raises(MachineError) as error:
        load_machine("mine")
    assert str(error.value).startswith(f"{path}: ")
    assert problem in str(error.value)
    (listed,) = [listed for listed in machines() if listed.name == "mine"]
    assert problem in listed.problem


@pytest.mark.parametrize("name", ["slurn", "../slurm", "/etc/passwd", ""])
def test_a_name_that_is_none(own, name):
    with pytest.raises(MachineError, match="there is no machine profile"):
        load_machine(name)


def test_the_most_special_key_wins_and_the_rest_is_kept():
    machine = MachineProfile.model_validate(
        {
            "scheduler": "slurm",
            "resources": {"nodes": 1, "cores_per_task": 2, "queue": "short"},
            "kinds": {"agl": {"cores_per_task": 4}, "agl/vasp": {"nodes": 3, "queue": None}},
        }
    )
    asked = [
        (one.nodes, one.cores_per_task, one.queue)
        for one in (machine.asked(*job) for job in (("", ""), ("agl", "emt"), ("agl", "vasp")))
    ]
    assert asked == [(1, 2, "short"), (1, 4, "short"), (3, 4, None)]


RESOURCES = st.builds(
    Resources,
    nodes=st.integers(1, 99),
    memory_per_node_gb=st.none() | st.floats(0.1, 1e4),
    queue=st.none() | st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    pre=st.lists(st.text(st.characters(codec="ascii", exclude_characters="\r\n"))).map(tuple),
)


@settings(max_examples=25)
@given(RESOURCES, RESOURCES)
def test_what_is_written_is_read_again(tmp_path_factory, usual, special):
    machine = MachineProfile(scheduler="pbs", resources=usual, kinds={"agl": special})
    path = tmp_path_factory.mktemp("machines") / "machine.yaml"
    path.write_text(yaml.safe_dump(machine.model_dump(mode="json")))
    assert read_machine(path) == machine

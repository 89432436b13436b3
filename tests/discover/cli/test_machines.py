"""`discover machines`: the list, and a check that cannot be made; test_slurm.py has one that is."""

import json

import pytest


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "discover" / "machines"
    folder.mkdir(parents=True)
    return folder


def test_the_list_has_ones_own_and_says_what_is_wrong(own, discover):
    (own / "mine.yaml").write_text("scheduler: slurm\ndescription: the one in the cellar\n")
    (own / "bad.yaml").write_text("scheduler: lsf\n")
    answer = discover("machines", "list", "--json")
    found = {row["name"]: row for row in json.loads(answer.out)}
    assert answer.code == 0
    assert found["mine"]["profile"]["description"] == "the one in the cellar"
    assert found["bad"]["profile"] is None
    assert "scheduler: input should be" in found["bad"]["problem"]
    told = discover("machines", "list")
    assert "mine" in told.out
    assert "bad.yaml: scheduler:" in told.err


def test_a_check_where_there_is_no_such_machine_or_scheduler(own, discover, tmp_path, monkeypatch):
    answer = discover("machines", "check", "nowhere")
    assert (answer.code, answer.out) == (2, "")
    assert "there is no machine profile 'nowhere'" in answer.err
    (own / "mine.yaml").write_text("scheduler: pbs\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = discover("machines", "check", "mine", "--json", "--folder", tmp_path)
    assert answer.code == 1
    told = json.loads(answer.out)
    assert (told["passed"], told["machine"]) == (False, "mine")
    assert "qsub" in told["reason"]
    assert not list(tmp_path.glob("discover-check-*"))

"""Answers that are kept: found again, and told of where other code gave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from discover.benchmark import kept
from discover.benchmark.kept import KeptRuns, Run

QUESTION = {"seed": 1, "strategy": "mine"}


class _Counted:
    """Answers with the number of times that it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Run:
        self.times += 1
        return {"answer": self.times}


def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    ask = _Counted()
    first = KeptRuns(tmp_path / "runs", 1).answer(QUESTION, ask, seed=1)
    runs = KeptRuns(tmp_path / "runs", 1)
    assert runs.answer(QUESTION, ask, seed=1) == first
    assert (first["answer"], first["seed"], ask.times) == (1, 1, 1)
    assert runs.answer({**QUESTION, "seed": 2}, ask)["answer"] == 2
    assert runs.notice() is None


def test_what_is_noted_does_not_replace_the_answer(tmp_path: Path) -> None:
    assert KeptRuns(tmp_path, 1).answer(QUESTION, _Counted(), answer="a note")["answer"] == 1


def test_another_format_is_asked_for_again(tmp_path: Path) -> None:
    ask = _Counted()
    for format_ in (1, 2, 2):
        KeptRuns(tmp_path, format_).answer(QUESTION, ask)
    assert ask.times == 2


@pytest.mark.parametrize("left", ["", '{"format": 1, "ans', "[1]"])
def test_a_damaged_file_is_asked_for_again(left: str, tmp_path: Path) -> None:
    ask = _Counted()
    KeptRuns(tmp_path, 1).answer(QUESTION, ask)
    (file,) = tmp_path.iterdir()
    file.write_text(left)
    assert KeptRuns(tmp_path, 1).answer(QUESTION, ask)["answer"] == 2


def test_answers_of_other_code_are_used_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = _Counted()
    KeptRuns(tmp_path, 1).answer(QUESTION, ask)
    monkeypatch.setattr(kept, "code_of_models", lambda: "another")
    runs = KeptRuns(tmp_path, 1)
    runs.answer(QUESTION, ask)
    runs.answer({**QUESTION, "seed": 2}, ask)
    assert ask.times == 2
    assert runs.notice() == (
        "1 of 1 kept runs are of another version of the models' code; "
        f"delete {tmp_path} to compute them anew"
    )


def test_answers_that_do_not_say_of_which_code_they_are_are_told_of(tmp_path: Path) -> None:
    ask = _Counted()
    KeptRuns(tmp_path, 1).answer(QUESTION, ask)
    (file,) = tmp_path.iterdir()
    old = {k: v for k, v in json.loads(file.read_text()).items() if k != "code"}
    file.write_text(json.dumps(old))
    runs = KeptRuns(tmp_path, 1)
    assert runs.answer(QUESTION, ask) == old
    assert runs.of_other_code == 1


def test_the_code_is_that_of_surrogates_and_acquisitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "models" / "one.py"
    module.parent.mkdir()
    module.write_text("x = 1\n")
    before = kept.code_of_models()
    assert before == kept.code_of_models()
    monkeypatch.setattr(kept.surrogates, "__path__", [str(module.parent)])
    with_module = kept.code_of_models()
    module.write_text("x = 2\n")
    assert len({before, with_module, kept.code_of_models()}) == 3

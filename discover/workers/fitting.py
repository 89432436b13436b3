"""Fits of surrogates by workers: what cross-validation and mixtures ask, answered in other processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover import plugins
from discover.campaign import Plugin
from discover.errors import LostFitError
from discover.workers.base import Lost, Workers

if TYPE_CHECKING:
    from surrogates import Surrogate, TrainingData
    from surrogates.validation import Answer, Question, Respondent


def answer_question(asked: str) -> str:
    """Fit a surrogate and predict: from the JSON of a question to mean and std, or null."""
    import torch

    from surrogates.validation import Question

    told = json.loads(asked)
    base = Path(told["base"])
    surrogate = plugins.create("surrogates", told["surrogate"], told["options"], base)
    x = torch.tensor(told["x"], dtype=torch.float64)
    answer = Question(surrogate, None, _read(told["data"]), x, told["seed"]).answer()
    return json.dumps(None if answer is None else [part.tolist() for part in answer])


def fitted_by(
    workers: Workers, surrogate: Surrogate, chosen: Plugin, base: Path
) -> Respondent | None:
    """What answers a campaign's surrogate's questions, given to it too if it asks any itself.

    None where the workers are no processes: fits are made here then, one after the other. Raises
    LostFitError where workers die at a fit again and again; here it would end the campaign.
    """
    if not workers.in_processes:
        return None

    def respond(questions: Sequence[Question]) -> list[Answer]:
        answers = workers.map(answer_question, [_written(q, chosen, base) for q in questions])
        return [
            _answer(text, question.name or chosen.name, len(question.data))
            for question, text in zip(questions, answers, strict=True)
        ]

    if hasattr(surrogate, "respondent"):
        surrogate.respondent = respond
    return respond


def _written(question: Question, chosen: Plugin, base: Path) -> str:
    data = question.data
    own = question.name is None
    return json.dumps(
        {
            "base": str(base),
            "surrogate": chosen.name if own else question.name,
            "options": chosen.options if own else {},
            "seed": question.seed,
            "x": question.x.tolist(),
            "data": {
                "x": data.x.tolist(),
                "y": _listed(data.y),
                "groups": None if data.groups is None else data.groups.tolist(),
                "fidelities": data.fidelities,
                "noise": _listed(data.noise),
                "censored": None if data.censored is None else data.censored.tolist(),
                "categorical": data.categorical,
            },
        },
        allow_nan=False,
    )


def _read(told: dict[str, Any]) -> TrainingData:
    import torch

    from surrogates import TrainingData

    def tensor(values: Any, dtype: Any) -> Any:
        if values is None:
            return None
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(dtype)

    return TrainingData(
        x=tensor(told["x"], torch.float64),
        y=tensor(told["y"], torch.float64),
        groups=tensor(told["groups"], torch.int64),
        fidelities=told["fidelities"],
        noise=tensor(told["noise"], torch.float64),
        censored=tensor(told["censored"], torch.int8),
        categorical=tuple(told["categorical"]),
    )


def _listed(values: Any) -> Any:
    """A matrix as lists, with null in the place of what is not a number."""
    if values is None:
        return None
    return [[None if np.isnan(v) else v for v in row] for row in values.double().tolist()]


def _answer(text: str | Lost, surrogate: str, rows: int) -> Answer:
    if isinstance(text, Lost):
        raise LostFitError(f"a fit of {surrogate!r} on {rows} results: {text.reason}")
    told = json.loads(text)
    return None if told is None else (np.array(told[0]), np.array(told[1]))

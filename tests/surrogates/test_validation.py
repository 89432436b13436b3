from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.conformance import example_data
from surrogates.gaussian import GaussianModel
from surrogates.gp import GaussianProcess
from surrogates.multitask import MultiTask
from surrogates.validation import data_hash, folds_of, held_out, validate


class Normal(GaussianModel):
    """A standard normal everywhere."""

    def moments(self, x, *, observation_noise=False):
        return torch.zeros(x.shape[:-1]).double(), torch.eye(x.shape[-2]).double()


class KnowsNothing:
    """Predicts a standard normal and remembers what it was fitted on."""

    def __init__(self):
        self.seen = []

    def fit(self, data, seed):
        self.seen.append(data)
        return Normal()


@given(
    groups=st.lists(st.integers(0, 9), min_size=2, max_size=40),
    folds=st.integers(2, 6),
    seed=st.integers(0, 100),
)
def test_groups_never_straddle_folds(groups, folds, seed):
    x = torch.arange(len(groups)).double().unsqueeze(-1)
    data = TrainingData(x, x, torch.tensor(groups))
    fold = folds_of(data, seed, folds)
    assert all(len({f for f, h in zip(fold, groups, strict=True) if h == g}) == 1 for g in groups)
    assert set(fold) == set(range(min(folds, len(set(groups)))))
    sizes = [len({g for g, f in zip(groups, fold, strict=True) if f == k}) for k in set(fold)]
    assert max(sizes) - min(sizes) <= 1


def test_no_model_sees_what_it_predicts():
    x = torch.arange(20).double().unsqueeze(-1)
    surrogate = KnowsNothing()
    result = held_out(surrogate, TrainingData(x, x), seed=1, folds=4)
    for k, seen in enumerate(surrogate.seen):
        assert set(seen.x[:, 0].int().tolist()) == set(np.flatnonzero(result.fold != k).tolist())


def test_metrics_of_a_calibrated_model_are_the_nominal_ones():
    """Standard normal targets under a standard normal prediction; the entropy is 1/2 log 2πe."""
    y = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.arange(4000).double().unsqueeze(-1)
    metrics = validate(KnowsNothing(), TrainingData(x, y), seed=0, folds=2).metrics
    assert metrics["coverage_50"] == pytest.approx(0.5, abs=0.03)
    assert metrics["coverage_90"] == pytest.approx(0.9, abs=0.02)
    assert metrics["mae"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)
    assert metrics["rmse"] == pytest.approx(1.0, abs=0.03)
    assert metrics["nlpd"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=0.03)
    assert metrics["spearman"] is None  # it predicts the same everywhere


def test_too_few_rows_give_no_metrics():
    data = example_data(3)
    report = validate(GaussianProcess(), data, seed=0)
    assert set(report.metrics.values()) == {None}
    assert report.details["held_out"] == []


def test_one_fold_is_not_cross_validation():
    with pytest.raises(SurrogateError, match="two folds"):
        validate(GaussianProcess(), example_data(9), seed=0, folds=1)


def test_the_hash_follows_the_data():
    data = example_data(6)
    changed = data.y.clone()
    changed[3] += 1e-12
    groups = torch.zeros(6, dtype=torch.int64)
    hashes = {
        data_hash(data),
        data_hash(TrainingData(data.x, changed)),
        data_hash(TrainingData(data.x.flip(0), data.y)),
        data_hash(TrainingData(data.x, data.y, groups)),
    }
    assert len(hashes) == 4
    assert data_hash(data) == data_hash(example_data(6))


def test_thermal_conductivity_of_unseen_formulas():
    """103 compounds of phononDB (arXiv:2408.00755): better than a forest, and calibrated."""
    folder = Path(__file__).resolve().parents[3] / "shared/data/phonondb-kappa"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    import json

    from ase.data import atomic_numbers
    from sklearn.ensemble import RandomForestRegressor

    from discover.records import Candidate, Provenance
    from discover.structures.crystal import Crystal
    from surrogates.descriptors import CompositionDescriptor, StructureDescriptor, featurize

    rows = json.loads((folder / "structures_kappa.json").read_text())
    candidates = [
        Candidate(
            id=row["mp_id"],
            formula=row["formula"],
            spacegroup=row["spacegroup_number"],
            prototype=row["prototype"],
            structure=Crystal(
                numbers=[atomic_numbers[symbol] for symbol in row["symbols"]],
                cell_angstrom=row["cell"],
                scaled_positions=row["scaled_positions"],
            ),
            provenance=Provenance(generator="phonondb", operation="read"),
        )
        for row in rows
    ]
    described = featurize(candidates, [CompositionDescriptor(), StructureDescriptor()])
    x = np.array([candidate.features for candidate in described])
    y = np.log10([row["kappa_300K"] for row in rows])
    _, groups = np.unique([row["formula"] for row in rows], return_inverse=True)
    data = TrainingData(torch.tensor(x), torch.tensor(y).unsqueeze(-1), torch.tensor(groups))
    metrics = validate(GaussianProcess(), data, seed=0).metrics

    fold = folds_of(data, 0, 5)
    forest = np.zeros_like(y)
    for k in range(5):
        trees = RandomForestRegressor(100, random_state=0).fit(x[fold != k], y[fold != k])
        forest[fold == k] = trees.predict(x[fold == k])
    assert metrics["mae"] < 0.8 * np.abs(forest - y).mean()
    assert metrics["mae"] < 0.2
    assert metrics["spearman"] > 0.93
    assert 0.4 < metrics["coverage_50"] < 0.65
    assert 0.78 < metrics["coverage_90"] < 0.97


@pytest.mark.parametrize("outputs", ["first", "all"])
def test_targets_that_tell_of_one_another_are_held_out_together(outputs: str) -> None:
    """The scarce one is predicted better with the plentiful one known in the other rows."""
    x = torch.rand(40, 1, generator=torch.Generator().manual_seed(0)).double()
    plentiful = torch.sin(15 * x)
    y = torch.cat([2 * plentiful, plentiful], dim=1)
    y[10:, 0] = torch.nan
    report = validate(MultiTask(outputs=outputs), TrainingData(x, y), seed=0)
    alone = validate(MultiTask(), TrainingData(x, y).output(0), seed=0)
    assert report.metrics["0.rmse"] < 0.7 * alone.metrics["rmse"]
    first, second = report.details["targets"]
    assert len(first["held_out"]) == 10
    assert len(second["held_out"]) == (40 if outputs == "all" else 0)

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from discover.objectives import Goal
from discover.properties import property_named
from discover.records import ModelCard
from discover.report import figures
from discover.results import ResultRow

KAPPA = property_named("thermal_conductivity")
GAMMA = property_named("gruneisen_parameter")
VALUES = [2.0, 20.0, 1.0, 300.0, 50.0, 0.5]


def row(order: int, value: float, predicted: float | None = None) -> ResultRow:
    return ResultRow(
        rank=1,
        candidate=f"c{order}",
        formula=f"X{order + 1}Y",
        spacegroup=225,
        prototype="rocksalt",
        smiles=None,
        title="rocksalt",
        property="thermal_conductivity",
        value=value,
        unit="W/m/K",
        fidelity="agl/gpaw",
        predicted=predicted,
        predicted_low=None if predicted is None else predicted / 3,
        predicted_high=None if predicted is None else predicted * 3,
        picked_by="initial" if predicted is None else "ucb",
        order=order,
        calculation=f"j{order}",
        seconds=1.0,
        quarantined=None,
    )


def rows() -> list[ResultRow]:
    return [row(i, v, None if i < 2 else 40.0) for i, v in enumerate(VALUES)]


def line(axes: Axes, label: str) -> np.ndarray:
    found = next(artist for artist in axes.get_lines() if artist.get_label() == label)
    return np.asarray(found.get_ydata(), dtype=float)


def words(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts}


@pytest.mark.parametrize(
    ("goal", "best", "records"),
    [
        ("max", [2, 20, 20, 300, 300, 300], {"XY", "X₂Y", "X₄Y"}),
        ("min", [2, 2, 1, 1, 1, 0.5], {"XY", "X₃Y", "X₆Y"}),
    ],
)
def test_best_so_far(goal: Goal, best: list[float], records: set[str]) -> None:
    figure = figures.search_figure(rows(), KAPPA, goal)
    assert line(figure.axes[0], "best so far") == pytest.approx(best)
    assert words(figure) == {formula.replace("XY", "X₁Y") for formula in records}


def test_records_too_close_to_read_are_named_by_the_last() -> None:
    many = [row(i, float(i + 1 if i < 30 else 5)) for i in range(90)]
    assert words(figures.search_figure(many, KAPPA, "max")) == {
        f"X{number}Y".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
        for number in (5, 10, 15, 20, 25, 30)
    }


def test_random_order_begins_at_the_geometric_mean_and_ends_at_the_best() -> None:
    expected = line(figures.search_figure(rows(), KAPPA, "max").axes[0], "random order: expected")
    assert expected[0] == pytest.approx(np.exp(np.mean(np.log(VALUES))))
    assert expected[-1] == pytest.approx(300.0)


def test_a_property_without_logarithm_has_a_linear_axis_and_an_arithmetic_mean() -> None:
    axes = figures.search_figure(rows(), GAMMA, "max").axes[0]
    assert axes.get_yscale() == "linear"
    assert line(axes, "random order: expected")[0] == pytest.approx(np.mean(VALUES))
    assert axes.get_ylabel() == "Grüneisen parameter"


def test_kappa_is_shown_with_its_unit_on_a_logarithmic_axis() -> None:
    axes = figures.search_figure(rows(), KAPPA, "max").axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "lattice thermal conductivity (W/m/K)"


def test_extremes_follow_both_tails_under_one_legend() -> None:
    axes = figures.search_figure(rows(), KAPPA, "extremes").axes[0]
    steps = [
        np.asarray(a.get_ydata(), float)
        for a in axes.get_lines()
        if a.get_drawstyle() == "steps-post"
    ]
    assert [curve[-1] for curve in steps] == pytest.approx([300.0, 0.5])
    labels = axes.get_legend_handles_labels()[1]
    assert len(labels) == len(set(labels)) == 5


def test_points_are_coloured_by_who_picked_them() -> None:
    axes = figures.search_figure(rows(), KAPPA, "max").axes[0]
    points = {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if c.get_urls() != [None]
    }
    assert points == {"initial pick": 2, "picked by ucb": 4}


def test_parity_tells_hits_from_misses() -> None:
    predicted = [r for r in rows() if r.predicted is not None]
    figure = figures.parity_figure(predicted, KAPPA)
    axes = figure.axes[0]
    points = {c.get_label(): c.get_offsets() for c in axes.collections if c.get_urls() != [None]}
    assert points["inside the 90 % interval"].tolist() == [[50.0, 40.0]]
    assert sorted(points["outside it"][:, 0]) == [0.5, 1.0, 300.0]
    assert words(figure) == {"X₃Y", "X₄Y", "X₆Y"}
    assert axes.get_xlim() == axes.get_ylim()


def test_the_interval_of_a_pick_without_prediction_is_an_error() -> None:
    with pytest.raises(ValueError, match="X1Y was picked without a prediction"):
        figures.interval(row(0, 1.0))


def test_calibration_of_a_model_that_is_too_sure() -> None:
    observed = line(figures.calibration_figure([3.0, -4.0, 2.5, 0.0]).axes[0], "this campaign")
    assert observed == pytest.approx([25.0] * 10)


def test_models_figure_leaves_gaps_where_a_metric_is_missing() -> None:
    cards = [
        ModelCard(
            id=str(n),
            surrogate="gp",
            created_at=0.0,
            data_hash="",
            n_observations=n,
            fit_seconds=1.0,
            metrics={"mae": 1.0 / n, "spearman": None if n == 5 else 0.5, "coverage_90": 0.9},
        )
        for n in (5, 6, 7)
    ]
    error, order, covered = figures.models_figure(cards, KAPPA).axes
    assert np.asarray(error.get_lines()[0].get_ydata(), float) == pytest.approx([0.2, 1 / 6, 1 / 7])
    assert np.isnan(np.asarray(order.get_lines()[0].get_ydata(), float)).tolist() == [
        True,
        False,
        False,
    ]
    assert line(covered, "90 % interval") == pytest.approx([90.0] * 3)
    assert np.isnan(line(covered, "50 % interval")).all()
    assert error.get_ylabel() == "mean absolute error (log₁₀)"

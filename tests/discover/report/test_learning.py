"""What a potential learned, drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from discover.potentials.learning.adoption import Comparison
from discover.potentials.learning.errors import Errors
from discover.report.canvas import inline_svg
from discover.report.learning import changes, learning_figure


def errors(energy: float | None, forces: float) -> Errors:
    return Errors(
        frames=4,
        energy_mae_ev_per_atom=energy,
        forces_rmse_ev_per_angstrom=forces,
        forces_rms_ev_per_angstrom=1.0,
        stress_rmse_gpa=2.0,
    )


def card(*, with_old: bool) -> Any:
    """As much of a card as is drawn."""
    new = Comparison(
        before={"rattled": errors(0.02, 0.3), "volume": errors(None, 0.1)},
        after={"rattled": errors(0.01, 0.2), "volume": errors(None, 0.05)},
    )
    old = Comparison(before={"replay": errors(0.0, 0.0)}, after={"replay": errors(0.004, 0.02)})
    return SimpleNamespace(held_out={"configurations": new}, old=old if with_old else None)


def test_one_row_for_each_fine_tuning_set_and_kind() -> None:
    labels = [change.label for change in changes([card(with_old=False), card(with_old=True)])]
    assert labels == [
        "1  configurations, rattled",
        "1  configurations, volume",
        "2  configurations, rattled",
        "2  configurations, volume",
        "2  old data, replay",
    ]


def test_what_was_not_measured_is_not_drawn() -> None:
    figure = learning_figure([card(with_old=True)])
    energy, forces, stress = figure.axes
    before = [axes.collections[1].get_offsets().tolist() for axes in (energy, forces, stress)]
    assert before == [
        [[20.0, 0.0], [0.0, 2.0]],
        [[300.0, 0.0], [100.0, 1.0], [0.0, 2.0]],
        [[2.0, 0.0], [2.0, 1.0], [2.0, 2.0]],
    ]
    assert "300 before, 200 after" in inline_svg(figure, "learning")

"""Errors by kind, with energies up to a constant for each formula."""

import pytest

from discover.errors import PotentialError
from discover.potentials import load_potential
from discover.potentials.learning.errors import errors_by_kind

EMT = load_potential("emt")


def test_errors_by_kind(labelled):
    labels = [
        *(labelled("Cu", "Cu", s, kind="relaxation", zeros={"Cu": 0.25}) for s in range(3)),
        *(labelled("Ag", "Cu", s, kind="strained", stiffness=1.1) for s in range(3)),
    ]
    found = errors_by_kind(EMT, labels)
    assert list(found) == ["relaxation", "strained"]
    assert found["relaxation"].frames == 3
    assert found["relaxation"].energy_mae_ev_per_atom == pytest.approx(0.0, abs=1e-9)
    assert found["relaxation"].forces_rmse_ev_per_angstrom == pytest.approx(0.0, abs=1e-9)
    stiff = found["strained"]
    assert stiff.forces_rmse_ev_per_angstrom == pytest.approx(
        stiff.forces_rms_ev_per_angstrom * 0.1 / 1.1
    )
    assert stiff.stress_rmse_gpa is not None
    assert stiff.stress_rmse_gpa > 0.05
    absolute = errors_by_kind(EMT, labels, absolute=True)
    assert absolute["relaxation"].energy_mae_ev_per_atom == pytest.approx(0.25)


def test_one_frame_of_a_formula_tells_nothing_of_energies(labelled):
    label = labelled("Cu", "Cu", 0, zeros={"Cu": 9.0})
    del label.atoms.calc.results["stress"]
    (errors,) = errors_by_kind(EMT, [label]).values()
    assert errors.energy_mae_ev_per_atom is None
    assert errors.stress_rmse_gpa is None


def test_what_the_potential_cannot_answer_is_told(labelled):
    label = labelled("Cu", "Cu", 0)
    label.atoms.set_atomic_numbers([2] * 4)
    with pytest.raises(PotentialError, match="He"):
        errors_by_kind(EMT, [label])

"""Hull and window against thermochemical tables and against each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.phase_diagram import Phase, stability
from discover.errors import CalculationError

KJ_MOL_PER_EV = 96.485
ELEMENTS = [Phase(symbol, 0.0) for symbol in ("Li", "F", "Cl", "O", "S", "Al")]


def compound(formula: str, atoms: int, kj_mol: float) -> Phase:
    """A phase with its standard enthalpy of formation (NIST-JANAF, 298 K)."""
    return Phase(formula, kj_mol / KJ_MOL_PER_EV / atoms)


@pytest.mark.parametrize(
    ("phase", "competing", "window"),
    [
        (compound("LiF", 2, -616.9), [], (0.0, 6.39)),
        (compound("LiCl", 2, -408.3), [], (0.0, 4.23)),
        (compound("Li2S", 3, -446.9), [], (0.0, 2.32)),
        # 2 Li2O -> Li2O2 + 2 Li: Zhu, He, Mo (2015) have 2.91 V from density functional theory
        (compound("Li2O", 3, -598.7), [compound("Li2O2", 4, -632.6)], (0.0, 2.93)),
    ],
)
def test_windows_of_binaries_from_their_heats_of_formation(
    phase: Phase, competing: list[Phase], window: tuple[float, float]
) -> None:
    found = stability(phase, [*ELEMENTS, *competing])
    assert found.hull_distance_ev_per_atom == 0.0
    assert (found.reduction_limit_v, found.oxidation_limit_v) == pytest.approx(window, abs=0.01)


def test_a_ternary_is_reduced_by_lithium_where_a_binary_takes_its_anion() -> None:
    oxides = [compound("Li2O", 3, -598.7), compound("Al2O3", 5, -1675.7)]
    found = stability(compound("LiAlO2", 4, -1193.3), [*ELEMENTS, *oxides])
    assert found.hull_distance_ev_per_atom == 0.0
    # LiAlO2 + 3 Li -> 2 Li2O + Al
    reduced = (-2 * -598.7 + -1193.3) / KJ_MOL_PER_EV / 3 * -1
    assert found.reduction_limit_v == pytest.approx(max(reduced, 0.0), abs=0.05)
    # 2 LiAlO2 -> Al2O3 + 2 Li + 1/2 O2
    oxidized = (-1675.7 - 2 * -1193.3) / KJ_MOL_PER_EV / 2
    assert found.oxidation_limit_v == pytest.approx(oxidized, abs=0.01)


def test_above_the_hull_with_what_it_falls_apart_into() -> None:
    sulfide = Phase("Li2S", -1.4)
    found = stability(Phase("LiS", -0.9), [*ELEMENTS, sulfide])
    # 2 LiS -> Li2S + S: a quarter of the atoms is sulfur
    assert found.hull_distance_ev_per_atom == pytest.approx(0.75 * 1.4 - 0.9)
    assert found.decomposition == pytest.approx({"Li2S": 0.75, "S": 0.25})
    assert found.reduction_limit_v is not None
    assert found.oxidation_limit_v is not None
    assert found.oxidation_limit_v >= found.reduction_limit_v


def test_without_the_ion_there_is_no_window() -> None:
    found = stability(Phase("Al2S3", -1.0), ELEMENTS)
    assert found.reduction_limit_v is None
    assert found.formation_energy_ev_per_atom == pytest.approx(-1.0)


def test_elements_are_needed() -> None:
    with pytest.raises(CalculationError, match="no energy of the elements Cl, Li"):
        stability(Phase("LiCl", -2.0), [Phase("O", 0.0)])


@given(st.floats(-3, 1), st.floats(-3, 1), st.floats(-5, 5))
def test_a_common_shift_of_an_element_changes_nothing(
    own: float, other: float, shift: float
) -> None:
    plain = stability(Phase("LiCl", own), [*ELEMENTS, Phase("LiCl3", other)])
    moved = stability(
        Phase("LiCl", own + shift / 2),
        [Phase("Li", shift), Phase("Cl", 0.0), Phase("LiCl3", other + shift / 4)],
    )
    assert moved.hull_distance_ev_per_atom == pytest.approx(
        plain.hull_distance_ev_per_atom, abs=1e-6
    )
    assert moved.oxidation_limit_v == pytest.approx(plain.oxidation_limit_v, abs=1e-4)

"""Objectives and constraints on the model's scale; fronts and volumes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from discover.acquisition.aims import Aims, hypervolume, non_dominated
from discover.campaign import CampaignSpec

SPEC = CampaignSpec.model_validate(
    {
        "objectives": [
            {"property": "bulk_modulus", "reference": 10},
            {"property": "gruneisen_parameter", "goal": "min", "reference": 3},
        ],
        "constraints": [
            {"property": "debye_temperature", "above": 100, "below": 1000},
            {"property": "bulk_modulus", "below": 300},
        ],
        "learn": ["thermal_conductivity"],
    }
)


def test_a_campaign_file_on_the_scale_of_the_model():
    aims = Aims.of(SPEC)
    assert [p.name for p in aims.properties] == [
        "bulk_modulus",
        "gruneisen_parameter",
        "debye_temperature",
        "thermal_conductivity",
    ]
    assert aims.references == (1.0, -3.0)
    assert aims.lower == (-np.inf, -np.inf, 2.0, -np.inf)
    assert aims.upper == pytest.approx((np.log10(300), np.inf, 3.0, np.inf))
    assert aims.constrained == [0, 2]


def test_what_is_feasible_known_and_on_the_front():
    aims = Aims.of(SPEC)
    values = np.array(
        [
            [2.0, 1.0, 2.5, np.nan],  # on the front
            [2.0, 2.0, 2.5, np.nan],  # dominated
            [2.4, 2.0, 2.5, 1.0],  # the other end of the front
            [2.4, 0.1, 3.5, 1.0],  # misses a constraint
            [2.4, 0.1, np.nan, 1.0],  # not known to meet it
        ]
    )
    assert aims.complete(values).tolist() == [True, True, True, True, False]
    assert aims.feasible(values).tolist() == [True, True, True, False, False]
    assert aims.front(values).tolist() == [[2.0, -1.0], [2.4, -2.0]]


def test_the_probability_of_meeting_all_constraints_in_both_tails():
    from scipy.stats import norm

    aims = Aims.of(SPEC)
    mean = np.array([[2.0, 1.0, 2.5, 0.0], [9.0, 1.0, 40.0, 0.0], [2.0, 1.0, -40.0, 0.0]])
    std = np.full((3, 4), 0.5)
    found = aims.log_feasible(mean, std)
    inside = norm.cdf((np.log10(300) - 2) / 0.5) * (norm.cdf(1) - norm.cdf(-1))
    assert found[0] == pytest.approx(np.log(inside))
    assert np.isfinite(found).all()
    assert found[2] == pytest.approx(
        norm.logsf(84) + norm.logcdf((np.log10(300) - 2) / 0.5), rel=1e-3
    )


points = arrays.arrays(
    float, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.integers(-2, 9).map(float)
)


@given(points)
def test_the_hypervolume_is_botorchs(found):
    import torch
    from botorch.utils.multi_objective.hypervolume import Hypervolume
    from botorch.utils.multi_objective.pareto import is_non_dominated

    reference = [0.0] * found.shape[1]
    front = found[non_dominated(found)]
    everything = torch.from_numpy(found)
    mask = is_non_dominated(everything, deduplicate=False)
    assert non_dominated(found).tolist() == mask.tolist()
    expected = Hypervolume(torch.tensor(reference, dtype=torch.float64)).compute(everything[mask])
    assert hypervolume(found, reference) == pytest.approx(expected)
    assert hypervolume(front, reference) == pytest.approx(expected)


def test_no_points_no_volume():
    assert hypervolume(np.zeros((0, 2)), [0.0, 0.0]) == 0

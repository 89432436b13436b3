"""What several objectives and constraints make of the candidates."""

from __future__ import annotations

from contextlib import closing

import pytest

from discover.folder import CampaignFolder
from discover.outcomes import outcomes, tradeoff


def test_the_front_first_and_what_misses_a_constraint_named(several: CampaignFolder) -> None:
    spec = several.load()
    with closing(several.open_existing_store(spec)) as store:
        found = outcomes(store, spec)
    assert [(one.order, one.standing) for one in found] == [
        (1, "front"),
        (2, "front"),
        (0, "feasible"),
        (3, "infeasible"),
        (4, "incomplete"),
    ]
    assert found[3].violated == ("debye_temperature below 900 K",)
    assert found[4].values.keys() == {"thermal_conductivity", "bulk_modulus"}
    assert {one.picked_by for one in found} == {"initial"}


def test_the_hypervolume_grows_by_what_is_feasible(several: CampaignFolder) -> None:
    spec = several.load()
    with closing(several.open_existing_store(spec)) as store:
        told = tradeoff(spec, outcomes(store, spec))
    assert (told.complete, told.feasible, told.front) == (4, 3, 2)
    assert told.feasible_share == pytest.approx(0.75)
    # in decades beyond 1 W/m/K and 1000 GPa: 1 x 1; 1.30 x 1.05; and 0.70 x (2 - 1.05) more
    assert told.hypervolume_over_time == pytest.approx(
        [
            1.0,
            1.3010 * 1.0458,
            1.3010 * 1.0458 + 0.6990 * 0.9542,
            1.3010 * 1.0458 + 0.6990 * 0.9542,
        ],
        abs=1e-3,
    )
    assert told.hypervolume == told.hypervolume_over_time[-1]


def test_a_bound_that_leaves_open_how_good_it_is_stays_off_the_front(
    several: CampaignFolder,
) -> None:
    spec = several.load()
    with closing(several.open_existing_store(spec)) as store:
        best = next(o for o in store.observations("bulk_modulus") if o.value == 10.0)
        store.add_observations([best.model_copy(update={"bound": "above"})])  # 10 GPa or more
        stiff = next(o for o in store.observations("debye_temperature") if o.value == 1200.0)
        store.add_observations([stiff.model_copy(update={"bound": "above"})])  # beyond 900 K anyway
        soft = next(o for o in store.observations("debye_temperature") if o.value == 500.0)
        store.add_observations([soft.model_copy(update={"bound": "above"})])  # below 900 K or not
        found = {one.order: one for one in outcomes(store, spec)}
    assert [found[i].standing for i in range(4)] == [
        "front",
        "incomplete",
        "incomplete",
        "infeasible",
    ]
    assert found[2].bounds == {"bulk_modulus": "above"}
    assert not found[1].violated
    assert found[3].violated

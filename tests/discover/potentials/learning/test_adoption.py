"""Which fine-tuned potentials are adopted, and what is said of the others."""

import pytest

from discover.potentials.learning.adoption import Comparison, judge
from discover.potentials.learning.errors import Errors


def errors(energy: float | None, forces: float, stress: float | None = 1.0) -> Errors:
    return Errors(
        frames=5,
        energy_mae_ev_per_atom=energy,
        forces_rmse_ev_per_angstrom=forces,
        forces_rms_ev_per_angstrom=0.5,
        stress_rmse_gpa=stress,
    )


def new(before: Errors, after: Errors, kind: str = "rattled") -> dict[str, Comparison]:
    return {"configurations": Comparison(before={kind: before}, after={kind: after})}


STEADY = Comparison(
    before={"replay": errors(0.0, 0.0, 0.0)}, after={"replay": errors(0.01, 0.03, 0.5)}
)


def test_better_on_new_and_steady_on_old_is_adopted():
    verdict = judge(new(errors(0.1, 0.2), errors(0.02, 0.05)), STEADY)
    assert verdict.adopted
    assert verdict.reasons == ()


def test_without_replay_only_new_data_count():
    assert judge(new(errors(0.1, 0.2), errors(0.02, 0.05)), None).adopted


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (errors(0.02, 0.25), "forces from 0.2 to 0.25 eV/Å"),
        (errors(0.15, 0.02), "energy from 0.1 to 0.15 eV/atom"),
        (errors(0.02, 0.02, 3.0), "stress from 1 to 3 GPa"),
    ],
)
def test_worse_in_one_quantity_on_one_kind_is_not_adopted(after, said):
    verdict = judge(new(errors(0.1, 0.2), after, "phonon_displaced"), STEADY)
    assert not verdict.adopted
    (reason,) = verdict.reasons
    assert "phonon_displaced" in reason
    assert said in reason


def test_what_does_not_help_is_not_adopted():
    verdict = judge(new(errors(0.1, 0.2), errors(0.1, 0.2)), STEADY)
    assert "no better on new data" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (errors(0.2, 0.01), "energy moved by 0.2 eV/atom"),
        (errors(0.0, 0.3), "forces moved by 0.3 eV/Å"),
        (errors(0.0, 0.01, 9.0), "stress moved by 9 GPa"),
        (errors(float("nan"), 0.01), "energy moved by nan"),
    ],
)
def test_forgetting_is_not_adopted(drift, said):
    old = STEADY.model_copy(update={"after": {"replay": drift}})
    verdict = judge(new(errors(0.1, 0.2), errors(0.01, 0.02)), old)
    assert not verdict.adopted
    assert said in verdict.reasons[0]


def test_a_quantity_that_no_frame_tells_of_is_left_out():
    assert judge(new(errors(None, 0.2, None), errors(None, 0.1, None)), None).adopted

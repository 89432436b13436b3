"""The deviation of a committee's forces, and what is made of it."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.campaign import CampaignSpec
from discover.errors import PotentialError
from discover.potentials.learning.committee import Committee
from discover.potentials.learning.uncertainty import label_settings, most_uncertain
from discover.structures.crystal import Crystal


class Scaled:
    """EMT with forces of another size."""

    def __init__(self, scale: float) -> None:
        self.name = f"scaled {scale}"
        self._scale = scale

    def elements(self) -> frozenset[str]:
        return frozenset({"Cu", "Ag"})

    def calculator(self) -> EMT:
        scale = self._scale

        class Calculator(EMT):
            def calculate(self, *arguments):
                super().calculate(*arguments)
                if 13 in self.atoms.numbers:
                    raise ValueError("not made for aluminium")
                self.results["forces"] = scale * self.results["forces"]

        return Calculator()


def rattled(symbol: str, size: float):
    atoms = bulk(symbol, cubic=True)
    atoms.rattle(size, seed=1)
    return atoms


def test_the_deviation_is_the_root_mean_square_around_the_mean():
    atoms = rattled("Cu", 0.1)
    (found,) = Committee([Scaled(0.9), Scaled(1.1)]).force_uncertainty([atoms])
    atoms.calc = EMT()
    assert found == pytest.approx(0.1 * np.linalg.norm(atoms.get_forces(), axis=1).max())
    (three,) = Committee([Scaled(0.9), Scaled(1.0), Scaled(1.1)]).force_uncertainty([atoms])
    assert three == pytest.approx(np.sqrt(2 / 3) * found)


def test_members_that_cannot_answer_are_infinitely_uncertain():
    found = Committee([Scaled(0.9), Scaled(1.1)]).force_uncertainty(
        [rattled("Cu", 0.1), rattled("Al", 0.1), rattled("Ag", 0.0)]
    )
    assert found[1] == float("inf")
    assert found[2] == pytest.approx(0.0, abs=1e-9)  # by symmetry, whatever they know


def test_one_member_is_no_committee():
    with pytest.raises(PotentialError, match="two members"):
        Committee([Scaled(1.0)])


def test_the_most_uncertain_candidates_come_first(metal):
    copper, silver = (
        metal(s, structure=Crystal.from_atoms(bulk(s, "fcc", a=a)))
        for s, a in (("Cu", 3.4), ("Ag", 4.1))
    )
    committee = Committee([Scaled(0.9), Scaled(1.1)])
    how = {"threshold_ev_per_angstrom": 0.0, "seed": 0}
    found = most_uncertain(committee, [silver, copper], number=5, **how)
    assert [candidate.id for candidate, _ in found] == [copper.id, silver.id]
    assert found[0][1] > found[1][1] > 0
    assert most_uncertain(committee, [silver, copper], number=1, **how) == found[:1]
    between = {"threshold_ev_per_angstrom": (found[0][1] + found[1][1]) / 2, "seed": 0}
    assert most_uncertain(committee, [silver, copper], number=5, **between) == found[:1]
    assert most_uncertain(committee, [], number=5, **how) == []


def test_labels_come_from_the_dearest_first_principles_engine(tmp_path):
    cheap = {"kind": "agl", "engine": "potential"}
    dear = {"kind": "agl", "engine": "gpaw", "engine_settings": {"cutoff_ev": 350}}
    spec = CampaignSpec.model_validate({"ladder": [cheap], "calculation": dear, "seed": 7})
    label = label_settings(spec, tmp_path)
    assert label is not None
    assert (label.kind, label.engine, label.engine_settings) == (
        "static",
        "gpaw",
        {"cutoff_ev": 350},
    )
    assert label.settings["seed"] == 7
    assert label_settings(CampaignSpec.model_validate({"calculation": cheap}), tmp_path) is None

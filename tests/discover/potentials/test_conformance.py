"""The conformance check finds potentials that break the contract."""

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.errors import PotentialError
from discover.potentials.conformance import check_potential
from discover.potentials.emt import EMTPotential
from discover.structures.crystal import Crystal

ALLOY = Crystal.from_atoms(bulk("CuAu", "rocksalt", a=5.0))


class Scaled(EMT):
    def __init__(self, key, factor):
        super().__init__()
        self._key, self._factor = key, factor

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results[self._key] = self.results[self._key] * self._factor


class ScaledPotential(EMTPotential):
    def __init__(self, key, factor):
        self._arguments = key, factor

    def calculator(self):
        return Scaled(*self._arguments)


@pytest.mark.parametrize(
    ("key", "factor", "found"),
    [("forces", -1.0, "forces"), ("stress", 160.2, "stress"), ("stress", -1.0, "stress")],
)
def test_wrong_signs_and_units_are_found(key, factor, found):
    with pytest.raises(PotentialError, match=found):
        check_potential(ScaledPotential(key, factor), ALLOY)


def test_a_crystal_of_other_elements_is_refused():
    with pytest.raises(PotentialError, match="must know the elements Cl, Na"):
        check_potential(EMTPotential(), Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.6)))

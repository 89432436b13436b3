"""Programs that compute energies, forces and stresses, each behind an ASE calculator."""

from discover.calculations.base import CalculationWarning
from discover.calculations.engines.emt import EMTEngine
from discover.calculations.engines.espresso import EspressoEngine
from discover.calculations.engines.gpaw import GPAWEngine
from discover.calculations.engines.potential import PotentialEngine
from discover.calculations.engines.vasp import VASPEngine

__all__ = [
    "CalculationWarning",
    "EMTEngine",
    "EspressoEngine",
    "GPAWEngine",
    "PotentialEngine",
    "VASPEngine",
]

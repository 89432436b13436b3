"""Properties of the elements, as numbers."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt

PROPERTIES = {
    "mass": "AtomicWeight",
    "mendeleev": "MendeleevNumber",
    "column": "Column",
    "row": "Row",
    "electronegativity": "Electronegativity",
    "covalent_radius": "CovalentRadius",
    "first_ionization": "FirstIonizationEnergy",
    "polarizability": "Polarizability",
    "melting_point": "MeltingT",
    "atomic_volume": "GSvolume_pa",
    "valence_electrons": "NValence",
    "unfilled_states": "NUnfilled",
}
"""Our names, and those of Magpie's tables: u, -, -, -, Pauling, pm, eV, Å³, K, Å³, -, -."""


@lru_cache(maxsize=1)
def elemental_properties() -> npt.NDArray[np.float64]:
    """PROPERTIES of the elements by atomic number (119 x 12), from Magpie's tables in matminer.

    L. Ward et al., npj Comput. Mater. 2, 16028 (2016). A property that was never measured is replaced by
    its mean over all elements. Row 0 is not a number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from matminer.utils.data import MagpieData
        from pymatgen.core import Element

        source = MagpieData(impute_nan=True)
        table = np.full((119, len(PROPERTIES)), np.nan)
        for number in range(1, 119):
            element = Element.from_Z(number)
            table[number] = [
                source.get_elemental_property(element, name) for name in PROPERTIES.values()
            ]
    table.flags.writeable = False
    return table

"""Small-cell crystals of the elements, from which formation energies are counted."""

from __future__ import annotations

from discover.errors import PotentialError
from discover.structures.crystal import Crystal

_Site = tuple[float, float, float]

_STRUCTURES: dict[str, tuple[int, tuple[float, float, float, float, float, float], list[_Site]]] = {
    # Molecular crystals. N is its α form; H, F pack likewise (H at high pressure, F2 hardly binds).
    "H": (205, (4.6, 4.6, 4.6, 90, 90, 90), [(0.0464, 0.0464, 0.0464)]),
    "N": (205, (5.66, 5.66, 5.66, 90, 90, 90), [(0.0561, 0.0561, 0.0561)]),
    "F": (205, (6.0, 6.0, 6.0, 90, 90, 90), [(0.0683, 0.0683, 0.0683)]),
    "O": (12, (5.403, 3.429, 5.086, 90, 132.53, 90), [(0.0575, 0.0, 0.1685)]),  # α
    "Cl": (64, (6.24, 4.48, 8.26, 90, 90, 90), [(0.0, 0.1, 0.1)]),
    "Br": (64, (6.67, 4.48, 8.72, 90, 90, 90), [(0.0, 0.11, 0.135)]),
    "I": (64, (7.27, 4.79, 9.78, 90, 90, 90), [(0.0, 0.1174, 0.1543)]),
    # Chains and layers. S is given the chains of Se in place of its S8 rings (32 atoms), which PBE
    # and its potentials put within 0.01 eV/atom.
    "S": (152, (4.8, 4.8, 4.6, 90, 90, 120), [(0.225, 0.0, 1 / 3)]),
    "Se": (152, (4.366, 4.366, 4.954, 90, 90, 120), [(0.2254, 0.0, 1 / 3)]),
    "Te": (152, (4.457, 4.457, 5.929, 90, 90, 120), [(0.2636, 0.0, 1 / 3)]),
    "P": (
        64,
        (3.314, 10.478, 4.376, 90, 90, 90),
        [(0.0, 0.1017, 0.0806)],
    ),  # black, the most stable
    "C": (
        194,
        (2.461, 2.461, 6.708, 90, 90, 120),
        [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)],
    ),  # graphite
    # Others that ASE has no basis for.
    "He": (194, (3.57, 3.57, 5.83, 90, 90, 120), [(1 / 3, 2 / 3, 0.25)]),
    "B": (
        166,
        (4.908, 4.908, 12.567, 90, 90, 120),
        [(0.1192, -0.1192, 0.8913), (0.1961, -0.1961, 0.0241)],
    ),  # α
    "Mn": (225, (3.5, 3.5, 3.5, 90, 90, 90), [(0, 0, 0)]),  # γ: α has 29 atoms and magnetic order
    "Ga": (64, (4.52, 7.66, 4.53, 90, 90, 90), [(0.0, 0.1549, 0.081)]),  # α
    "Pm": (194, (3.65, 3.65, 5.88, 90, 90, 120), [(1 / 3, 2 / 3, 0.25)]),
    "Pa": (139, (3.925, 3.925, 3.238, 90, 90, 90), [(0, 0, 0)]),
    "U": (63, (2.854, 5.870, 4.955, 90, 90, 90), [(0.0, 0.1025, 0.25)]),  # α
}
"""Space group, cell (Å, degrees) and occupied sites (Donohue, The Structures of the Elements, 1974)."""

_ABSENT = {"Po", "At", "Rn", "Fr", "Ra", "Np", "Pu"}
"""Elements up to Pu without an entry: radioactive, or (Np, Pu) with large low-symmetry cells."""


def elemental_crystal(symbol: str) -> Crystal:
    """The element's stable form at low temperature, or a simple one close to it, unrelaxed.

    Where this table has no entry it is ASE's reference state (hcp, fcc, bcc, diamond, ...; tin is
    metallic). Magnetic order is left to the potential. PotentialError for Po, At, Rn, Fr, Ra, Np, Pu
    and all that is heavier, for which there is none.
    """
    from ase.build import bulk
    from ase.data import atomic_numbers
    from ase.spacegroup import crystal

    if symbol in _STRUCTURES:
        group, cell, sites = _STRUCTURES[symbol]
        atoms = crystal(
            [symbol] * len(sites), sites, spacegroup=group, cellpar=cell, primitive_cell=True
        )
        return Crystal.from_atoms(atoms)
    if symbol in _ABSENT or atomic_numbers[symbol] > 94:
        raise PotentialError(f"there is no reference structure of elemental {symbol}")
    return Crystal.from_atoms(bulk(symbol))

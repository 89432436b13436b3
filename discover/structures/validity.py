"""Whether a crystal is physically possible, and still the one it was before relaxation."""

from __future__ import annotations

from discover.errors import StructureError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup

RELAXED_SYMPREC_ANGSTROM = 0.05
"""Tolerance for the space group of relaxed structures, which carry the optimizer's noise."""

_LAST_COVALENT_RADIUS = 96
"""Cm is the heaviest element with a covalent radius in Cordero's table."""


def distance_problem(crystal: Crystal, min_ratio: float) -> str | None:
    """What is wrong with the shortest distance, periodic images included; None where nothing is.

    A pair is too close when its distance is below `min_ratio` times the sum of its covalent radii
    (B. Cordero et al., Dalton Trans. 2008, 2832). Raises StructureError for elements beyond Cm,
    which have no covalent radius.
    """
    import numpy as np
    from ase.data import chemical_symbols, covalent_radii
    from ase.neighborlist import neighbor_list

    heaviest = max(crystal.numbers)
    if heaviest > _LAST_COVALENT_RADIUS:
        raise StructureError(f"{chemical_symbols[heaviest]} has no tabulated covalent radius")
    atoms = crystal.to_atoms()
    radii = covalent_radii[atoms.numbers]
    first, second, distances = neighbor_list("ijd", atoms, min_ratio * radii)
    if len(distances) == 0:
        return None
    ratios = distances / (radii[first] + radii[second])
    worst = int(np.argmin(ratios))
    pair = "-".join(sorted(atoms.symbols[int(i)] for i in (first[worst], second[worst])))
    return (
        f"{pair} only {distances[worst]:.2f} Å apart, {ratios[worst]:.0%} of the sum of the "
        f"covalent radii (at least {min_ratio:.0%} wanted)"
    )


def symmetry_problem(
    before: Crystal, after: Crystal, symprec: float = RELAXED_SYMPREC_ANGSTROM
) -> str | None:
    """How the space group changed, None where it was kept.

    A higher symmetry is a change too: a wurtzite that becomes P6_3/mmc has lost its prototype.
    `symprec` is in Å. Raises StructureError where either has no space group.
    """
    old, new = spacegroup(before, symprec), spacegroup(after, symprec)
    return None if old == new else f"space group changed from {old} to {new}"

"""Structures with the attributes of the OPTIMADE specification, version 1.2.

C. W. Andersen et al., Sci. Data 8, 217 (2021); https://specification.optimade.org.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import gcd
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from discover.records import Candidate, Observation
from discover.structures.crystal import Crystal
from discover.structures.molecule import Molecule

API_VERSION = "1.2.0"
PREFIX = "_discover_"
"""Before the names of what OPTIMADE does not define."""


def meta(n: int) -> dict[str, Any]:
    """The `meta` of a response that holds all of `n` structures."""
    from discover import __version__

    return {
        "api_version": API_VERSION,
        "query": {"representation": "/structures"},
        "more_data_available": False,
        "data_returned": n,
        "data_available": n,
        "implementation": {"name": "discover", "version": __version__},
    }


def resource(candidate: Candidate, observations: Sequence[Observation]) -> dict[str, Any]:
    """A crystal or molecule as a resource of type `structures`; lengths in Å."""
    return {
        "id": candidate.id,
        "type": "structures",
        "attributes": attributes(candidate, observations),
    }


def attributes(candidate: Candidate, observations: Sequence[Observation]) -> dict[str, Any]:
    """All attributes that OPTIMADE asks for, and under our prefix what was computed."""
    from ase.data import chemical_symbols

    structure = candidate.structure
    if not isinstance(structure, Crystal | Molecule):
        raise TypeError("formulations and compositions have no sites")
    symbols = [chemical_symbols[number] for number in structure.numbers]
    counts = Counter(symbols)
    elements = sorted(counts)
    periodic = isinstance(structure, Crystal)
    divisor = gcd(*counts.values())
    return {
        "immutable_id": candidate.id,
        "last_modified": None,
        "elements": elements,
        "nelements": len(elements),
        "elements_ratios": [counts[element] / len(symbols) for element in elements],
        "chemical_formula_descriptive": candidate.formula or _formula(elements, counts, 1),
        "chemical_formula_reduced": _formula(elements, counts, divisor),
        "chemical_formula_anonymous": _anonymous(counts, divisor),
        "dimension_types": [int(periodic)] * 3,
        "nperiodic_dimensions": 3 if periodic else 0,
        "lattice_vectors": structure.cell_angstrom
        if isinstance(structure, Crystal)
        else [[None] * 3] * 3,
        "cartesian_site_positions": _positions(structure),
        "nsites": len(symbols),
        "species": [
            {"name": element, "chemical_symbols": [element], "concentration": [1.0]}
            for element in elements
        ],
        "species_at_sites": symbols,
        "structure_features": [],
        "space_group_it_number": candidate.spacegroup if periodic else None,
        **{f"{PREFIX}{name}": value for name, value in _own(candidate, observations).items()},
    }


def _own(candidate: Candidate, observations: Sequence[Observation]) -> dict[str, Any]:
    molecule = candidate.structure if isinstance(candidate.structure, Molecule) else None
    return {
        "state": candidate.state.value,
        "generator": candidate.provenance.generator,
        "relaxed_with": candidate.relaxation and candidate.relaxation.potential,
        "formation_energy_ev_per_atom": candidate.formation_energy_ev_per_atom,
        "smiles": molecule and molecule.smiles,
        "charge": molecule and molecule.charge,
        "observations": [
            {
                "id": one.id,
                "property": one.property,
                "value": one.value,
                "unit": one.unit,
                "fidelity": one.fidelity,
                "bound": one.bound,
            }
            for one in observations
        ],
    }


def _positions(structure: Crystal | Molecule) -> list[list[float]]:
    if isinstance(structure, Molecule):
        return [list(row) for row in structure.positions_angstrom]
    cartesian = np.asarray(structure.scaled_positions) @ np.asarray(structure.cell_angstrom)
    return [[float(x) for x in row] for row in cartesian]


def _formula(names: Sequence[str], counts: Counter[str], divisor: int) -> str:
    return "".join(f"{name}{_number(counts[name] // divisor)}" for name in names)


def _anonymous(counts: Counter[str], divisor: int) -> str:
    numbers = sorted((n // divisor for n in counts.values()), reverse=True)
    return "".join(f"{name}{_number(n)}" for name, n in zip(_letters(), numbers, strict=False))


def _letters() -> Iterator[str]:
    """A, B, ..., Z, Aa, Ba, ..., Za, Ab, ..."""
    for second in ("", *ascii_lowercase):
        yield from (first + second for first in ascii_uppercase)


def _number(n: int) -> str:
    return str(n) if n > 1 else ""

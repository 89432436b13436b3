"""The zero of energy: what an engine's energies of the elements differ by from a potential's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from discover.potentials.learning.labels import Label


@dataclass(frozen=True)
class Offsets:
    """Energy to be taken from an engine's total energy for each atom, in eV by level and element.

    Where the labels do not determine each of them (a single compound tells of the sum only),
    `determined` is false and they are the smallest that fit.
    """

    ev_per_atom: Mapping[str, Mapping[str, float]]
    determined: bool

    def of(self, label: Label) -> float:
        """What to take from the energy of this frame, in eV; an unknown element has none."""
        known = self.ev_per_atom.get(label.level, {})
        return sum(known.get(symbol, 0.0) for symbol in label.atoms.get_chemical_symbols())


def fit_offsets(labels: Sequence[Label], energies_ev: Sequence[float]) -> Offsets:
    """Least squares of (E_label - E - sum of offsets) / n, the E being the potential's own, n atoms.

    The solution of least norm, for each level of theory apart.
    """
    found: dict[str, dict[str, float]] = {}
    determined = True
    for level in sorted({label.level for label in labels}):
        rows = [i for i, label in enumerate(labels) if label.level == level]
        symbols = sorted({s for i in rows for s in labels[i].atoms.get_chemical_symbols()})
        counts = np.array([_fractions(labels[i], symbols) for i in rows])
        gaps = np.array(
            [
                (labels[i].atoms.get_potential_energy() - energies_ev[i]) / len(labels[i].atoms)
                for i in rows
            ]
        )
        solution, _, rank, _ = np.linalg.lstsq(counts, gaps, rcond=1e-8)
        found[level] = dict(zip(symbols, solution.tolist(), strict=True))
        determined = determined and int(rank) == len(symbols)
    return Offsets(found, determined)


def _fractions(label: Label, symbols: Sequence[str]) -> NDArray[np.float64]:
    present = label.atoms.get_chemical_symbols()
    return np.array([present.count(symbol) / len(present) for symbol in symbols])


def shifted(label: Label, offsets: Offsets) -> Label:
    """The label with its energy on the potential's scale."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = label.atoms.copy()
    results = dict(label.atoms.calc.results)
    results["energy"] = float(results["energy"]) - offsets.of(label)
    results = {key: results[key] for key in ("energy", "forces", "stress") if key in results}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return replace(label, atoms=atoms)

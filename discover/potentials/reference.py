"""Formation energies from the elements, all computed with one potential."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, FiniteFloat, ValidationError

from discover.campaign import RelaxationSettings
from discover.errors import PotentialError
from discover.files import write_atomically
from discover.potentials.base import Potential
from discover.potentials.elements import elemental_crystal
from discover.potentials.relaxation import relax_many
from discover.records import Record
from discover.structures.crystal import Crystal

_SETTINGS = RelaxationSettings(fmax_ev_per_angstrom=0.03, max_steps=300, max_volume_change=4.0)
"""Molecular crystals change their volume a lot from one potential to another, and are still right."""


class ReferenceTable(Record):
    """What is kept on disk: energies of the elements with one potential, and why some have none."""

    potential: str
    energies_ev_per_atom: dict[str, FiniteFloat] = Field(default_factory=dict)
    failures: dict[str, str] = Field(default_factory=dict)


class ReferenceEnergies:
    """Energies of the relaxed elements with one potential, computed when first asked for, or together.

    Kept in `references-<potential>.json` in `directory` (nowhere for None), so that each element is
    relaxed once a campaign.

    The energies are those that the potential was trained to give. CHGNet and the MACE-MP models
    learned the Materials Project's energies, in CHGNet's case after the corrections of Wang et al.,
    Sci. Rep. 11, 15496 (2021): anions and Hubbard-U metals are shifted in compounds, elements are
    not. So formation energies of oxides come out near experiment with CHGNet, and some tenths of an
    eV/atom too high with a potential that was trained on uncorrected PBE.
    """

    def __init__(self, potential: Potential, directory: Path | None = None) -> None:
        self._potential = potential
        self._file = (
            directory / f"references-{_file_name(potential.name)}.json" if directory else None
        )
        self._table = self._read()

    def energy_ev_per_atom(self, symbol: str) -> float:
        """Energy of the relaxed element; PotentialError with the reason where there is none."""
        self.prepare([symbol])
        if symbol in self._table.failures:
            raise PotentialError(
                f"no reference energy of {symbol} with {self._potential.name}:"
                f" {self._table.failures[symbol]}"
            )
        return self._table.energies_ev_per_atom[symbol]

    def formation_energy(self, crystal: Crystal, energy_ev_per_atom: float) -> float:
        """`energy_ev_per_atom` less the mean of the elements', E − Σ x_i E_i, in eV/atom.

        PotentialError where an element has no reference energy.
        """
        symbols = crystal.to_atoms().get_chemical_symbols()
        elements = {symbol: self.energy_ev_per_atom(symbol) for symbol in sorted(set(symbols))}
        return energy_ev_per_atom - sum(elements[symbol] for symbol in symbols) / len(symbols)

    def prepare(self, symbols: Iterable[str]) -> None:
        """Relax those of the elements that are not in the table yet, all at once."""
        energies, failures = dict(self._table.energies_ev_per_atom), dict(self._table.failures)
        missing = sorted(set(symbols) - energies.keys() - failures.keys())
        if not missing:
            return
        crystals: dict[str, Crystal] = {}
        for symbol in missing:
            try:
                crystals[symbol] = elemental_crystal(symbol)
            except PotentialError as error:
                failures[symbol] = str(error)
        relaxed = relax_many(list(crystals.values()), self._potential, _SETTINGS)
        for symbol, element in zip(crystals, relaxed, strict=True):
            if element.record is None or element.problem is not None:
                failures[symbol] = element.problem or "it has no energy"
            else:
                energies[symbol] = element.record.energy_ev_per_atom
        self._table = ReferenceTable(
            potential=self._potential.name, energies_ev_per_atom=energies, failures=failures
        )
        self._write()

    def _read(self) -> ReferenceTable:
        if self._file is None or not self._file.exists():
            return ReferenceTable(potential=self._potential.name)
        try:
            table = ReferenceTable.model_validate_json(self._file.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise PotentialError(
                f"{self._file} cannot be read as reference energies; delete it to have them computed"
                f" again ({error})"
            ) from error
        if table.potential != self._potential.name:
            raise PotentialError(
                f"{self._file} was made with {table.potential}, not {self._potential.name}; delete it"
                " to have it computed again"
            )
        return table

    def _write(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, self._table.model_dump_json(indent=2))


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)

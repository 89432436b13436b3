"""Kind `stability`: distance to the convex hull and electrochemical window, from competing phases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from discover.calculations.base import ForceEngine, Outcome, Value, check_elements
from discover.calculations.cells import primitive_cell
from discover.calculations.lattice.forces import ForceLog
from discover.calculations.lattice.relaxation import relax
from discover.calculations.phase_diagram import Phase, Stability, stability
from discover.errors import CalculationError, CampaignError, DiscoverError
from discover.potentials.elements import elemental_crystal
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula
from generators.structure_files import absolute_path

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

FORCES = "forces.jsonl"


@dataclass(frozen=True)
class _Competitor:
    crystal: Crystal
    origin: str


class PhaseStability:
    """Hull distance, formation energy and electrochemical window, all energies by the same engine.

    Competing phases are the elements, the decorated prototypes of the candidate's elements
    (`prototypes`), and those crystals of `references` (extxyz, CIF, JSON or Parquet files, or folders, by
    absolute path, there where the job runs) that have no other element. Each is relaxed within its
    symmetry. A hull is only as low as the phases in it: without one that competes, a distance is too
    small and a window too wide; the details list what was there. The window is against the metal of
    `working_ion`, of `working_charge`; candidates without that ion have none.

    It goes on, after a kill, from the last energy.
    """

    name = "stability"
    properties = ("hull_distance", "formation_energy", "reduction_limit", "oxidation_limit")

    def __init__(
        self,
        *,
        references: tuple[Annotated[str, AfterValidator(absolute_path)], ...] = (),
        prototypes: bool = True,
        working_ion: str = "Li",
        working_charge: Annotated[int, Field(ge=1, le=4)] = 1,
        fmax_ev_per_angstrom: Annotated[float, Field(gt=0)] = 0.05,
        max_relaxation_steps: Annotated[int, Field(ge=0)] = 300,
    ) -> None:
        self._references = references
        self._prototypes = prototypes
        self._ion, self._charge = working_ion, working_charge
        self._fmax_ev_per_angstrom = fmax_ev_per_angstrom
        self._max_relaxation_steps = max_relaxation_steps

    def run(self, crystal: Crystal, engine: ForceEngine, directory: Path) -> Outcome:
        """Compute what is not in the directory already.

        Raises CalculationError where the engine lacks an element, and where the candidate or an element
        cannot be relaxed; CampaignError, before anything is computed, where a reference file is not
        there.
        """
        symbols = sorted(set(crystal.to_atoms().get_chemical_symbols()))
        check_elements(engine, symbols)
        competitors, warnings = self._competitors(symbols)
        log = ForceLog(directory / FORCES)
        try:
            own = self._phase(_Competitor(crystal, "candidate"), engine, log, directory)
            phases = [
                self._phase(
                    _Competitor(elemental_crystal(symbol), "element"), engine, log, directory
                )
                for symbol in symbols
            ]
            for competitor in competitors:
                try:
                    phases.append(self._phase(competitor, engine, log, directory))
                except CalculationError as error:
                    formula = reduced_formula(competitor.crystal)
                    warnings.append(f"left out {formula} ({competitor.origin}): {error}")
            found = stability(own, phases, self._ion, self._charge)
        except DiscoverError as error:
            raise CalculationError(str(error), frames=log.frames()) from error
        others = [symbol for symbol in symbols if symbol != self._ion]
        compounds = [phase.elements for phase in phases if len(phase.elements) > 1]
        open_ended = self._ion in symbols and len(others) > 1
        open_ended &= all(self._ion in elements for elements in compounds)
        if open_ended:
            warnings.append(
                f"no compound of {', '.join(others)} without {self._ion} competes: the anodic limit "
                "is an upper bound; add such phases to `references`"
            )
        return Outcome(
            values=_values(found, open_ended=open_ended),
            details={
                "formula": own.formula,
                "energy_ev_per_atom": own.energy_ev_per_atom,
                "phases": [asdict(phase) for phase in phases],
                "decomposition": dict(found.decomposition),
                "seconds": log.seconds,
            },
            warnings=tuple(warnings),
            frames=log.frames(),
        )

    def _competitors(self, symbols: list[str]) -> tuple[list[_Competitor], list[str]]:
        """Crystals that have no other element, and what is to be told of those that are not there."""
        from generators import GeneratorContext
        from generators.prototypes import PrototypeGenerator
        from generators.structure_files import StructureFiles

        everything = GeneratorContext(seed=0, position=0, known=frozenset())
        found: list[_Competitor] = []
        left_out: list[str] = []
        if self._prototypes:
            try:
                space = PrototypeGenerator(elements=tuple(symbols))
            except (
                CampaignError
            ) as error:  # such as metals alone, or Li3N, which no prototype holds
                left_out.append(f"no prototype competes: {error}")
            else:
                found += [
                    _Competitor(candidate.crystal, candidate.prototype or "prototype")
                    for candidate in space.propose(space.size(), everything).candidates
                ]
        for file in self._references:
            files = StructureFiles((file,), drop_invalid=True)
            left_out += [f"left out the reference {place}: {why}" for place, why in files.refused]
            found += [
                _Competitor(candidate.crystal, Path(file).name)
                for candidate in files.propose(files.size(), everything).candidates
                if set(candidate.crystal.to_atoms().get_chemical_symbols()) <= set(symbols)
            ]
        return found, left_out

    def _phase(
        self, competitor: _Competitor, engine: ForceEngine, log: ForceLog, directory: Path
    ) -> Phase:
        cell = primitive_cell(competitor.crystal)
        relaxed = relax(
            cell,
            log.calculator(lambda: _calculator(engine, cell, directory)),
            fmax_ev_per_angstrom=self._fmax_ev_per_angstrom,
            max_steps=self._max_relaxation_steps,
        )
        return Phase(
            formula=reduced_formula(competitor.crystal),
            energy_ev_per_atom=relaxed.energy_ev_per_atom,
            origin=competitor.origin,
        )


def _calculator(engine: ForceEngine, cell: Atoms, directory: Path) -> Calculator:
    return engine.calculator(cell.copy(), directory)


def _values(found: Stability, *, open_ended: bool) -> tuple[Value, ...]:
    values = [
        Value.of("hull_distance", found.hull_distance_ev_per_atom),
        Value.of("formation_energy", found.formation_energy_ev_per_atom),
    ]
    if found.reduction_limit_v is not None and found.oxidation_limit_v is not None:
        values += [
            Value.of("reduction_limit", found.reduction_limit_v),
            Value.of(
                "oxidation_limit", found.oxidation_limit_v, bound="below" if open_ended else None
            ),
        ]
    return tuple(values)

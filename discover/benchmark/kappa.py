"""Lattice thermal conductivity of many compounds with a potential, against reference values."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from discover.benchmark.kappa_compound import Measured, Settings, check_compound, measured
from discover.benchmark.kappa_data import Compound, choose, read_compounds
from discover.benchmark.kappa_report import parity_figure, table
from discover.benchmark.kappa_results import Result, Row, row, summary
from discover.calculations.cells import primitive_cell
from discover.calculations.lattice.force_constants import Method, check_method
from discover.errors import StructureError
from discover.files import write_atomically
from discover.potentials import Potential, load_potential, unknown_elements
from discover.report.canvas import png
from discover.report.notation import duration_text

COMPOUNDS = "compounds"
EXACT: Method = "finite-displacements"

Told = Callable[[str], None]


def run(
    structures: Path,
    potential: str,
    out: Path,
    *,
    reference: str | None = None,
    reference_modes: Path | None = None,
    limit: int | None = None,
    force_constants: Method = "symfc",
    temperature_k: float = 300.0,
    against_finite_displacements: int = 0,
    told: Told = lambda _: None,
) -> Result:
    """Conductivities, errors and costs; `results.json`, `results.csv` and `figure.png` in `out`.

    Each compound's forces and outcome are kept in `out` as they come: the same call goes on where a
    killed one was, and tries again what failed. `limit` chooses as many of each prototype;
    `against_finite_displacements` of these are also computed by full finite displacements. Raises
    StructureError for what is wrong with a file, PotentialError and PluginError for the potential,
    CalculationError where a supercell is too large: all before any force is computed.
    """
    methods = [force_constants, *([EXACT] if against_finite_displacements else [])]
    for method in methods:
        check_method(method)
    chosen = load_potential(potential, Path.cwd())
    compounds = choose(
        read_compounds(
            structures,
            reference=reference,
            modes_file=reference_modes,
            temperature_k=temperature_k,
        ),
        limit,
    )
    settings = Settings(
        potential=chosen.name, force_constants=force_constants, temperature_k=temperature_k
    )
    exact_settings = settings.model_copy(update={"force_constants": EXACT})
    foreign = _foreign(compounds, chosen)
    known = sorted((c for c in compounds if c.id not in foreign), key=_cost)  # cheap ones first
    _tell_gaps(compounds, reference_modes, foreign, told)
    compared = choose(known, against_finite_displacements) if against_finite_displacements else []
    for compound in known:
        check_compound(compound, settings)
    for compound in compared:
        check_compound(compound, exact_settings)
    folder = out / COMPOUNDS
    folder.mkdir(parents=True, exist_ok=True)
    calculator = functools.cache(chosen.calculator)

    found = {name: Measured(reason=reason) for name, reason in foreign.items()}
    clock = _Clock([*known, *compared])
    for compound in known:
        found[compound.id] = measured(compound, settings, calculator, folder)
        told(clock.line(row(compound, found[compound.id])))
    exact = {}
    for compound in compared:
        exact[compound.id] = measured(compound, exact_settings, calculator, folder)
        told(clock.line(row(compound, exact[compound.id]), "by finite displacements: "))
    rows = tuple(row(c, found[c.id], exact.get(c.id)) for c in compounds)
    result = Result(
        settings=settings,
        structures=str(structures),
        reference=reference,
        reference_modes=str(reference_modes) if reference_modes else None,
        summary=summary(rows),
        rows=rows,
    )
    write_atomically(out / "results.json", result.model_dump_json(indent=2))
    write_atomically(out / "results.csv", table(rows))
    write_atomically(out / "figure.png", png(parity_figure(rows, chosen.name)))
    return result


class _Clock:
    """Lines of progress, with the time that the compounds still to come will take."""

    def __init__(self, compounds: Sequence[Compound]) -> None:
        self._costs = [_cost(compound) for compound in compounds]
        self._done = 0
        self._started = time.perf_counter()

    def line(self, finished: Row, prefix: str = "") -> str:
        self._done += 1
        words = [
            f"[{self._done}/{len(self._costs)}] {prefix}{finished.formula} {finished.prototype}:"
        ]
        if finished.kappa_w_mk is None:
            words.append(f"no κ: {finished.reason}")
        else:
            words.append(f"κ {finished.kappa_w_mk:.3g} W/m/K")
        if finished.reference_w_mk is not None:
            words.append(f"(reference {finished.reference_w_mk:.3g})")
        if finished.srme is not None:
            words.append(f"κ_SRME {finished.srme:.2f}")
        words.append(f"{finished.force_calls} force calls, {duration_text(finished.seconds)}")
        passed = time.perf_counter() - self._started
        left = passed * sum(self._costs[self._done :]) / sum(self._costs[: self._done])
        return " ".join(words) + (f"; about {duration_text(left)} left" if left else "")


def _cost(compound: Compound) -> float:
    """Scattering takes most of the time: about the square of the number of atoms."""
    return float(len(primitive_cell(compound.crystal)) ** 2)


def _foreign(compounds: Sequence[Compound], potential: Potential) -> dict[str, str]:
    """Compounds with elements that the potential does not know, and what to say of them."""
    foreign = {}
    for compound in compounds:
        unknown = unknown_elements(potential, compound.crystal.to_atoms().get_chemical_symbols())
        if unknown:
            foreign[compound.id] = f"{potential.name} does not know {', '.join(unknown)}"
    if len(foreign) == len(compounds):
        raise StructureError(
            f"{potential.name} knows the elements of none of the {len(compounds)} compounds"
        )
    return foreign


def _tell_gaps(
    compounds: Sequence[Compound], modes_file: Path | None, foreign: dict[str, str], told: Told
) -> None:
    for name, reason in foreign.items():
        told(f"{name}: left out: {reason}")
    without = [compound.id for compound in compounds if compound.modes is None]
    if modes_file and without:
        told(f"{modes_file} has no modes of {', '.join(without)}: no κ_SRME of these")
    if any(compound.conditions.supercell for compound in compounds):
        told("supercells as the file of structures names them")

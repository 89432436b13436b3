"""The conductivity of one compound with a potential, each force and the outcome kept on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import FiniteFloat, ValidationError

from discover.benchmark.kappa_data import Compound
from discover.calculations.cells import primitive_cell
from discover.calculations.lattice.conductivity import conductivity, irreducible_qpoints
from discover.calculations.lattice.force_constants import (
    Method,
    check_memory,
    displace,
    fit_force_constants,
    force_sets,
    phonon_calculation,
)
from discover.calculations.lattice.forces import ForceLog
from discover.calculations.lattice.relaxation import relax
from discover.calculations.lattice.stability import minimum_frequency
from discover.calculations.lattice.supercells import (
    Matrix,
    atoms_in,
    choose_mesh,
    choose_supercell,
    image_distance,
)
from discover.errors import CalculationError, DiscoverError, StructureError
from discover.files import write_atomically
from discover.records import Record, content_hash
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from phono3py import Phono3py

_SAME_CELL = 0.01
"""Cells whose lengths and angles differ by less than this share are the same."""


_CENTRINGS = 6
"""Primitive vectors are so many parts of conventional ones: halves (I, F, C) and thirds (R)."""


class Settings(Record):
    """What is the same for all compounds; supercells and meshes are those of `Conditions` if given."""

    potential: str
    force_constants: Method = "symfc"
    temperature_k: float = 300.0
    isotopes: bool = True
    fmax_ev_per_angstrom: float = 1e-3
    max_relaxation_steps: int = 300
    distance_angstrom: float = 0.03
    seed: int = 0
    min_length_angstrom: float = 7.5
    min_atoms: int = 48
    max_atoms: int = 256
    second_order_min_length_angstrom: float = 15.0
    """Modes need second-order force constants that reach farther than the third-order ones: acoustic
    branches, whose order decides which is compared with which, and long waves hang on them."""
    second_order_max_atoms: int = 512
    mesh_length_angstrom: float = 40.0
    max_imaginary_thz: float = 0.1
    """A lower frequency than its negative makes a compound unstable: it has no conductivity."""


class Measured(Record):
    """What came out for one compound: conductivities in W/m/K, or the `reason` why there is none.

    `modes` (Q, B) is what each mode conducts, with the multiplicity of its q-point in it, and
    `weights` (Q,) those multiplicities. `force_calls` are supercells, the perfect ones among them;
    `seconds` include those of earlier processes that were killed.
    """

    unstable: bool = False
    reason: str | None = None
    kappa_w_mk: FiniteFloat | None = None
    kappa_particle_w_mk: FiniteFloat | None = None
    kappa_coherence_w_mk: FiniteFloat | None = None
    kappa_tensor_w_mk: tuple[tuple[FiniteFloat, ...], ...] | None = None
    minimum_frequency_thz: FiniteFloat | None = None
    volume_ratio: FiniteFloat | None = None
    """Volume of the relaxed cell over that in the file."""
    supercell_atoms: int | None = None
    second_order_supercell_atoms: int | None = None
    mesh: tuple[int, int, int] | None = None
    force_calls: int = 0
    relaxation_calls: int = 0
    force_seconds: float = 0.0
    seconds: float = 0.0
    modes: tuple[tuple[FiniteFloat, ...], ...] = ()
    weights: tuple[int, ...] = ()


def measured(
    compound: Compound, settings: Settings, make: Callable[[], Calculator], out: Path
) -> Measured:
    """The conductivity of this compound: what is in `out` already, or computed and put there.

    Each compound and setting has a folder of its own, named by its content. What fails is not kept
    but for its forces, so that it is tried again.
    """
    folder = out / folder_name(compound, settings)
    file = folder / "conductivity.json"
    if file.exists():
        try:
            return Measured.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise CalculationError(
                f"{file} is damaged; delete it to compute anew: {error}"
            ) from error
    folder.mkdir(parents=True, exist_ok=True)
    outcome = _measure(compound, settings, make, folder)
    if outcome.reason is None or outcome.unstable:
        write_atomically(file, outcome.model_dump_json())
    return outcome


def folder_name(compound: Compound, settings: Settings) -> str:
    """The id with a digest of the crystal and of all settings."""
    digest = content_hash(
        {
            "settings": settings.model_dump(mode="json"),
            "crystal": compound.crystal.model_dump(mode="json"),
            "supercells": [
                compound.conditions.supercell,
                compound.conditions.second_order_supercell,
            ],
            "mesh": _mesh(compound),
        },
        length=8,
    )
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in compound.id)
    return f"{safe}-{settings.force_constants}-{digest}"


def check_compound(compound: Compound, settings: Settings) -> None:
    """Refuse, before any force is computed, what cannot work with this compound.

    StructureError where its supercells are not those of a standard cell, or where the q-points of its
    reference modes are not the irreducible ones of its mesh; CalculationError where the supercell is
    too large for its limits or for the memory at hand.
    """
    cell = primitive_cell(compound.crystal)
    supercells = _supercells(compound, cell, settings)
    check_memory(atoms_in(supercells.unit_cell, supercells.third), settings.force_constants)
    if compound.modes is None:
        return
    reference = compound.modes
    qpoints, weights = irreducible_qpoints(phonon_calculation(cell, np.eye(3)), reference.mesh)
    same = weights.shape == reference.weights.shape and np.array_equal(weights, reference.weights)
    if not same or np.abs(qpoints - reference.qpoints).max() > 1e-6:
        raise StructureError(
            f"{compound.id} ({compound.formula}): the reference modes are on {len(reference.weights)} "
            f"q-points, and the mesh {_times(reference.mesh)} of this crystal has other "
            f"{len(weights)} irreducible ones: qpoints, weights and q_mesh must be those of phono3py "
            "for its standard primitive cell"
        )
    bands = 3 * len(cell)
    if reference.modes.shape[1] != bands:
        raise StructureError(
            f"{compound.id} ({compound.formula}): the reference has {reference.modes.shape[1]} bands, "
            f"and a primitive cell of {len(cell)} atoms has {bands}"
        )


def _measure(
    compound: Compound, settings: Settings, make: Callable[[], Calculator], folder: Path
) -> Measured:
    started = time.perf_counter()
    relaxation, log = ForceLog(folder / "relaxation.jsonl"), ForceLog(folder / "forces.jsonl")
    before = relaxation.seconds + log.seconds
    found: dict[str, Any] = {}
    try:
        _compute(compound, settings, make, relaxation, log, found)
    except DiscoverError as error:
        found["reason"] = str(error)
    except Exception as error:  # noqa: BLE001 one compound never costs the others
        found["reason"] = f"unexpected: {type(error).__name__}: {error}"
    return Measured(
        **found,
        force_calls=len(log),
        relaxation_calls=len(relaxation),
        force_seconds=log.seconds,
        seconds=time.perf_counter() - started + before,
    )


def _compute(
    compound: Compound,
    settings: Settings,
    make: Callable[[], Calculator],
    relaxation: ForceLog,
    log: ForceLog,
    found: dict[str, Any],
) -> None:
    """Fill `found` as far as it goes."""
    cell = primitive_cell(compound.crystal)
    relaxed = relax(
        cell,
        relaxation.calculator(make),
        fmax_ev_per_angstrom=settings.fmax_ev_per_angstrom,
        max_steps=settings.max_relaxation_steps,
    ).cell
    found["volume_ratio"] = relaxed.get_volume() / cell.get_volume()
    ph3 = _phonons(compound, relaxed, settings)
    mesh = _mesh(compound) or choose_mesh(relaxed, settings.mesh_length_angstrom)
    found["supercell_atoms"] = len(ph3.supercell)
    found["second_order_supercell_atoms"] = len(ph3.phonon_supercell)
    found["mesh"] = mesh
    method = settings.force_constants
    displace(
        ph3, method, distance_angstrom=settings.distance_angstrom, snapshots=None,
        seed=settings.seed,
    )  # fmt: skip
    fit_force_constants(ph3, force_sets(ph3, log.calculator(make)), method)
    lowest = minimum_frequency(ph3, mesh)
    found["minimum_frequency_thz"] = lowest
    if lowest < -settings.max_imaginary_thz:
        found["unstable"] = True
        found["reason"] = f"dynamically unstable: an imaginary mode of {-lowest:.2f}i THz"
        return
    result = conductivity(ph3, mesh, [settings.temperature_k], isotopes=settings.isotopes)
    found["kappa_w_mk"] = result.average()
    found["kappa_particle_w_mk"] = float(np.trace(result.kappa_particle[0]) / 3)
    found["kappa_coherence_w_mk"] = float(np.trace(result.kappa_coherence[0]) / 3)
    found["kappa_tensor_w_mk"] = result.kappa_total[0].tolist()
    found["modes"] = [[float(f"{k:.7g}") for k in row] for row in result.mode_total[0]]
    found["weights"] = result.weights.tolist()


def _phonons(compound: Compound, cell: Atoms, settings: Settings) -> Phono3py:
    """Phono3py of a primitive cell, in the supercells of the compound or chosen ones."""
    supercells = _supercells(compound, cell, settings)
    columns = (cell.cell.array @ np.linalg.inv(supercells.unit_cell.cell.array)).T
    return phonon_calculation(
        supercells.unit_cell,
        supercells.third,
        supercells.second,
        primitive_matrix=np.rint(_CENTRINGS * columns) / _CENTRINGS,
    )


class _Supercells(NamedTuple):
    """In multiples of the unit cell's vectors; `second` None where it is the third order's."""

    unit_cell: Atoms
    third: Matrix
    second: Matrix | None


def _supercells(compound: Compound, cell: Atoms, settings: Settings) -> _Supercells:
    given = compound.conditions
    if given.supercell is not None:
        unit_cell = _as_in_file(compound, cell)
        return _Supercells(unit_cell, given.supercell, given.second_order_supercell)
    third = choose_supercell(
        cell,
        min_length_angstrom=settings.min_length_angstrom,
        min_atoms=settings.min_atoms,
        max_atoms=settings.max_atoms,
    )
    return _Supercells(cell, third, _second_order_supercell(cell, third, settings))


def _second_order_supercell(cell: Atoms, third: Matrix, settings: Settings) -> Matrix | None:
    """One of the length wanted, or as long as its atoms allow; None where the third order's is."""
    length = settings.second_order_min_length_angstrom
    while length > image_distance(cell, third):
        try:
            return choose_supercell(
                cell,
                min_length_angstrom=length,
                min_atoms=settings.min_atoms,
                max_atoms=settings.second_order_max_atoms,
            )
        except CalculationError:  # too many atoms
            length -= 1.0
    return None


def _as_in_file(compound: Compound, primitive: Atoms) -> Atoms:
    """The standard cell that the file has, whose vectors the supercells are multiples of."""
    given = compound.crystal.to_atoms().cell.cellpar()
    for is_primitive in (True, False):
        standard = standardized(compound.crystal, primitive=is_primitive).to_atoms()
        if np.allclose(standard.cell.cellpar(), given, rtol=_SAME_CELL):
            return standardized(Crystal.from_atoms(primitive), primitive=is_primitive).to_atoms()
    raise StructureError(
        f"{compound.id} ({compound.formula}): its fc3_supercell is in multiples of a cell that is "
        "neither the standard primitive nor the standard conventional one: give one of these"
    )


def _mesh(compound: Compound) -> tuple[int, int, int] | None:
    return compound.modes.mesh if compound.modes else compound.conditions.mesh


def _times(numbers: Matrix | tuple[int, int, int]) -> str:
    return " x ".join(map(str, numbers))

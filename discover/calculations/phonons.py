"""Kind `phonons`: lattice thermal conductivity from the forces in displaced supercells."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from discover.calculations.base import ForceEngine, Outcome, Value, check_elements
from discover.calculations.cells import primitive_cell
from discover.calculations.lattice import memory
from discover.calculations.lattice.conductivity import (
    Conductivity,
    Solution,
    conductivity,
    irreducible_points,
)
from discover.calculations.lattice.force_constants import (
    ForceSets,
    Method,
    NonAnalyticalCorrection,
    ase_supercell,
    basis_size,
    check_memory,
    check_method,
    default_snapshots,
    displace,
    fit_force_constants,
    force_sets,
    phonon_calculation,
)
from discover.calculations.lattice.forces import ForceLog
from discover.calculations.lattice.relaxation import Relaxed, relax
from discover.calculations.lattice.spectra import (
    PhononSpectra,
    band_structure,
    density_of_states,
    gruneisen_parameters,
    transport,
)
from discover.calculations.lattice.stability import minimum_frequency
from discover.calculations.lattice.supercells import (
    Matrix,
    as_matrix,
    atoms_in,
    choose_mesh,
    choose_supercell,
)
from discover.errors import CalculationError, DiscoverError
from discover.files import write_atomically
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from phono3py import Phono3py

FORCES = "forces.jsonl"
SPECTRA = "phonons.json"

Positive = Annotated[float, Field(gt=0)]
Multiple = Annotated[int, Field(ge=1)]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """The supercells and meshes for one cell, with its displaced supercells."""

    ph3: Phono3py
    supercell: Matrix
    second_order_supercell: Matrix | None
    mesh: tuple[int, int, int]
    coarse_mesh: tuple[int, int, int]
    snapshots: int | None
    recommended_snapshots: int | None
    displacements: int


class Phonons:
    """Thermal conductivity and dynamical stability from second- and third-order force constants.

    The primitive cell is relaxed inside its space group (`relax`), supercells are displaced, their
    forces fitted by `force_constants` (`symfc` of random displacements, `finite-displacements` by ones
    and twos, or `pypolymlp`: symfc of forces from a polynomial potential trained on them), and the
    Wigner conductivity follows from three-phonon and isotope scattering in the relaxation-time
    approximation or by the direct solution (`method`). `lattice` has the parts, with their sources.

    What is not given is chosen for the crystal: `supercell` (multiples of the primitive vectors) has
    images `min_length_angstrom` apart and `min_atoms`, `snapshots` are four times what the unknowns
    take, the q-mesh has `mesh_length_angstrom` · |b| points along each axis. `second_order_supercell`
    gives the second order one of its own. The first of `temperatures_k` is that of the value.

    Guards: too little memory for the supercell or the mesh is refused before any force is computed; a
    relaxation that does not converge or loses symmetry fails, and so does a force that is no number. A
    crystal with a frequency below -`max_imaginary_thz` has no conductivity: `minimum_frequency` is its
    only value. The conductivity is quarantined where more stress than `max_residual_stress_gpa` is
    left, where there are fewer snapshots than recommended, or where half of them give one that is off
    by more than the share `max_half_difference`.
    """

    name = "phonons"
    properties = ("thermal_conductivity", "minimum_frequency")

    def __init__(
        self,
        *,
        temperatures_k: Annotated[tuple[Positive, ...], Field(min_length=1)] = (300.0,),
        relax: bool = True,
        fmax_ev_per_angstrom: Positive = 1e-3,
        max_relaxation_steps: Annotated[int, Field(ge=1)] = 200,
        max_residual_stress_gpa: Positive = 0.2,
        supercell: tuple[Multiple, Multiple, Multiple] | None = None,
        second_order_supercell: tuple[Multiple, Multiple, Multiple] | None = None,
        min_length_angstrom: Positive = 7.5,
        min_atoms: Annotated[int, Field(ge=1)] = 48,
        max_atoms: Annotated[int, Field(ge=1)] = 256,
        force_constants: Method = "symfc",
        distance_angstrom: Annotated[float, Field(gt=0, le=0.3)] = 0.03,
        snapshots: Annotated[int, Field(ge=2)] | None = None,
        seed: Annotated[int, Field(ge=0)] = 0,
        mesh_length_angstrom: Positive = 35.0,
        method: Solution = "rta",
        isotopes: bool = True,
        nac: NonAnalyticalCorrection | None = None,
        max_imaginary_thz: Positive = 0.1,
        max_half_difference: Positive = 0.3,
    ) -> None:
        self._temperatures_k = temperatures_k
        self._relax = relax
        self._fmax_ev_per_angstrom = fmax_ev_per_angstrom
        self._max_relaxation_steps = max_relaxation_steps
        self._max_residual_stress_gpa = max_residual_stress_gpa
        self._supercell = supercell
        self._second_order_supercell = second_order_supercell
        self._min_length_angstrom = min_length_angstrom
        self._min_atoms = min_atoms
        self._max_atoms = max_atoms
        self._force_constants = force_constants
        self._distance_angstrom = distance_angstrom
        self._snapshots = snapshots
        self._seed = seed
        self._mesh_length_angstrom = mesh_length_angstrom
        self._solution = method
        self._isotopes = isotopes
        self._nac = nac
        self._max_imaginary_thz = max_imaginary_thz
        self._max_half_difference = max_half_difference

    def run(self, crystal: Crystal, engine: ForceEngine, directory: Path) -> Outcome:
        """Compute, going on from the forces that are in the directory already.

        Raises CalculationError, with what was computed so far, where a guard says so or the engine
        fails; MissingDependencyError where a package for `force_constants` is missing.
        """
        check_method(self._force_constants)
        cell = primitive_cell(crystal)
        check_elements(engine, cell.get_chemical_symbols())
        self._plan(cell)  # what is too large is refused before anything is computed
        log = ForceLog(directory / FORCES)
        try:
            relaxed = relax(
                cell,
                log.calculator(_maker(engine, cell, directory / "relaxation")),
                fmax_ev_per_angstrom=self._fmax_ev_per_angstrom,
                max_steps=self._max_relaxation_steps if self._relax else 0,
            )
            plan = self._plan(relaxed.cell)
            forces = self._forces(plan, engine, log, directory)
            outcome = self._outcome(relaxed, plan, forces, log, directory)
        except DiscoverError as error:
            raise CalculationError(str(error), frames=log.frames()) from error
        return outcome

    def _plan(self, cell: Atoms) -> _Plan:
        """Choose and displace; CalculationError where it would not fit into memory."""
        supercell = (
            as_matrix(self._supercell)
            if self._supercell
            else choose_supercell(
                cell,
                min_length_angstrom=self._min_length_angstrom,
                min_atoms=self._min_atoms,
                max_atoms=self._max_atoms,
            )
        )
        second = as_matrix(self._second_order_supercell) if self._second_order_supercell else None
        mesh = choose_mesh(cell, self._mesh_length_angstrom)
        check_memory(atoms_in(cell, supercell), self._force_constants)
        self._check_mesh(cell, mesh)
        ph3 = phonon_calculation(cell, supercell, second, correction=self._nac)
        random = self._force_constants != "finite-displacements"
        if random:
            check_memory(len(ph3.supercell), self._force_constants, basis_size(ph3))
        if self._solution == "lbte":
            self._check_mesh(cell, mesh, irreducible_points(ph3, mesh))
        recommended = default_snapshots(ph3, self._force_constants) if random else None
        return _Plan(
            ph3=ph3,
            supercell=supercell,
            second_order_supercell=second,
            mesh=mesh,
            coarse_mesh=choose_mesh(cell, self._mesh_length_angstrom / 2),
            snapshots=(self._snapshots or recommended) if random else None,
            recommended_snapshots=recommended,
            displacements=displace(
                ph3,
                self._force_constants,
                distance_angstrom=self._distance_angstrom,
                snapshots=self._snapshots or recommended,
                seed=self._seed,
            ),
        )

    def _check_mesh(
        self, cell: Atoms, mesh: tuple[int, int, int], solved_together: int = 0
    ) -> None:
        memory.require(
            memory.conductivity_bytes(3 * len(cell), mesh, solved_together),
            f"scattering on a mesh of {' x '.join(map(str, mesh))} q-points",
            "lower mesh_length_angstrom" + (", choose method rta" if solved_together else ""),
        )

    def _forces(
        self, plan: _Plan, engine: ForceEngine, log: ForceLog, directory: Path
    ) -> ForceSets:
        ph3 = plan.ph3
        _log.info("%d displaced supercells of %d atoms", plan.displacements, len(ph3.supercell))

        def calculator(supercell: Any, folder: str) -> Calculator:
            perfect = ase_supercell(supercell)
            return log.calculator(_maker(engine, perfect, directory / folder))

        return force_sets(
            ph3,
            calculator(ph3.supercell, "supercell"),
            calculator(ph3.phonon_supercell, "second-order-supercell"),
        )

    def _outcome(
        self, relaxed: Relaxed, plan: _Plan, forces: ForceSets, log: ForceLog, directory: Path
    ) -> Outcome:
        ph3 = plan.ph3
        fit_force_constants(ph3, forces, self._force_constants)
        lowest = minimum_frequency(ph3, plan.mesh)
        _log.info("force constants fitted; lowest frequency %.3f THz", lowest)
        details = self._details(relaxed, plan, forces, log)
        stressed = self._stress_problem(relaxed)
        values = [Value.of("minimum_frequency", lowest, stressed)]
        warnings: tuple[str, ...] = ()
        result = None
        if lowest < -self._max_imaginary_thz:
            details["unstable"] = True
            unstable = (
                f"dynamically unstable: an imaginary mode of {-lowest:.2f}i THz; such a crystal has "
                "no lattice thermal conductivity"
            )
            warnings = (unstable,)
        else:
            result = self._conductivity(ph3, plan.mesh)
            _log.info("%.4g W/m/K at %g K", result.average(), self._temperatures_k[0])
            if not np.isfinite(result.kappa_total).all():
                raise CalculationError(
                    f"the conductivity is not a finite number: nothing scatters on a mesh of "
                    f"{' x '.join(map(str, plan.mesh))} q-points; raise mesh_length_angstrom"
                )
            details |= _conductivity_details(result)
        self._write_spectra(plan, result, directory)
        if result is not None:
            halved = self._half(plan, forces, result.average()) if plan.snapshots else {}
            details |= halved
            problem = stressed or self._snapshot_problem(plan, result.average(), halved)
            values.insert(0, Value.of("thermal_conductivity", result.average(), problem))
        return Outcome(
            values=tuple(values),
            details=details,
            warnings=warnings,
            frames=log.frames(),
            files=(SPECTRA,),
        )

    def _conductivity(self, ph3: Phono3py, mesh: tuple[int, int, int]) -> Conductivity:
        return conductivity(
            ph3, mesh, self._temperatures_k, solution=self._solution, isotopes=self._isotopes
        )

    def _half(self, plan: _Plan, forces: ForceSets, kappa: float) -> dict[str, Any]:
        """κ from the first half of the snapshots, by its ratio to κ from all on a coarser mesh."""
        of_all = self._conductivity(plan.ph3, plan.coarse_mesh).average()
        half = (plan.snapshots or 0) // 2
        fit_force_constants(plan.ph3, forces, self._force_constants, snapshots=half)
        ratio = self._conductivity(plan.ph3, plan.coarse_mesh).average() / of_all
        _log.info("%.4g W/m/K from half of the snapshots", kappa * ratio)
        return {
            "kappa_half_w_mk": kappa * ratio,
            "kappa_error_w_mk": abs(1 - ratio) * kappa,
            "half_mesh": list(plan.coarse_mesh),
        }

    def _snapshot_problem(self, plan: _Plan, kappa: float, halved: dict[str, Any]) -> str | None:
        if plan.snapshots is None or plan.recommended_snapshots is None:
            return None
        if plan.snapshots < plan.recommended_snapshots:
            return (
                f"too few snapshots: {plan.snapshots}, where this crystal and supercell take "
                f"{plan.recommended_snapshots}; the conductivity is biased"
            )
        if not halved["kappa_error_w_mk"] <= self._max_half_difference * kappa:
            return (
                f"too few snapshots: half of them give {halved['kappa_half_w_mk']:.3g} W/m/K, and "
                f"all {kappa:.3g}"
            )
        return None

    def _stress_problem(self, relaxed: Relaxed) -> str | None:
        if relaxed.max_stress_gpa <= self._max_residual_stress_gpa:
            return None
        return (
            f"a stress of {relaxed.max_stress_gpa:.2f} GPa is left in the cell, where "
            f"{self._max_residual_stress_gpa:g} is allowed"
        )

    def _write_spectra(self, plan: _Plan, result: Conductivity | None, directory: Path) -> None:
        ph3 = plan.ph3
        formula = ase_supercell(ph3.primitive).get_chemical_formula()
        spectra = PhononSpectra(
            formula=formula,
            bands=band_structure(ph3),
            density_of_states=density_of_states(ph3, plan.mesh),
            gruneisen=gruneisen_parameters(ph3, plan.coarse_mesh) if result else None,
            transport=tuple(transport(result, index) for index in range(len(result.temperatures_k)))
            if result
            else (),
        )
        write_atomically(directory / SPECTRA, spectra.model_dump_json())

    def _details(
        self, relaxed: Relaxed, plan: _Plan, forces: ForceSets, log: ForceLog
    ) -> dict[str, Any]:
        cell = relaxed.cell
        return {
            "formula": cell.get_chemical_formula(),
            "atoms": len(cell),
            "volume_angstrom3": float(cell.get_volume()),
            "spacegroup": relaxed.spacegroup,
            "relaxation_steps": relaxed.steps,
            "residual_force_ev_per_angstrom": relaxed.max_force_ev_per_angstrom,
            "residual_stress_gpa": relaxed.max_stress_gpa,
            "residual_force_in_supercell_ev_per_angstrom": forces.residual,
            "force_constants": self._force_constants,
            "supercell": [list(row) for row in plan.supercell],
            "supercell_atoms": atoms_in(cell, plan.supercell),
            "second_order_supercell": (
                [list(row) for row in plan.second_order_supercell]
                if plan.second_order_supercell
                else None
            ),
            "distance_angstrom": self._distance_angstrom,
            "snapshots": plan.snapshots,
            "recommended_snapshots": plan.recommended_snapshots,
            "displaced_supercells": plan.displacements,
            "force_calls": len(log),
            "force_seconds": log.seconds,
            "mesh": list(plan.mesh),
            "method": self._solution,
            "isotopes": self._isotopes,
            "nac": self._nac is not None,
            "unstable": False,
            "versions": {name: version(name) for name in ("phono3py", "phonopy", "symfc")},
        }


def _conductivity_details(result: Conductivity) -> dict[str, Any]:
    return {
        "temperatures_k": result.temperatures_k.tolist(),
        "kappa_w_mk": [result.average(i) for i in range(len(result.temperatures_k))],
        "kappa_tensor_w_mk": result.kappa_total.tolist(),
        "kappa_particle_w_mk": (np.trace(result.kappa_particle, axis1=1, axis2=2) / 3).tolist(),
        "kappa_coherence_w_mk": (np.trace(result.kappa_coherence, axis1=1, axis2=2) / 3).tolist(),
    }


def _maker(engine: ForceEngine, atoms: Atoms, folder: Path) -> Callable[[], Calculator]:
    """Makes the engine's calculator for this cell, in a folder of its own."""

    def make() -> Calculator:
        folder.mkdir(exist_ok=True)
        return engine.calculator(atoms, folder)

    return make

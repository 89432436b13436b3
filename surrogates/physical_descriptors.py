"""Descriptor `physical`: how stiff and how anharmonic a crystal is, as a potential sees it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover.errors import CalculationError, MissingDependencyError, PotentialError, StructureError
from discover.records import Candidate

if TYPE_CHECKING:
    from ase import Atoms

    from discover.calculations.equation_of_state import BirchMurnaghan
    from discover.potentials.base import Potential
    from discover.potentials.batches import Evaluate

Array = npt.NDArray[np.float64]

STRAINS = np.linspace(-0.06, 0.06, 13)
"""Linear strains at which the energy is computed; the seven around the lowest energy are fitted."""

HALF_WINDOW = 3
POISSON_RATIO = 0.25
DISPLACEMENT_ANGSTROM = 0.03
MIN_LENGTH_ANGSTROM, MIN_ATOMS, MAX_ATOMS = 7.0, 16, 256
"""Supercell for phonons: smaller than for a conductivity, since only the mean frequency is wanted."""

MESH_LENGTH_ANGSTROM = 20.0


class PhysicalDescriptor:
    """Bulk modulus, Debye temperature, Grüneisen parameter and mean phonon frequency from a potential.

    The first three come from E(V) of the primitive cell as in `discover.calculations.agl`, where its
    sources are; the last is the mean over all modes (imaginary ones count as negative) from force
    constants by finite displacements at the volume where E(V) is lowest. `potential` is a name as in a
    campaign file, or a potential.
    """

    def __init__(self, potential: Any = "mace:bundled") -> None:
        if importlib.util.find_spec("phonopy") is None:
            raise MissingDependencyError(
                "the descriptor 'physical' needs the package phonopy, which is not installed:"
                " pip install 'discover-materials[phonons]'"
            )
        self._chosen = potential

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the four columns, with units."""
        return (
            "log10_bulk_modulus_gpa",
            "log10_debye_temperature_k",
            "gruneisen_parameter",
            "mean_phonon_frequency_thz",
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 4).

        StructureError naming the first candidate that the potential cannot describe: an element that it
        does not know, no minimum of E(V) within 5 % of the given length, or no supercell of 256 atoms.
        """
        return np.array([self._row(candidate) for candidate in candidates])

    @cached_property
    def _potential(self) -> Potential:
        from discover.potentials import load_potential

        return load_potential(self._chosen) if isinstance(self._chosen, str) else self._chosen

    @cached_property
    def _evaluate(self) -> Evaluate:
        from discover.potentials.batches import evaluator

        return evaluator(self._potential)

    def _row(self, candidate: Candidate) -> list[float]:
        from discover.calculations import debye
        from discover.potentials import unknown_elements

        cell = _primitive(candidate)
        unknown = unknown_elements(self._potential, cell.get_chemical_symbols())
        if unknown:
            raise StructureError(
                f"candidate {candidate.id}: {self._potential.name} does not know {', '.join(unknown)}"
            )
        try:
            curve = self._curve(cell)
            cell.set_cell(
                cell.cell.array * (curve.volume_angstrom3 / cell.get_volume()) ** (1 / 3),
                scale_atoms=True,
            )
            frequency = self._mean_frequency(cell)
        except (CalculationError, PotentialError) as error:
            raise StructureError(f"candidate {candidate.id}: {error}") from error
        theta = debye.debye_temperature(
            curve.volume_angstrom3,
            curve.bulk_modulus_gpa,
            float(cell.get_masses().sum()),
            len(cell),
            POISSON_RATIO,
        )
        gamma = debye.slater_gruneisen_parameter(curve.bulk_modulus_derivative)
        return [np.log10(curve.bulk_modulus_gpa), np.log10(theta), gamma, frequency]

    def _curve(self, cell: Atoms) -> BirchMurnaghan:
        from discover.calculations.equation_of_state import fit_birch_murnaghan

        strained = []
        for strain in STRAINS:
            strained.append(cell.copy())
            strained[-1].set_cell(cell.cell.array * (1 + strain), scale_atoms=True)
        energies = np.array([answer.energy_ev for answer in self._answers(strained)])
        lowest = int(energies.argmin())
        centre = int(np.clip(lowest, HALF_WINDOW, len(STRAINS) - 1 - HALF_WINDOW))
        window = slice(centre - HALF_WINDOW, centre + HALF_WINDOW + 1)
        volumes = np.array([atoms.get_volume() for atoms in strained])
        fit = fit_birch_murnaghan(volumes[window].tolist(), energies[window].tolist())
        if lowest in (0, len(STRAINS) - 1) or fit is None or fit.curve.bulk_modulus_gpa <= 0:
            raise CalculationError(
                f"{self._potential.name} has no minimum of the energy within"
                f" {100 * STRAINS[-2]:.0f} % of the given length"
            )
        return fit.curve

    def _mean_frequency(self, cell: Atoms) -> float:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms

        from discover.calculations.lattice.force_constants import ase_supercell
        from discover.calculations.lattice.supercells import choose_mesh, choose_supercell

        matrix = choose_supercell(
            cell,
            min_length_angstrom=MIN_LENGTH_ANGSTROM,
            min_atoms=MIN_ATOMS,
            max_atoms=MAX_ATOMS,
        )
        phonons = Phonopy(
            PhonopyAtoms(
                numbers=cell.numbers,
                cell=cell.cell.array,
                scaled_positions=cell.get_scaled_positions(),
            ),
            supercell_matrix=matrix,
            primitive_matrix=np.eye(3),
        )
        phonons.generate_displacements(distance=DISPLACEMENT_ANGSTROM)
        supercells = [phonons.supercell, *phonons.supercells_with_displacements]
        forces = np.array(
            [
                answer.forces_ev_per_angstrom
                for answer in self._answers([ase_supercell(cell) for cell in supercells])
            ]
        )
        phonons.forces = forces[1:] - forces[0]
        phonons.produce_force_constants()
        phonons.symmetrize_force_constants()
        phonons.run_mesh(choose_mesh(cell, MESH_LENGTH_ANGSTROM), is_gamma_center=True)
        of_points = phonons.mesh.frequencies.mean(axis=1)
        return float(np.average(of_points, weights=phonons.mesh.weights))

    def _answers(self, structures: Sequence[Atoms]) -> list[Any]:
        """Evaluations; PotentialError where there is none, or it is not finite."""
        answers = self._evaluate(structures)
        for answer in answers:
            if isinstance(answer, str):
                raise PotentialError(answer)
            if not (
                np.isfinite(answer.energy_ev) and np.isfinite(answer.forces_ev_per_angstrom).all()
            ):
                raise PotentialError(f"energy or forces of {self._potential.name} are not finite")
        return answers


def _primitive(candidate: Candidate) -> Atoms:
    """The standard primitive cell, the same to the last digit whatever cell is given."""
    from discover.structures.symmetry import standardized

    try:
        cell = standardized(candidate.crystal, primitive=True).to_atoms()
    except StructureError as error:
        raise StructureError(f"candidate {candidate.id}: {error}") from error
    cell.set_cell(cell.cell.array.round(8), scale_atoms=True)
    cell.set_scaled_positions(cell.get_scaled_positions().round(8))
    return cell

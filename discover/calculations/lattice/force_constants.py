"""Second- and third-order force constants of a crystal from the forces in displaced supercells."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import FiniteFloat

from discover.calculations.lattice import memory
from discover.calculations.lattice.forces import KIND_OF_FRAME, single_points
from discover.errors import CalculationError, MissingDependencyError
from discover.records import Record

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import ArrayLike, NDArray
    from phono3py import Phono3py
    from phonopy.interface.symfc import SymfcFCSolver
    from phonopy.structure.atoms import PhonopyAtoms

Vector = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Tensor = tuple[Vector, Vector, Vector]
Method = Literal["symfc", "finite-displacements", "pypolymlp"]

PERFECT, DISPLACED = "perfect_supercell", "phonon_displaced"

_MINIMUM_TIMES = 4
"""symfc's estimate of the fewest snapshots is multiplied by this, as phono3py's `auto` does."""

_POLYNOMIAL_SNAPSHOTS = 20
"""Snapshots that a polynomial potential is trained on at least: A. Togo and A. Seko, J. Chem. Phys.
160, 211001 (2024), whose conductivities are converged with 20 to 40."""

_POLYNOMIAL_DISTANCE_ANGSTROM = 0.01
"""Displacements at which the trained potential is asked: it is smooth, so they may be small."""

_MAX_CHARGE = 0.2
"""Sum of Born charges in e that numerical noise explains; phonopy spreads it over the atoms."""


class NonAnalyticalCorrection(Record):
    """What splits longitudinal from transverse optical modes near Γ in a polar crystal.

    `born` are the effective charges, in elementary charges, of each atom of the standard primitive
    cell in its order, and `dielectric` the high-frequency tensor, along that cell's Cartesian axes.
    """

    born: tuple[Tensor, ...]
    dielectric: Tensor


@dataclass(frozen=True)
class ForceSets:
    """Forces in the displaced supercells less those in the perfect one, in eV/Å.

    `third` has shape (displacements, atoms, 3) and `energies_ev` are above that of the perfect
    supercell; `second` belongs to the supercell of the second order, None where that is the same.
    `residual` is the largest force in the perfect supercells.
    """

    third: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    second: NDArray[np.float64] | None
    residual: float


def phonon_calculation(
    cell: Atoms,
    supercell: ArrayLike,
    second_order_supercell: ArrayLike | None = None,
    *,
    primitive_matrix: ArrayLike | str = "P",
    correction: NonAnalyticalCorrection | None = None,
) -> Phono3py:
    """A Phono3py of `cell` with these supercell matrices and, where given, the correction.

    `primitive_matrix` "P" says that `cell` is primitive; "auto" lets phono3py find the primitive one.
    Raises CalculationError where the correction does not fit the primitive cell.
    """
    from phono3py import Phono3py
    from phonopy.physical_units import get_physical_units
    from phonopy.structure.atoms import PhonopyAtoms

    unit_cell = PhonopyAtoms(
        symbols=cell.get_chemical_symbols(),
        cell=cell.cell.array,
        scaled_positions=cell.get_scaled_positions(),
    )
    ph3 = Phono3py(
        unit_cell,
        supercell_matrix=np.asarray(supercell),
        phonon_supercell_matrix=(
            None if second_order_supercell is None else np.asarray(second_order_supercell)
        ),
        primitive_matrix=primitive_matrix,
        log_level=0,
    )
    if correction is not None:
        _check_correction(correction, len(ph3.primitive))
        units = get_physical_units()
        ph3.nac_params = {
            "born": np.asarray(correction.born),
            "dielectric": np.asarray(correction.dielectric),
            "factor": units.Hartree * units.Bohr,
        }
    return ph3


def recommended_snapshots(ph3: Phono3py) -> int:
    """Random snapshots for a fit by symfc: four times the number of unknowns over that of equations."""
    return _MINIMUM_TIMES * -(-basis_size(ph3) // (3 * len(ph3.supercell)))


def basis_size(ph3: Phono3py) -> int:
    """Estimate by symfc of the number of independent third-order force constants."""
    return int(_symfc(ph3).estimate_basis_size(orders=[3])[3])


def check_memory(supercell_atoms: int, method: Method, unknowns: int = 0) -> None:
    """CalculationError where fitting the force constants would take more memory than there is.

    With `unknowns` 0 it is the least that a supercell of this size takes, known before it is built.
    """
    needed = (
        memory.finite_difference_bytes(supercell_atoms)
        if method == "finite-displacements"
        else memory.fit_bytes(supercell_atoms, unknowns)
    )
    memory.require(
        needed,
        f"fitting third-order force constants in a supercell of {supercell_atoms} atoms",
        "choose a smaller supercell (supercell, min_length_angstrom, min_atoms)",
    )


def displace(
    ph3: Phono3py, method: Method, *, distance_angstrom: float, snapshots: int | None, seed: int
) -> int:
    """Generate the displaced supercells of both orders; their number (both orders together).

    Every atom is displaced by `distance_angstrom` in a random direction in each of `snapshots`
    supercells (None: as many as recommended), or one and two at a time where `method` is
    `finite-displacements`.
    """
    if method == "finite-displacements":
        ph3.generate_displacements(distance=distance_angstrom)
    else:
        ph3.generate_displacements(
            distance=distance_angstrom,
            number_of_snapshots=snapshots or default_snapshots(ph3, method),
            random_seed=seed,
        )
    second = ph3.phonon_supercells_with_displacements if _has_second_supercell(ph3) else []
    return len(ph3.supercells_with_displacements) + len(second)


def default_snapshots(ph3: Phono3py, method: Method) -> int:
    """As many random snapshots as the method wants in this crystal."""
    recommended = recommended_snapshots(ph3)
    if method == "pypolymlp":
        return max(_POLYNOMIAL_SNAPSHOTS, recommended // _MINIMUM_TIMES)
    return recommended


def force_sets(
    ph3: Phono3py, calculator: Calculator, second_order_calculator: Calculator | None = None
) -> ForceSets:
    """Compute the forces in all displaced supercells, and in the perfect ones.

    `second_order_calculator` serves a second-order supercell of its own (default: the same
    calculator). Raises CalculationError where a force is not a finite number.
    """
    third, energies, residual = _forces_less_perfect(
        ph3.supercell, ph3.supercells_with_displacements, calculator
    )
    if not _has_second_supercell(ph3):
        return ForceSets(third, energies, None, residual)
    second, _, other = _forces_less_perfect(
        ph3.phonon_supercell,
        ph3.phonon_supercells_with_displacements,
        second_order_calculator or calculator,
    )
    return ForceSets(third, energies, second, max(residual, other))


def fit_force_constants(
    ph3: Phono3py, forces: ForceSets, method: Method = "symfc", snapshots: int | None = None
) -> None:
    """Set `ph3.fc2` and `ph3.fc3`, both with all symmetries and sum rules of the crystal.

    `snapshots` takes only the first so many random ones. Raises CalculationError where the supercell
    is too small to be fitted, MissingDependencyError where `pypolymlp` is not installed.
    """
    if method == "finite-displacements":
        ph3.forces = forces.third
        ph3.produce_fc3()
        ph3.symmetrize_fc3()
    else:
        displacements, third = ph3.displacements[:snapshots], forces.third[:snapshots]
        if method == "pypolymlp":
            energies = forces.energies_ev[:snapshots]
            displacements, third = _polynomial_forces(ph3, displacements, third, energies)
        _fit_by_symfc(ph3, displacements, third)
    if forces.second is not None:
        ph3.phonon_forces = forces.second
        ph3.produce_fc2()
    if forces.second is not None or method == "finite-displacements":
        ph3.symmetrize_fc2()


def check_method(method: Method) -> None:
    """MissingDependencyError, saying what to install, where the method cannot run here."""
    package = {"symfc": "symfc", "finite-displacements": "phono3py", "pypolymlp": "pypolymlp"}
    if importlib.util.find_spec("phono3py") is None:
        raise MissingDependencyError(
            "the calculation 'phonons' needs phono3py: pip install 'discover-materials[phonons]'"
        )
    if importlib.util.find_spec(package[method]) is None:
        hint = "apt install libeigen3-dev, then " if method == "pypolymlp" else ""
        raise MissingDependencyError(
            f"force constants by {method!r} need the package {package[method]!r}: {hint}"
            f"pip install {package[method]}"
        )


def ase_supercell(supercell: PhonopyAtoms, kind_of_frame: str = PERFECT) -> Atoms:
    """A supercell of phono3py's as ASE atoms, marked with what it is for."""
    from ase import Atoms

    return Atoms(
        supercell.symbols,
        cell=supercell.cell,
        positions=supercell.positions,
        pbc=True,
        info={KIND_OF_FRAME: kind_of_frame},
    )


def _forces_less_perfect(
    perfect: PhonopyAtoms, displaced: Sequence[PhonopyAtoms], calculator: Calculator
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    energy, residual = single_points([ase_supercell(perfect)], calculator)
    energies, forces = single_points([ase_supercell(s, DISPLACED) for s in displaced], calculator)
    return forces - residual, energies - energy, float(np.linalg.norm(residual[0], axis=1).max())


def _fit_by_symfc(
    ph3: Phono3py, displacements: NDArray[np.float64], forces: NDArray[np.float64]
) -> None:
    """Least squares in symfc's basis: A. Seko and A. Togo, Phys. Rev. B 110, 214302 (2024)."""
    with _dataset(ph3, {"displacements": displacements, "forces": forces}):
        try:
            ph3.produce_fc3(fc_calculator="symfc")
        except (AssertionError, RuntimeError, ValueError) as error:
            raise CalculationError(
                f"symfc cannot fit force constants to {len(displacements)} snapshots of a supercell "
                f"of {len(ph3.supercell)} atoms ({error!r}): choose a larger supercell, more "
                "snapshots, or force_constants: finite-displacements"
            ) from error


def _polynomial_forces(
    ph3: Phono3py,
    displacements: NDArray[np.float64],
    forces: NDArray[np.float64],
    energies_ev: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacements of as many supercells as symfc wants, and forces from a polynomial potential.

    The potential is trained on the given ones, a tenth of them held out to choose its regularization.
    """
    check_method("pypolymlp")
    ph3.mlp_dataset = {
        "displacements": displacements,
        "forces": forces,
        "supercell_energies": energies_ev,
    }
    ph3.develop_mlp()
    with _dataset(ph3, None):
        ph3.generate_displacements(
            distance=_POLYNOMIAL_DISTANCE_ANGSTROM,
            number_of_snapshots=recommended_snapshots(ph3),
            random_seed=0,
        )
        ph3.evaluate_mlp()
        return ph3.displacements, ph3.forces - ph3.mlp.evaluate([ph3.supercell])[1]


@contextmanager
def _dataset(ph3: Phono3py, dataset: dict[str, NDArray[np.float64]] | None) -> Iterator[None]:
    """Another set of displacements for a while."""
    own, ph3.dataset = ph3.dataset, dataset
    try:
        yield
    finally:
        ph3.dataset = own


def _symfc(ph3: Phono3py) -> SymfcFCSolver:
    from phonopy.interface.symfc import SymfcFCSolver

    return SymfcFCSolver(ph3.supercell, symmetry=ph3.symmetry)


def _has_second_supercell(ph3: Phono3py) -> bool:
    return ph3.phonon_supercell_matrix is not None


def _check_correction(correction: NonAnalyticalCorrection, atoms: int) -> None:
    born = np.asarray(correction.born)
    if len(born) != atoms:
        raise CalculationError(
            f"nac: 'born' has {len(born)} tensors, and the primitive cell has {atoms} atoms"
        )
    excess = float(np.abs(born.sum(axis=0)).max())
    if excess > _MAX_CHARGE:
        raise CalculationError(
            f"nac: the Born charges add up to {excess:.2f} e, where a crystal is neutral: give them "
            "for every atom of the standard primitive cell, in its order"
        )

"""Minima of molecules: xTB by tblite, and geomeTRIC's internal coordinates for any ASE calculator."""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.errors import CalculationError, MissingDependencyError

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

XTB_FMAX_EV_PER_ANGSTROM = 0.01
XTB_STEPS = 500

_log = logging.getLogger(__name__)


def check_packages() -> None:
    """MissingDependencyError where tblite, geomeTRIC or RDKit is not installed."""
    for package in ("tblite", "geometric", "rdkit"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"the kind 'molecule' needs {package}: pip install 'discover-materials[molecules]'"
            )


def xtb(atoms: Atoms, dielectric_constant: float | None = None) -> Calculator:
    """GFN2-xTB for these atoms' charge and spin; in a solvent by the generalized Born model ALPB.

    C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019); S. Ehlert et al., ibid. 17, 4250 (2021).
    """
    from tblite.ase import TBLite

    return TBLite(
        method="GFN2-xTB",
        charge=float(atoms.info.get("charge", 0)),
        multiplicity=int(atoms.info.get("spin", 1)),
        solvation=None if dielectric_constant is None else ("gbe", dielectric_constant, "p16"),
        verbosity=0,
    )


def xtb_minimum(atoms: Atoms, dielectric_constant: float | None = None) -> tuple[Atoms, float]:
    """The nearest minimum of GFN2-xTB and its energy in eV; CalculationError where there is none."""
    from ase.calculators.calculator import CalculatorError
    from ase.optimize import BFGS

    moved = atoms.copy()
    moved.calc = xtb(atoms, dielectric_constant)
    if len(moved) == 1:
        return _plain(moved), float(moved.get_potential_energy())
    try:
        BFGS(moved, logfile=None).run(XTB_FMAX_EV_PER_ANGSTROM, XTB_STEPS)
        energy = float(moved.get_potential_energy())
    except (CalculatorError, RuntimeError) as error:
        raise CalculationError(
            f"xTB finds no minimum of {atoms.get_chemical_formula()} with charge "
            f"{atoms.info.get('charge', 0):+d}: {error}"
        ) from error
    if not np.isfinite(moved.positions).all():
        raise CalculationError(f"xTB lost {atoms.get_chemical_formula()}: it flew apart")
    return _plain(moved), energy


def minimum(atoms: Atoms, calculator: Calculator, max_steps: int) -> tuple[Atoms, float]:
    """The nearest minimum by geomeTRIC, to its default criteria, and its energy in eV.

    L.-P. Wang and C. Song, J. Chem. Phys. 144, 214108 (2016). Raises CalculationError where it is not
    reached in `max_steps`.
    """
    import geometric.engine
    import geometric.internal
    import geometric.molecule
    import geometric.optimize
    from ase.units import Bohr, Hartree
    from geometric.errors import GeomOptNotConvergedError

    moved = atoms.copy()
    moved.calc = calculator
    if len(moved) == 1:
        return _plain(moved), float(moved.get_potential_energy())

    class Forces(geometric.engine.Engine):  # type: ignore[misc]
        """The calculator as geomeTRIC asks for it: bohr in, hartree and hartree/bohr out."""

        def calc_new(self, coords: Any, dirname: Any) -> dict[str, Any]:  # noqa: ARG002
            moved.positions = np.reshape(coords, (-1, 3)) * Bohr
            forces = moved.get_forces()
            return {
                "energy": moved.get_potential_energy() / Hartree,
                "gradient": -forces.ravel() * Bohr / Hartree,
            }

    molecule = geometric.molecule.Molecule()
    molecule.elem = list(moved.symbols)
    molecule.xyzs = [moved.positions.copy()]
    molecule.build_topology()
    coordinates = geometric.internal.DelocalizedInternalCoordinates(
        molecule, build=True, connect=False, addcart=False
    )
    parameters = geometric.optimize.OptParams(maxiter=max_steps)
    logging.getLogger("geometric").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        optimizer = geometric.optimize.Optimizer(
            moved.positions.ravel() / Bohr,
            molecule,
            coordinates,
            Forces(molecule),
            str(Path(folder) / "geometric"),
            parameters,
            print_info=False,
        )
        try:
            progress = optimizer.optimizeGeometry()
        except GeomOptNotConvergedError as error:
            raise CalculationError(
                f"the geometry of {moved.get_chemical_formula()} did not converge in {max_steps} "
                "steps: raise max_steps"
            ) from error
    moved.positions = progress.xyzs[-1]
    return _plain(moved), float(moved.get_potential_energy())


def _plain(atoms: Atoms) -> Atoms:
    plain = atoms.copy()
    plain.calc = None
    return plain

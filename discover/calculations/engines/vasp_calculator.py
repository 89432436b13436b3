"""An ASE calculator that has VASP compute single points from pymatgen's inputs."""

from __future__ import annotations

import shlex
import subprocess
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa

from discover.calculations.engines.convergence import UnconvergedError, with_one_retry
from discover.calculations.engines.output import last_lines
from discover.errors import CalculationError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

FOLDER = "vasp"
LOG = "vasp.out"
VASPRUN = "vasprun.xml"

_BULKY = {"LWAVE": False, "LCHARG": False}


@dataclass(frozen=True)
class Incar:
    """INCAR tags that are set on top of all others."""

    tags: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(f"{tag} = {value}" for tag, value in self.tags.items())


SAFER = {"ALGO": "Normal", "NELM": 300, "AMIX": 0.1, "BMIX": 0.01}
"""Cautious linear mixing with the blocked Davidson algorithm, and many steps: what custodian does
for an unconverged self-consistent field (its `VaspErrorHandler` and `UnconvergedErrorHandler`)."""


@dataclass(frozen=True)
class Vasprun:
    """What a vasprun.xml of a single point says: eV, eV/Å (in its own order), eV/Å³ (Voigt)."""

    symbols: tuple[str, ...]
    energy_ev: float
    free_energy_ev: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    electronic_steps: int
    converged: bool
    vasp_version: str


def read_vasprun(path: Path) -> Vasprun:
    """The last ionic step of a vasprun.xml.

    `energy_ev` is extrapolated to no smearing, `free_energy_ev` is what forces and stress derive from.
    Raises CalculationError where the file is not whole or lacks energy, forces or stress.
    """
    from pymatgen.io.vasp.outputs import Vasprun as Parsed

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is checked here
            parsed = Parsed(
                str(path),
                parse_dos=False,
                parse_eigen=False,
                parse_potcar_file=False,
                exception_on_bad_xml=True,
            )
            last = parsed.ionic_steps[-1]
            read = Vasprun(
                symbols=tuple(parsed.atomic_symbols),
                energy_ev=float(parsed.final_energy),
                free_energy_ev=float(last["e_fr_energy"]),
                forces=np.asarray(last["forces"], dtype=float),
                # VASP prints kbar, and pressure as positive
                stress=full_3x3_to_voigt_6_stress(
                    -0.1 * GPa * np.asarray(last["stress"], dtype=float)
                ),
                electronic_steps=len(last["electronic_steps"]),
                converged=bool(parsed.converged_electronic),
                vasp_version=str(parsed.vasp_version).strip(),
            )
    except Exception as error:  # the parser fails in many ways on a file that is cut or garbled
        raise CalculationError(f"{path} cannot be understood: {error!r}") from error
    numbers = (read.energy_ev, read.free_energy_ev, read.forces, read.stress)
    if not all(np.isfinite(x).all() for x in numbers):
        raise CalculationError(f"{path}: energy, forces or stress are no finite numbers")
    return read


class VASPCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and stress (eV/Å³); VASP runs in `directory`/vasp.

    `input_set` is a class of pymatgen.io.vasp.sets that gets `options`; `potcar` gives the file of a
    POTCAR symbol; the versions that show in the output are put into `noticed`.

    Raises CalculationError where VASP fails, leaves no whole vasprun.xml, or does not converge with
    safer settings either.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(
        self,
        directory: Path,
        *,
        command: str,
        input_set: Callable[..., Any],
        options: Mapping[str, Any],
        potcar: Callable[[str], Path],
        noticed: dict[str, str],
    ) -> None:
        super().__init__()
        self._folder = directory / FOLDER
        self._command = command
        self._input_set = input_set
        self._options = options
        self._potcar = potcar
        self._noticed = noticed

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = implemented_properties,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """All properties at once, as ASE calls it."""
        super().calculate(atoms, properties, system_changes)
        bare = self.atoms.copy()
        bare.set_constraint()  # they are ASE's matter, not VASP's
        self.results = with_one_retry(
            lambda incar: self._run(bare, incar),
            Incar({}),
            Incar(SAFER),
            advice=f"set user_incar_settings, such as SIGMA or ALGO ({self._folder} has the output)",
        )

    def _run(self, atoms: Atoms, incar: Incar) -> dict[str, Any]:
        order = self._write_input(atoms, incar)
        vasprun = self._folder / VASPRUN
        vasprun.unlink(
            missing_ok=True
        )  # that of the structure before must not be taken for this one
        with (self._folder / LOG).open("w", encoding="utf-8") as log:
            try:
                ran = subprocess.run(
                    shlex.split(self._command),
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            except OSError as error:
                raise CalculationError(f"{self._command!r} cannot be run: {error}") from error
        printed = last_lines((self._folder / LOG).read_text(encoding="utf-8", errors="replace"))
        if ran.returncode or not vasprun.exists():
            left = "" if vasprun.exists() else f" and left no {VASPRUN}"
            raise CalculationError(
                f"VASP ended with exit code {ran.returncode}{left}: {printed} ({self._folder / LOG})"
            )
        try:
            read = read_vasprun(vasprun)
        except CalculationError as error:
            raise CalculationError(f"{error}; VASP's last words: {printed}") from error
        self._noticed["vasp"] = read.vasp_version
        symbols = [atoms.get_chemical_symbols()[i] for i in order]
        if list(read.symbols) != symbols:
            raise CalculationError(
                f"{vasprun} is of {'-'.join(read.symbols)}, where {'-'.join(symbols)} was asked for"
            )
        if not read.converged:
            raise UnconvergedError(
                f"the self-consistent field did not converge in {read.electronic_steps} steps"
            )
        forces = np.empty_like(read.forces)
        forces[order] = read.forces
        return {
            "energy": read.energy_ev,
            "free_energy": read.free_energy_ev,
            "forces": forces,
            "stress": read.stress,
        }

    def _write_input(self, atoms: Atoms, incar: Incar) -> list[int]:
        """INCAR, KPOINTS, POSCAR, POTCAR; the atoms' indices in the order of POSCAR."""
        from monty.io import zopen
        from pymatgen.io.ase import AseAtomsAdaptor

        plain = atoms.copy()
        plain.calc = None
        structure = AseAtomsAdaptor.get_structure(plain)
        structure.add_site_property("index", list(range(len(atoms))))
        structure = structure.get_sorted_structure()
        order = [int(i) for i in structure.site_properties["index"]]
        structure.remove_site_property("index")
        options = dict(self._options)
        options["user_incar_settings"] = _BULKY | options["user_incar_settings"] | incar.tags
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice for people, on settings that were chosen
            chosen = self._input_set(structure, sort_structure=False, **options)
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, text in chosen.get_input_set(potcar_spec=True).items():
                if name in {"INCAR", "KPOINTS", "POSCAR"} and text is not None:
                    (self._folder / name).write_text(str(text), encoding="utf-8")
        with (self._folder / "POTCAR").open("w", encoding="utf-8") as file:
            for symbol in chosen.potcar_symbols:
                with zopen(self._potcar(symbol), mode="rt", encoding="utf-8") as potcar:
                    text = str(potcar.read())
                self._noticed[f"POTCAR-{symbol}"] = " ".join(text.partition("\n")[0].split())
                file.write(text if text.endswith("\n") else text + "\n")
        return order

"""A teacher's energies, forces and stresses of the configurations, kept so that a kill loses little."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.distillation.configurations import (
    VOLUME_STEPS,
    Kind,
    deformed,
    generator,
    next_volume_step,
)
from discover.potentials.distillation.families import Family

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


def label(
    families: Sequence[Family],
    calculator: Calculator,
    file: Path,
    seed: int,
    told: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Append the labelled configurations of every family that `file` (extxyz) does not hold yet.

    A family is written whole, and a torn end, which a kill leaves, is cut off first. Configurations on
    which the teacher's answer is not finite are left out. `told` hears how many families are done.
    PotentialError where the file was made with other families, or the teacher has no answer on any
    configuration of a family.
    """
    done = _finished_families(file)
    unknown = done - {family.name for family in families}
    if unknown:
        raise PotentialError(
            f"{file} holds labels of {len(unknown)} other crystals, such as {min(unknown)!r}: it was"
            " made with another seed or version; give another folder"
        )
    for family in families:
        if family.name not in done:
            _append(file, _labelled(family, calculator, generator(seed, family)))
            done.add(family.name)
            told(len(done), len(families))


def read_labels(file: Path) -> list[Atoms]:
    """All labelled configurations; `info` says family, structure and kind."""
    from ase.io import read

    return list(read(file, index=":", format="extxyz"))


def _labelled(family: Family, calculator: Calculator, random: np.random.Generator) -> list[Atoms]:
    """The family's frames: towards zero pressure first, then what is derived from the last of them."""
    frames: list[Atoms] = []
    log_volumes: list[float] = []
    pressures: list[float] = []
    atoms = family.crystal.to_atoms()
    for _ in range(VOLUME_STEPS):
        frame = _evaluated(atoms, calculator, family, "relaxation")
        if frame is None:
            break
        frames.append(frame)
        log_volumes.append(float(np.log(atoms.get_volume())))
        pressures.append(-float(np.mean(frame.get_stress()[:3])))
        scale = np.exp(next_volume_step(log_volumes, pressures) / 3)
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
    for kind, configuration in deformed(family, atoms, random):
        frame = _evaluated(configuration, calculator, family, kind)
        if frame is not None:
            frames.append(frame)
    if not frames:
        raise PotentialError(f"the teacher has no finite answer on {family.name}")
    return frames


def _evaluated(atoms: Atoms, calculator: Calculator, family: Family, kind: Kind) -> Atoms | None:
    """A labelled copy, None where the teacher's answer is not finite."""
    from ase.calculators.singlepoint import SinglePointCalculator

    frame = atoms.copy()
    frame.calc = calculator
    energy, forces = float(frame.get_potential_energy()), frame.get_forces()
    stress = frame.get_stress()
    if not (np.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
        return None
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces, stress=stress)
    frame.info = {
        "family": family.name,
        "structure": family.structure,
        "kind": kind,
    }
    return frame


_END = "family_end"
"""In the info of a family's last frame: what follows the last of them is torn."""


def _append(file: Path, frames: list[Atoms]) -> None:
    from ase.io import write

    frames[-1].info[_END] = True
    text = io.StringIO()
    write(text, frames, format="extxyz")
    with file.open("ab") as out:
        out.write(text.getvalue().encode())
        out.flush()
        os.fsync(out.fileno())


def _finished_families(file: Path) -> set[str]:
    """Names of the families in the file, from which a torn end is cut off."""
    if not file.exists():
        return set()
    lines = file.read_bytes().splitlines(keepends=True)
    names: set[str] = set()
    number = whole = 0
    while number < len(lines):
        try:
            end = number + 2 + int(lines[number])
        except ValueError as error:
            raise PotentialError(f"{file}, line {number + 1}: not extxyz ({error})") from error
        if end > len(lines) or not lines[end - 1].endswith(b"\n"):
            break
        header = lines[number + 1].decode()
        if f" {_END}=T" in header:
            names.add(header.split('family="')[1].split('"')[0])
            whole = end
        number = end
    if whole < len(lines):
        size = sum(map(len, lines[:whole]))
        with file.open("r+b") as out:
            out.truncate(size)
    return names

"""Molecular dynamics that a kill does not throw back by more than a chunk, and that goes on as it was."""

from __future__ import annotations

import io
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from discover.errors import CalculationError
from discover.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from ase.md.md import MolecularDynamics
    from numpy.typing import NDArray

RESTART = "restart.json"

Ensemble = Literal["nvt", "npt"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A piece of dynamics at one temperature.

    `nvt` is Langevin's, with a friction in 1/ps. `npt` is Berendsen's, isotropic, at no pressure: only
    to find a density, for its fluctuations are none of an ensemble. A frame is kept every `sample_steps`.
    """

    ensemble: Ensemble
    temperature_k: float
    timestep_fs: float
    steps: int
    sample_steps: int
    chunk_steps: int
    friction_per_ps: float
    seed: int


@dataclass(frozen=True)
class Trajectory:
    """Frames of a run: positions in Å, unwrapped, (frames, atoms, 3); per frame volume and energies.

    `kinetic_temperature_k` and `potential_energy_ev` have shape (frames,), as `volume_angstrom3`.
    """

    positions: NDArray[np.float64]
    volume_angstrom3: NDArray[np.float64]
    kinetic_temperature_k: NDArray[np.float64]
    potential_energy_ev: NDArray[np.float64]
    last: Atoms


def advance(atoms: Atoms, make: Callable[[], Calculator], run: Run, folder: Path) -> Trajectory:
    """Run, or go on with what is in the folder, to the end; the same trajectory either way.

    Each chunk of frames is written before the state that the next one starts from: positions,
    velocities, cell and random numbers, none of them rounded. Without velocities the atoms get those of
    the temperature. Raises CalculationError where an atom is lost or an energy is not a finite number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(run.seed)
    moving, done = atoms.copy(), 0
    restart = folder / RESTART
    if restart.exists():
        done = _resume(moving, random, restart)
    elif not moving.get_momenta().any():
        _thermalize(moving, run.temperature_k, random)
    while done < run.steps:
        started = time.perf_counter()
        moving.calc = make()  # one that remembers nothing, as after a restart
        dynamics = _dynamics(moving, run, random)
        steps = min(run.chunk_steps, run.steps - done)
        frames = _Frames()
        for _ in range(steps // run.sample_steps):
            dynamics.run(run.sample_steps)
            frames.add(moving)
        done += steps
        frames.check(run, done)
        write_atomically(folder / f"frames-{done:09d}.npz", frames.content())
        write_atomically(restart, json.dumps(_state(moving, random, done)))
        _log.info(
            "%s %g K: %.2f of %.2f ps, %.0f K, %.1f s",
            run.ensemble,
            run.temperature_k,
            done * run.timestep_fs / 1000,
            run.steps * run.timestep_fs / 1000,
            frames.temperature[-1],
            time.perf_counter() - started,
        )
    moving.calc = None
    return _read(folder, moving, done)


class _Frames:
    """The frames of one chunk."""

    def __init__(self) -> None:
        self._positions: list[NDArray[np.float64]] = []
        self._volume: list[float] = []
        self.temperature: list[float] = []
        self._energy: list[float] = []

    def add(self, atoms: Atoms) -> None:
        """Keep what the atoms are now."""
        self._positions.append(atoms.positions.copy())
        self._volume.append(float(atoms.get_volume()))
        self.temperature.append(float(atoms.get_temperature()))
        self._energy.append(float(atoms.get_potential_energy()))

    def check(self, run: Run, done: int) -> None:
        """CalculationError where this is no dynamics any more."""
        fine = np.isfinite(self._energy).all() and np.isfinite(self._positions[-1]).all()
        if not fine or self.temperature[-1] > 10 * run.temperature_k + 1e3:
            raise CalculationError(
                f"the dynamics at {run.temperature_k:g} K blew up before step {done}: a shorter "
                "timestep_fs, or a potential that knows such structures, may help"
            )

    def content(self) -> bytes:
        """As a file of NumPy arrays."""
        file = io.BytesIO()
        np.savez(
            file,
            positions=np.array(self._positions),
            volume=np.array(self._volume),
            temperature=np.array(self.temperature),
            energy=np.array(self._energy),
        )
        return file.getvalue()


def _dynamics(atoms: Atoms, run: Run, random: np.random.Generator) -> MolecularDynamics:
    from ase import units
    from ase.md.langevin import Langevin
    from ase.md.nptberendsen import NPTBerendsen

    if run.ensemble == "nvt":
        return Langevin(
            atoms,
            run.timestep_fs * units.fs,
            temperature_K=run.temperature_k,
            friction=run.friction_per_ps / (1000 * units.fs),
            rng=random,
            fixcm=False,
        )
    return NPTBerendsen(
        atoms,
        run.timestep_fs * units.fs,
        temperature_K=run.temperature_k,
        pressure_au=0.0,
        taut=100 * units.fs,
        taup=500 * units.fs,
        compressibility_au=0.05 / units.GPa,
    )


def _thermalize(atoms: Atoms, temperature_k: float, random: np.random.Generator) -> None:
    """Momenta drawn from Maxwell's distribution, without a drift of the whole."""
    from ase.units import kB

    masses = atoms.get_masses()[:, None]
    momenta = random.standard_normal((len(atoms), 3)) * np.sqrt(masses * kB * temperature_k)
    atoms.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())


def _state(atoms: Atoms, random: np.random.Generator, done: int) -> dict[str, Any]:
    return {
        "steps": done,
        "positions": atoms.positions.tolist(),
        "momenta": atoms.get_momenta().tolist(),
        "cell": atoms.cell.tolist(),
        "random": random.bit_generator.state,
    }


def _resume(atoms: Atoms, random: np.random.Generator, path: Path) -> int:
    try:
        state = json.loads(path.read_bytes())
        atoms.set_cell(state["cell"])
        atoms.positions = state["positions"]
        atoms.set_momenta(state["momenta"])
        random.bit_generator.state = state["random"]
        return int(state["steps"])
    except (ValueError, KeyError) as error:
        raise CalculationError(
            f"{path} is damaged: delete its folder, and run again from the start"
        ) from error


def _read(folder: Path, last: Atoms, done: int) -> Trajectory:
    chunks = []
    for path in sorted(folder.glob("frames-*.npz")):
        if int(path.stem.removeprefix("frames-")) <= done:
            with np.load(path) as arrays:  # no pickles, by default
                chunks.append({name: arrays[name] for name in arrays})
    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    return Trajectory(
        positions=joined["positions"],
        volume_angstrom3=joined["volume"],
        kinetic_temperature_k=joined["temperature"],
        potential_energy_ev=joined["energy"],
        last=last,
    )

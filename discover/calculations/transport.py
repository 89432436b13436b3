"""Kind `transport`: ionic conduction from molecular dynamics, in crystals and in liquids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from discover.calculations.base import ForceEngine, Outcome, Value, check_elements
from discover.calculations.diffusion import cells
from discover.calculations.diffusion.analysis import (
    Conduction,
    Conductivity,
    Estimate,
    conduction,
    extrapolated,
)
from discover.calculations.diffusion.dynamics import Ensemble, Run, Trajectory, advance
from discover.calculations.diffusion.statistics import Arrhenius, blocked_error
from discover.errors import CalculationError
from discover.files import write_atomically
from discover.records import Record
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

CURVES = "transport.json"

Positive = Annotated[float, Field(gt=0)]

_SOLID_TEMPERATURES_K = (800.0, 1000.0, 1200.0)
_SOLID_TIMESTEP_FS, _LIQUID_TIMESTEP_FS = 2.0, 0.5
_MINIMIZATION_STEPS = 100
_OF_CRYSTALS = ("chgnet", "sevennet", "mattersim", "mace:bundled")


class Curve(Record):
    """Mean square displacement of the mobile ion in Å² over the lag in ps, at one temperature."""

    temperature_k: float
    lags_ps: tuple[float, ...]
    msd_angstrom2: tuple[float, ...]


class Curves(Record):
    """`transport.json`: what figures show."""

    carrier: str
    curves: tuple[Curve, ...]


class Transport:
    """Density, diffusion, ionic conductivity and activation energy from trajectories.

    A crystal is repeated until it is `min_length_angstrom` wide, a formulation packed into a box of up
    to `max_atoms`. At each of `temperatures_k` (None: 800, 1000 and 1200 K for a crystal,
    `temperature_k` for a formulation) it is equilibrated, `relax_cell` (None: liquids only) by finding
    its volume at no pressure first, and then runs `production_ps` at constant volume. `timestep_fs` None
    is 2 for a crystal without hydrogen and 0.5 else.

    Diffusion is Einstein's, its error that of `blocks` pieces of the trajectory; conductivity that of
    Nernst and Einstein or, `collective`, that of the summed charges. `mobile` and `mobile_charge` name
    the ion that moves in a crystal; in a formulation all ions do, and the first cation is the one whose
    diffusion is told. Values are those at `temperature_k`: directly where it is one of the temperatures,
    else by Arrhenius' law, with the error that follows. Where too few ions moved to tell diffusion from
    chance there is no activation energy, and the others are upper bounds.

    It goes on, after a kill, from the last chunk of `chunk_ps`.
    """

    name = "transport"
    takes = (Crystal, Formulation)
    drives = ForceEngine
    properties = (
        "ionic_conductivity",
        "diffusion_coefficient",
        "activation_energy",
        "density",
    )

    def __init__(
        self,
        *,
        temperature_k: Positive = 300.0,
        temperatures_k: Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None,
        mobile: str = "Li",
        mobile_charge: Annotated[int, Field(ge=1, le=4)] = 1,
        min_length_angstrom: Positive = 9.0,
        max_atoms: Annotated[int, Field(ge=2)] = 400,
        timestep_fs: Annotated[float, Field(gt=0, le=10)] | None = None,
        equilibration_ps: Positive = 2.0,
        production_ps: Positive = 20.0,
        sample_fs: Positive = 20.0,
        chunk_ps: Positive = 1.0,
        friction_per_ps: Positive = 0.5,
        relax_cell: bool | None = None,
        conductivity: Conductivity = "nernst-einstein",
        blocks: Annotated[int, Field(ge=2, le=50)] = 5,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self._temperature_k = temperature_k
        self._temperatures_k = temperatures_k
        self._mobile = mobile
        self._mobile_charge = mobile_charge
        self._min_length_angstrom = min_length_angstrom
        self._max_atoms = max_atoms
        self._timestep_fs = timestep_fs
        self._equilibration_ps = equilibration_ps
        self._production_ps = production_ps
        self._sample_fs = sample_fs
        self._chunk_ps = chunk_ps
        self._friction_per_ps = friction_per_ps
        self._relax_cell = relax_cell
        self._conductivity: Conductivity = conductivity
        self._blocks = blocks
        self._seed = seed
        frames = production_ps * 1000 / sample_fs
        if frames < 10 * blocks:
            raise CalculationError(
                f"kind 'transport': {production_ps:g} ps hold {frames:.0f} frames, fewer than ten in "
                f"each of {blocks} blocks: raise production_ps, or lower sample_fs or blocks"
            )

    def run(
        self, structure: Crystal | Formulation, engine: ForceEngine, directory: Path
    ) -> Outcome:
        """Compute, going on from the trajectories that are in the directory already.

        Raises CalculationError for a structure without the mobile ion, a cell that is too large, an
        element that the engine lacks, a dynamics that blows up, and where nothing can be said.
        """
        solid = isinstance(structure, Crystal)
        if isinstance(structure, Crystal):
            cell = cells.supercell(
                structure,
                self._mobile,
                self._mobile_charge,
                self._min_length_angstrom,
                self._max_atoms,
            )
        else:
            _check_potential(engine)
            cell = cells.packed(structure, self._max_atoms, self._seed)
        check_elements(engine, cell.atoms.get_chemical_symbols())
        temperatures = self._temperatures_k or (
            _SOLID_TEMPERATURES_K if solid else (self._temperature_k,)
        )
        relax = not solid if self._relax_cell is None else self._relax_cell
        points, densities = [], {}
        for index, temperature in enumerate(temperatures):
            trajectory, density = self._trajectory(
                cell.atoms, engine, directory / f"{temperature:g}K", temperature, index, relax
            )
            densities[temperature] = density
            points.append(
                conduction(
                    trajectory,
                    cell,
                    temperature_k=temperature,
                    interval_ps=self._sample_steps(cell.atoms) * self._step_fs(cell.atoms) / 1000,
                    blocks=self._blocks,
                    solid=solid,
                )
            )
        return self._outcome(cell, points, densities, directory)

    def _trajectory(
        self,
        atoms: Atoms,
        engine: ForceEngine,
        folder: Path,
        temperature_k: float,
        index: int,
        relax: bool,
    ) -> tuple[Trajectory, tuple[float, float]]:
        """Production at one temperature, and the density in g/cm³ with its standard error."""

        def make() -> Calculator:
            return engine.calculator(atoms, folder)

        folder.mkdir(exist_ok=True)
        if relax:
            atoms = _relaxed(atoms, make, folder)
            found = advance(
                atoms, make, self._plan(atoms, "npt", temperature_k, 3 * index), folder / "npt"
            )
            volumes = found.volume_angstrom3[len(found.volume_angstrom3) // 2 :]
            atoms = found.last
            scale = (volumes.mean() / atoms.get_volume()) ** (1 / 3)
            atoms.set_cell(atoms.cell * scale, scale_atoms=True)
            error = cells.density(atoms) * blocked_error(volumes) / volumes.mean()
        else:
            error = 0.0
        before = advance(
            atoms,
            make,
            self._plan(atoms, "nvt", temperature_k, 3 * index + 1),
            folder / "equilibration",
        )
        plan = self._plan(atoms, "nvt", temperature_k, 3 * index + 2, production=True)
        trajectory = advance(before.last, make, plan, folder / "production")
        return trajectory, (cells.density(atoms), error)

    def _plan(
        self,
        atoms: Atoms,
        ensemble: Ensemble,
        temperature_k: float,
        stage: int,
        *,
        production: bool = False,
    ) -> Run:
        step, sample = self._step_fs(atoms), self._sample_steps(atoms)

        def multiple(duration_ps: float) -> int:
            return max(1, round(1000 * duration_ps / step / sample)) * sample

        return Run(
            ensemble=ensemble,
            temperature_k=temperature_k,
            timestep_fs=step,
            steps=multiple(self._production_ps if production else self._equilibration_ps),
            sample_steps=sample,
            chunk_steps=multiple(self._chunk_ps),
            friction_per_ps=self._friction_per_ps if production else 10 * self._friction_per_ps,
            seed=1000 * self._seed + stage,
        )

    def _step_fs(self, atoms: Atoms) -> float:
        if self._timestep_fs is not None:
            return self._timestep_fs
        return _LIQUID_TIMESTEP_FS if "H" in atoms.symbols else _SOLID_TIMESTEP_FS

    def _sample_steps(self, atoms: Atoms) -> int:
        return max(1, round(self._sample_fs / self._step_fs(atoms)))

    def _outcome(
        self,
        cell: cells.Cell,
        points: list[Conduction],
        densities: dict[float, tuple[float, float]],
        directory: Path,
    ) -> Outcome:
        try:
            diffusion, conductivity, law = extrapolated(
                points, self._temperature_k, self._conductivity
            )
        except ValueError as error:
            raise CalculationError(f"{error}: add higher temperatures_k") from error
        melted = [f"{p.temperature_k:g} K" for p in points if p.melted]
        problem = f"the framework moved away at {', '.join(melted)}" if melted else None
        nearest = min(densities, key=lambda t: abs(t - self._temperature_k))
        density, density_error = densities[nearest]
        values = [
            _value("ionic_conductivity", conductivity, problem),
            _value("diffusion_coefficient", diffusion, problem),
            Value.of("density", density, uncertainty=density_error),
        ]
        if law is not None:
            values.insert(2, _activation_energy(law, problem))
        write_atomically(directory / CURVES, _curves(cell, points).model_dump_json())
        return Outcome(
            values=tuple(values),
            details={
                "formula": cell.atoms.get_chemical_formula(),
                "atoms": len(cell.atoms),
                "temperature_k": self._temperature_k,
                "carriers": {c.name: len(c.atoms) for c in cell.carriers},
                "conductivity": self._conductivity,
                "extrapolated": self._temperature_k not in densities,
                "points": [point.details() for point in points],
                "densities_g_cm3": {f"{t:g}": list(d) for t, d in densities.items()},
            },
            warnings=_warnings(points, conductivity),
            files=(CURVES,),
        )


def _check_potential(engine: ForceEngine) -> None:
    """CalculationError where a liquid would run with a potential that only knows crystals."""
    potential = engine.versions().get("potential", "")
    named = potential.startswith("mace:") and "@" not in potential  # a foundation model of crystals
    if named or potential.startswith(_OF_CRYSTALS):
        raise CalculationError(
            f"the potential {potential!r} was made for crystals: a formulation takes one for molecular "
            "liquids, such as a MACE-OFF model by its file, `potential: mace:/path/to/MACE-OFF23.model`"
        )


def _relaxed(atoms: Atoms, make: Callable[[], Calculator], folder: Path) -> Atoms:
    """Downhill for some steps, so that nothing flies apart at the first; kept in the folder."""
    from ase.io import read, write
    from ase.optimize import FIRE

    path = folder / "start.extxyz"
    if not path.exists():
        relaxed = atoms.copy()
        relaxed.calc = make()
        FIRE(relaxed, logfile=None).run(0.5, _MINIMIZATION_STEPS)
        relaxed.calc = None
        temporary = folder / ".start.extxyz"
        write(temporary, relaxed, format="extxyz")
        temporary.replace(path)
    started: Atoms = read(path)
    return started


def _value(name: str, estimate: Estimate, problem: str | None) -> Value:
    return Value.of(
        name,
        estimate.value,
        problem,
        bound="below" if estimate.bound else None,
        uncertainty=estimate.decades,
    )


def _activation_energy(law: Arrhenius, problem: str | None) -> Value:
    return Value.of(
        "activation_energy",
        law.activation_energy_ev,
        problem,
        uncertainty=law.activation_energy_error_ev,
    )


def _warnings(points: list[Conduction], conductivity: Estimate) -> tuple[str, ...]:
    told = [
        f"at {p.temperature_k:g} K too few ions moved to tell diffusion from chance "
        f"({', '.join(f'{name}: {d.hops:.1f} hops' for name, d in p.carriers.items())})"
        for p in points
        if not p.resolved
    ]
    if conductivity.bound:
        told.append("conductivity and diffusion are upper bounds: run longer, or hotter")
    elif conductivity.decades is not None and conductivity.decades > 1:
        told.append(f"the conductivity is uncertain by {conductivity.decades:.1f} decades")
    return tuple(told)


def _curves(cell: cells.Cell, points: list[Conduction]) -> Curves:
    return Curves(
        carrier=cell.carriers[0].name,
        curves=tuple(
            Curve(temperature_k=p.temperature_k, lags_ps=p.lags_ps, msd_angstrom2=p.curve)
            for p in points
        ),
    )

"""Other ways to relax the same crystals with the same potential: ASE's, one by one, and TorchSim's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.campaign import RelaxationSettings
from discover.errors import MissingDependencyError, PotentialError
from discover.potentials.base import Potential
from discover.potentials.mace import MACEPotential
from discover.structures.crystal import Crystal
from discover.structures.symmetry import SYMPREC_ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms

_TORCHSIM_MEMORY = 2000.0
"""Atoms times their number density (1/Å³) in a batch; on a CPU TorchSim cannot estimate its memory."""


@dataclass(frozen=True)
class Outcome:
    """What one way made of one crystal; no energy where it failed, no calls where none are counted."""

    energy_ev_per_atom: float | None
    calls: int | None
    converged: bool


def ase_bfgs(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings
) -> list[Outcome]:
    """BFGS inside the space group: `FixSymmetry`, `FrechetCellFilter`, first curvature 20 eV/Å²."""
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    def optimizer(atoms: Atoms) -> BFGS:
        atoms.set_constraint(FixSymmetry(atoms, symprec=SYMPREC_ANGSTROM))
        # The filter scales strain by the number of atoms: 0.1 a atom keeps a step below 10 % strain.
        return BFGS(
            FrechetCellFilter(atoms), logfile=None, alpha=20.0, maxstep=min(0.2, 0.1 * len(atoms))
        )

    return _one_by_one(crystals, potential, settings, optimizer)


def ase_fire(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings
) -> list[Outcome]:
    """FIRE with `FrechetCellFilter` as ASE has them, and no symmetry."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    return _one_by_one(
        crystals, potential, settings, lambda atoms: FIRE(FrechetCellFilter(atoms), logfile=None)
    )


def torchsim_fire(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings
) -> list[Outcome]:
    """TorchSim's batched FIRE with Fréchet cell derivatives (version 0.3), for MACE potentials.

    MissingDependencyError where it is not installed, PotentialError where the potential is no MACE.
    """
    if importlib.util.find_spec("torch_sim") is None:
        raise MissingDependencyError(
            "TorchSim is not installed: pip install torch-sim-atomistic==0.3.0"
        )
    if not isinstance(potential, MACEPotential):
        raise PotentialError(f"{potential.name} is not measured with TorchSim: only MACE is")
    import torch
    import torch_sim
    from torch_sim.autobatching import InFlightAutoBatcher
    from torch_sim.models.mace import MaceModel
    from torch_sim.optimizers import frechet_cell_fire

    network = potential.calculator().models[0]
    model = MaceModel(
        network,
        device=next(network.parameters()).device,
        dtype=next(network.parameters()).dtype,
        compute_stress=True,
    )
    final: Any = torch_sim.optimize(
        [crystal.to_atoms() for crystal in crystals],
        model,
        optimizer=frechet_cell_fire,
        convergence_fn=torch_sim.generate_force_convergence_fn(settings.fmax_ev_per_angstrom),
        max_steps=settings.max_steps * len(crystals),  # its limit is the whole batch's
        steps_between_swaps=1,
        autobatcher=InFlightAutoBatcher(
            model, max_memory_scaler=_TORCHSIM_MEMORY, memory_scales_with="n_atoms_x_density"
        ),
    )
    sizes = torch.bincount(final.system_idx)
    energies = (final.energy / sizes).detach().cpu().tolist()
    return [Outcome(energy, None, converged=bool(np.isfinite(energy))) for energy in energies]


def _one_by_one(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings, optimizer: Any
) -> list[Outcome]:
    calculator = potential.calculator()
    return [_relaxed(crystal, calculator, settings, optimizer) for crystal in crystals]


def _relaxed(
    crystal: Crystal, calculator: Any, settings: RelaxationSettings, optimizer: Any
) -> Outcome:
    """Given up, like ours, when the volume leaves its bounds."""
    atoms = crystal.to_atoms()
    atoms.calc = calculator
    converged, steps = False, 0
    try:
        descent = optimizer(atoms)
        for converged in descent.irun(settings.fmax_ev_per_angstrom, settings.max_steps):
            steps = descent.nsteps
            change = atoms.get_volume() / crystal.volume_angstrom3 - 1.0
            if abs(change) > settings.max_volume_change:
                converged = False
                break
        energy = float(atoms.get_potential_energy()) / len(atoms)
    except Exception:  # noqa: BLE001 - a calculator may raise anything on a bad structure
        return Outcome(None, steps + 1, converged=False)
    return Outcome(energy, steps + 1, converged=bool(converged))

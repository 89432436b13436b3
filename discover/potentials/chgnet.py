"""CHGNet: a universal graph-network potential whose weights come with its package."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from discover.potentials.base import Evaluation
from discover.potentials.batches import MemoryBatches
from discover.potentials.devices import torch_device

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from chgnet.model import CHGNet

_EXPECTED_WARNINGS = (
    "Only FixAtoms and FixCartesian is supported by Pymatgen",  # symmetry is kept outside of CHGNet
    "Converting a tensor with requires_grad=True to a scalar",
)

_ATOMS_A_CALL = {"cpu": 48, "cuda": 4096}
"""On a CPU larger calls are slower, as their angles leave its caches; on a GPU memory sets the limit."""


class CHGNetPotential:
    """CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023)), in single precision.

    Trained on the Materials Project's relaxations, with energies of PBE and PBE+U after its 2020
    corrections; `r2scan` is the transfer-learned model of the package.
    """

    def __init__(self, model: Literal["0.3.0", "0.2.0", "r2scan"] = "0.3.0") -> None:
        self._version = model

    @property
    def name(self) -> str:
        """`chgnet:` and the version of the weights."""
        return f"chgnet:{self._version}"

    def elements(self) -> frozenset[str]:
        """The 89 elements of its training set: all up to plutonium but Po, At, Rn, Fr and Ra."""
        from ase.data import chemical_symbols

        return frozenset(chemical_symbols[1:84] + chemical_symbols[89:95])

    def calculator(self) -> Calculator:
        """A new calculator around weights that are loaded once.

        Sets this process to one torch thread: more are slower for cells of a few atoms, many times so
        on a busy machine. An atom with no neighbour within 6 Å is an error, not a silent zero.
        """
        import torch
        from chgnet.model.dynamics import CHGNetCalculator

        torch.set_num_threads(1)
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        with contextlib.redirect_stdout(io.StringIO()):
            return CHGNetCalculator(
                self._model, use_device=torch_device(), on_isolated_atoms="error"
            )

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        """Batched evaluation, see `BatchedPotential`; as many at once as memory holds."""
        return self._batches.evaluate(structures)

    @cached_property
    def _batches(self) -> MemoryBatches:
        self.calculator()  # sets threads, and what happens to isolated atoms
        return MemoryBatches(self.name, self._evaluate_batch, _ATOMS_A_CALL[torch_device()])

    def _evaluate_batch(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """One forward and one backward pass: CHGNet's own prediction makes two, to be differentiated.

        Derivatives are taken with respect to fractional positions s and cell vectors H (rows), which
        are where its graph begins: F = -∂E/∂s H⁻ᵀ, and the stress is Hᵀ ∂E/∂H / V.
        """
        import torch
        from ase.stress import full_3x3_to_voigt_6_stress
        from pymatgen.io.ase import AseAtomsAdaptor

        graphs = [
            self._model.graph_converter(AseAtomsAdaptor.get_structure(structure)).to(torch_device())
            for structure in structures
        ]
        energies = self._model.eval()(graphs, task="e")["e"]
        if self._model.is_intensive:
            energies = energies * energies.new_tensor([len(structure) for structure in structures])
        leaves = [leaf for graph in graphs for leaf in (graph.atom_frac_coord, graph.lattice)]
        slopes = [s.double().cpu().numpy() for s in torch.autograd.grad(energies.sum(), leaves)]
        return [
            Evaluation(
                float(energy),
                -by_position @ np.linalg.inv(structure.cell.array).T,
                full_3x3_to_voigt_6_stress(structure.cell.array.T @ by_cell)
                / structure.get_volume(),
            )
            for structure, energy, by_position, by_cell in zip(
                structures, energies.detach(), slopes[::2], slopes[1::2], strict=True
            )
        ]

    @cached_property
    def _model(self) -> CHGNet:
        from chgnet.model import CHGNet

        with contextlib.redirect_stdout(io.StringIO()):
            return CHGNet.load(model_name=self._version, use_device=torch_device(), verbose=False)

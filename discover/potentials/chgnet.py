"""CHGNet: a universal graph-network potential whose weights come with its package."""

from __future__ import annotations

import contextlib
import io
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from chgnet.model import CHGNet

_EXPECTED_WARNINGS = (
    "Only FixAtoms and FixCartesian is supported by Pymatgen",  # symmetry is kept outside of CHGNet
    "Converting a tensor with requires_grad=True to a scalar",
)


class CHGNetPotential:
    """CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023)), in single precision on the CPU.

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
            return CHGNetCalculator(self._model, use_device="cpu", on_isolated_atoms="error")

    @cached_property
    def _model(self) -> CHGNet:
        from chgnet.model import CHGNet

        with contextlib.redirect_stdout(io.StringIO()):
            return CHGNet.load(model_name=self._version, use_device="cpu", verbose=False)

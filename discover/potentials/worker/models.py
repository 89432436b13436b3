"""The models a worker can load, each by its own package; the same code serves where we can import it.

A model takes structures with three periodic directions or fewer, of any composition, and answers for
each of them by itself.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .structures import Answer

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_CPU_BATCH_ATOMS = 16
"""Atoms in one call of SevenNet on a CPU. For 2-atom cells 4 to 8 at once take 1.3 to 1.6 times less
than one by one; beyond some 16 atoms the intermediate tensors leave the cache, and it gets slower."""

_GPU_BATCH_ATOMS = 2048

_NEVER_IN_DATASETS = {"Po", "At", "Rn", "Fr", "Ra"}
"""Elements up to Pu of which the Materials Project and the data sets that grew from it have nothing."""


class Model(Protocol):
    """A model that is loaded; `versions` are those of its packages."""

    elements: frozenset[str]
    device: str
    versions: dict[str, str]

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        """Of structures that it knows all elements of; a string says what is wrong with one."""
        ...


def load(family: str, model: str) -> Model:
    """Load a model; whatever its package raises passes through, ValueError where it cannot serve us."""
    with contextlib.redirect_stdout(sys.stderr), _expected_warnings():
        return _LOADERS[family](model)


def evaluate(model: Model, structures: Sequence[Atoms]) -> list[Answer | str]:
    """One answer for each structure; a string where it is malformed, not covered, or the model fails."""
    problems = [_problem(atoms, model.elements) for atoms in structures]
    sound = [a for a, problem in zip(structures, problems, strict=True) if problem is None]
    answers = iter(model.answers(sound))
    return [problem if problem is not None else next(answers) for problem in problems]


class _CalculatorModel:
    """A model behind an ASE calculator: one structure after another."""

    def __init__(
        self, calculator: Calculator, elements: frozenset[str], device: str, packages: Sequence[str]
    ) -> None:
        self._calculator = calculator
        self.elements = elements
        self.device = device
        self.versions = {name: importlib.metadata.version(name) for name in packages}

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        """Whatever the calculator raises becomes the structure's problem."""
        return [self._answer(atoms) for atoms in structures]

    def _answer(self, atoms: Atoms) -> Answer | str:
        atoms = atoms.copy()
        atoms.calc = self._calculator
        try:
            return Answer(
                float(atoms.get_potential_energy()),
                np.asarray(atoms.get_forces(), dtype=np.float64),
                np.asarray(atoms.get_stress(), dtype=np.float64),
            )
        except Exception as error:  # noqa: BLE001 - a model may raise anything on a bad structure
            return _sentence(error)


class _SevenNetModel(_CalculatorModel):
    """SevenNet, several small structures in one call; where that fails, one by one."""

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        limit = _CPU_BATCH_ATOMS if self.device == "cpu" else _GPU_BATCH_ATOMS
        found: list[Answer | str] = []
        for batch in _batches(structures, limit):
            try:
                found += self._together(batch) if len(batch) > 1 else super().answers(batch)
            except Exception:  # noqa: BLE001 - the one that is wrong is found one by one
                found += super().answers(batch)
        return found

    def _together(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        from sevenn import _keys as key
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph
        from torch_geometric.loader.dataloader import Collater

        calculator: Any = self._calculator
        graphs = []
        for atoms in structures:
            graph = unlabeled_atoms_to_graph(atoms, calculator.cutoff, with_shift=False)
            graphs.append(AtomGraphData.from_numpy_dict(graph))
            if calculator.modal:
                graphs[-1][key.DATA_MODALITY] = calculator.modal
        calculator.model.set_is_batch_data(True)
        try:
            batch = Collater([], follow_batch=None, exclude_keys=None)(graphs)
            output = calculator.model(batch.to(calculator.device))
        finally:
            calculator.model.set_is_batch_data(False)
        energies, forces, stresses = (
            output[name].detach().cpu().numpy().astype(np.float64)
            for name in (key.PRED_TOTAL_ENERGY, key.PRED_FORCE, key.PRED_STRESS)
        )
        stresses = -stresses[:, [0, 1, 2, 4, 5, 3]]  # theirs is xx, yy, zz, xy, yz, zx
        ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
        parts = zip(energies, np.split(forces, ends), stresses, strict=True)
        return [Answer(float(energy), force, stress) for energy, force, stress in parts]


def _sevennet(model: str) -> Model:
    from ase.data import chemical_symbols
    from sevenn.calculator import SevenNetCalculator

    name, _, modal = model.partition(":")
    calculator = SevenNetCalculator(name, modal=modal or None, device=_device())
    elements = frozenset(chemical_symbols[int(z)] for z in calculator.type_map)
    return _SevenNetModel(calculator, elements, _device(), ("sevenn", "e3nn", "torch"))


def _mattersim(model: str) -> Model:
    from ase.data import chemical_symbols
    from loguru import logger
    from mattersim.forcefield import MatterSimCalculator

    logger.remove()
    calculator = MatterSimCalculator.from_checkpoint(model, device=_device())
    # Its embedding has a row for every element up to Pu; the training set has 89 of them (Yang et
    # al., arXiv:2405.04967).
    embedded = chemical_symbols[1 : calculator.potential.model.max_z + 1]
    elements = frozenset(embedded) - _NEVER_IN_DATASETS
    return _CalculatorModel(calculator, elements, _device(), ("mattersim", "e3nn", "torch"))


def _fairchem(model: str) -> Model:
    from ase.data import chemical_symbols
    from fairchem.core import FAIRChemCalculator
    from fairchem.core.calculate.pretrained_mlip import get_predict_unit

    # "batch" is their setting for compositions that change from call to call.
    predictor = get_predict_unit(model, inference_settings="batch", device=_device())
    tasks = list(predictor.dataset_to_tasks)
    task = "omat" if "omat" in tasks else tasks[0]
    calculator = FAIRChemCalculator(predictor, task_name=task)
    missing = {"energy", "forces", "stress"}.difference(calculator.implemented_properties)
    if missing:
        raise ValueError(f"{model} is no model for crystals: it gives no {', '.join(missing)}")
    references = (predictor.atom_refs or {}).get(task)
    known = [int(z) for z in references] if references else range(1, 95)
    elements = frozenset(chemical_symbols[z] for z in known if 1 <= z <= 94) - _NEVER_IN_DATASETS
    return _CalculatorModel(calculator, elements, _device(), ("fairchem-core", "e3nn", "torch"))


def _emt(model: str) -> Model:
    from ase.calculators.emt import EMT, parameters

    if model:
        raise ValueError("emt has no models to choose from")
    return _CalculatorModel(EMT(), frozenset(parameters), "cpu", ("ase",))


_LOADERS: dict[str, Callable[[str], Model]] = {
    "sevennet": _sevennet,
    "mattersim": _mattersim,
    "fairchem": _fairchem,
    "emt": _emt,
}


def _device() -> str:
    """`cuda` where torch sees a GPU, else `cpu` with one thread, which small cells fare best with.

    The variable DISCOVER_DEVICE names one of them for all potentials.
    """
    import torch

    torch.set_num_threads(1)
    available = torch.cuda.is_available()
    device = os.environ.get("DISCOVER_DEVICE") or ("cuda" if available else "cpu")
    if device not in {"cpu", "cuda"}:
        raise ValueError(f"DISCOVER_DEVICE is {device!r}: it must be cpu or cuda")
    if device == "cuda" and not available:
        raise ValueError("DISCOVER_DEVICE is cuda, but PyTorch finds no GPU")
    return device


def _problem(atoms: Atoms, known: frozenset[str]) -> str | None:
    if len(atoms) == 0:
        return "it has no atoms"
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        return "positions or cell are not finite"
    unknown = sorted(set(atoms.get_chemical_symbols()) - known)
    return f"the model does not know {', '.join(unknown)}" if unknown else None


def _batches(structures: Sequence[Atoms], limit: int) -> Iterator[list[Atoms]]:
    """Neighbours in the sequence, together up to `limit` atoms; a larger one goes by itself."""
    batch: list[Atoms] = []
    for atoms in structures:
        if batch and sum(map(len, batch)) + len(atoms) > limit:
            yield batch
            batch = []
        batch.append(atoms)
    if batch:
        yield batch


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__


@contextlib.contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator")
        yield

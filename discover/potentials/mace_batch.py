"""Many crystals as one graph for one call of a MACE model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.potentials.base import Evaluation

if TYPE_CHECKING:
    from ase import Atoms


def evaluate_batch(
    model: Any, head: int, device: str, structures: Sequence[Atoms]
) -> list[Evaluation]:
    """Energy, forces and stress of each structure by one call of `model` (its output head `head`).

    The numbers are those of mace-torch's calculator, which spends as long on making its graph of a
    small crystal as the model does on it in a batch.
    """
    import torch
    from ase.stress import full_3x3_to_voigt_6_stress

    # TorchScript fuses operations after the first calls, whose last digits then are no longer those of
    # a process that has just begun: a campaign that goes on after a kill would relax otherwise.
    with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
        output = model(crystal_graph(model, head, device, structures), compute_stress=True)
    energies, forces, stresses = (
        output[key].detach().double().cpu().numpy() for key in ("energy", "forces", "stress")
    )
    ends = np.cumsum([len(structure) for structure in structures])
    return [
        Evaluation(float(energy), force, full_3x3_to_voigt_6_stress(stress))
        for energy, force, stress in zip(
            energies, np.split(forces, ends[:-1]), stresses, strict=True
        )
    ]


def crystal_graph(
    model: Any, head: int, device: str, structures: Sequence[Atoms]
) -> dict[str, Any]:
    """What MACE's `prepare_graph` reads: the crystals side by side, with no edge between two."""
    import torch
    from matscipy.neighbours import neighbour_list

    cutoff = float(model.r_max)
    starts = np.concatenate([[0], np.cumsum([len(structure) for structure in structures])])
    edges, images, shifts = [], [], []
    for start, structure in zip(starts, structures, strict=False):
        cell = structure.cell.array
        i, j, image = neighbour_list(
            "ijS", positions=structure.positions, cell=cell, pbc=structure.pbc, cutoff=cutoff
        )
        edges.append(np.stack([i, j]) + start)
        images.append(image)
        shifts.append(image @ cell)
    numbers = np.concatenate([structure.numbers for structure in structures])
    table = model.atomic_numbers.cpu().numpy()
    dtype = next(model.parameters()).dtype

    def tensor(array: Any, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.as_tensor(array, dtype=kind, device=device)

    return {
        "positions": tensor(np.concatenate([structure.positions for structure in structures])),
        "cell": tensor(np.concatenate([structure.cell.array for structure in structures])),
        "node_attrs": tensor(numbers[:, None] == table),
        "edge_index": tensor(np.concatenate(edges, axis=1), torch.int64),
        "unit_shifts": tensor(np.concatenate(images)),
        "shifts": tensor(np.concatenate(shifts)),
        "batch": tensor(np.repeat(np.arange(len(structures)), np.diff(starts)), torch.int64),
        "ptr": tensor(starts, torch.int64),
        "head": tensor(np.full(len(structures), head), torch.int64),
    }

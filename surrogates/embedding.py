"""Descriptor `embedding`: what a MACE potential has learned to see in a crystal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover.errors import PotentialError, StructureError
from discover.records import Candidate, content_hash

if TYPE_CHECKING:
    import torch
    from ase import Atoms

    from discover.potentials.base import Potential
    from discover.potentials.mace import MACEPotential

Array = npt.NDArray[np.float64]

ATOMS_A_CALL = 96


class EmbeddingDescriptor:
    """Mean and standard deviation over the atoms of a MACE's invariant node features.

    Those of all its layers, in double precision, kept as single: so they depend neither on the choice
    of cell nor on which other crystals are in the batch. `potential` is a name as in a campaign file
    (`mace:<model>`), or a potential; PotentialError where that is no MACE. Each crystal is computed once.
    """

    def __init__(self, potential: Any = "mace:bundled") -> None:
        self._chosen = potential if isinstance(potential, str) else _mace(potential)
        self._rows: dict[str, Array] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """`embedding_mean_0`, ..., `embedding_std_0`, ...: two of each invariant feature."""
        features = len(_invariants(self._model))
        return tuple(f"embedding_{kind}_{i}" for kind in ("mean", "std") for i in range(features))

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x d).

        StructureError naming the first one with an element that the potential does not know,
        PotentialError where it is no MACE.
        """
        keys = [content_hash(candidate.crystal.model_dump(mode="json")) for candidate in candidates]
        new: dict[str, Atoms] = {}
        for key, candidate in zip(keys, candidates, strict=True):
            if key not in self._rows and key not in new:
                new[key] = self._known(candidate)
        batch: dict[str, Atoms] = {}
        for key, atoms in new.items():
            if batch and sum(map(len, batch.values())) + len(atoms) > ATOMS_A_CALL:
                self._compute(batch)
                batch = {}
            batch[key] = atoms
        if batch:
            self._compute(batch)
        return np.array([self._rows[key] for key in keys])

    @cached_property
    def _potential(self) -> MACEPotential:
        from discover.potentials import load_potential

        chosen = self._chosen
        return _mace(load_potential(chosen)) if isinstance(chosen, str) else chosen

    @cached_property
    def _model(self) -> torch.nn.Module:
        return self._potential.module().double().eval()

    def _known(self, candidate: Candidate) -> Atoms:
        from discover.potentials import unknown_elements

        atoms = candidate.crystal.to_atoms()
        unknown = unknown_elements(self._potential, atoms.get_chemical_symbols())
        if unknown:
            raise StructureError(
                f"candidate {candidate.id}: {self._potential.name} does not know {', '.join(unknown)}"
            )
        return atoms

    def _compute(self, batch: dict[str, Atoms]) -> None:
        import torch

        from discover.potentials.mace_batch import crystal_graph

        structures = list(batch.values())
        graph = crystal_graph(self._model, 0, "cpu", structures)
        # see `mace_batch`: otherwise the last digits change after the first calls
        with torch.jit.optimized_execution(False), torch.no_grad():  # type: ignore[attr-defined]
            output = self._model(graph, compute_force=False)
        features = output["node_feats"][:, _invariants(self._model)].numpy()
        ends = np.cumsum([len(structure) for structure in structures])[:-1]
        for key, atoms in zip(batch, np.split(features, ends), strict=True):
            row = np.concatenate([atoms.mean(axis=0), atoms.std(axis=0)])
            self._rows[key] = row.astype(np.float32).astype(np.float64)


def _mace(potential: Potential) -> MACEPotential:
    from discover.potentials.mace import MACEPotential

    if not isinstance(potential, MACEPotential):
        raise PotentialError(
            f"the descriptor 'embedding' needs a MACE potential, not {potential.name!r}: set `potential` "
            "to mace:bundled or mace:<file>"
        )
    return potential


def _invariants(model: Any) -> list[int]:
    """Columns of a MACE's node features that do not change under rotations: scalars of every layer."""
    columns: list[int] = []
    start = 0
    for product in model.products:
        irreps = product.linear.irreps_out
        for (_, irrep), part in zip(irreps, irreps.slices(), strict=True):
            if irrep.l == 0 and irrep.p == 1:
                columns += range(start + part.start, start + part.stop)
        start += irreps.dim
    return columns

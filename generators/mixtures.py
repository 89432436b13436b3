"""Generator `formulation`: a salt in mixtures of solvents, with or without an additive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import combinations
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from discover.errors import StructureError
from discover.plugins import suggestion
from discover.records import Candidate, Provenance
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule
from generators.base import GeneratorContext, Proposal
from generators.streams import Permutation


class Salt(BaseModel):
    """SMILES of a salt's two ions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cation: str
    anion: str


SALTS: dict[str, Salt] = {
    name: Salt(cation="[Li+]", anion=anion)
    for name, anion in {
        "LiPF6": "F[P-](F)(F)(F)(F)F",
        "LiBF4": "F[B-](F)(F)F",
        "LiFSI": "O=S(=O)(F)[N-]S(=O)(=O)F",
        "LiTFSI": "O=S(=O)(C(F)(F)F)[N-]S(=O)(=O)C(F)(F)F",
        "LiBOB": "O=C1O[B-]2(OC1=O)OC(=O)C(=O)O2",
        "LiDFOB": "O=C1O[B-](F)(F)OC1=O",
        "LiClO4": "[O-][Cl+3]([O-])([O-])[O-]",
    }.items()
}


class Recipe(NamedTuple):
    """A mixture: salt, its formula units for each solvent molecule, solvents with shares, additive."""

    salt: str
    salt_per_solvent: float
    shares: dict[str, float]
    additive: str | None


class FormulationGenerator:
    """Mixtures of one salt, up to `max_solvents` solvents and at most one additive.

    `sampling` is `grid`: the solvents' shares are multiples of 1/`steps` and every combination comes
    once, in an order that the seed shuffles; or `sobol`: shares and salt content are drawn evenly
    between their bounds without end (scrambled Sobol points: A. Owen, J. Complexity 14, 466 (1998)).
    """

    makes = Formulation

    def __init__(
        self,
        solvents: Annotated[tuple[str, ...], Field(min_length=1)],
        salts: Annotated[tuple[str | Salt, ...], Field(min_length=1)] = ("LiPF6",),
        salt_per_solvent: Annotated[tuple[float, ...], Field(min_length=1)] = (0.05, 0.1),
        max_solvents: Annotated[int, Field(ge=1, le=5)] = 2,
        steps: Annotated[int, Field(ge=1, le=20)] = 4,
        additives: tuple[str, ...] = (),
        additive_per_solvent: Annotated[float, Field(gt=0, lt=1)] = 0.02,
        sampling: Literal["grid", "sobol"] = "grid",
    ) -> None:
        """Solvents and additives are SMILES, salts names such as LiPF6 or the SMILES of both ions.

        `salt_per_solvent` are formula units for each solvent molecule; Sobol points lie between the
        smallest and the largest. Raises StructureError naming everything that cannot be used.
        """
        self._salts = {s if isinstance(s, str) else f"{s.cation}{s.anion}": s for s in salts}
        self._ratios = salt_per_solvent
        self._steps, self._sampling = steps, sampling
        self._additive_per_solvent = additive_per_solvent
        problems = [f"salt_per_solvent: {r:g} is not positive" for r in salt_per_solvent if r <= 0]
        for text in (*solvents, *additives):
            problems += _problems(text, charges=(0,))
        for name, salt in self._salts.items():
            if isinstance(salt, str) and salt not in SALTS:
                problems.append(f"no salt is called {name!r}{suggestion(name, SALTS)}")
                continue
            ions = _ions(salt)
            problems += _problems(ions.cation, charges=(1, 2, 3))
            problems += _problems(ions.anion, charges=(-1, -2, -3))
        if problems:
            raise StructureError("; ".join(problems))
        self._solvents = tuple(dict.fromkeys(_molecule(smiles).smiles for smiles in solvents))
        self._additives = tuple(dict.fromkeys(_molecule(smiles).smiles for smiles in additives))
        self._most = min(max_solvents, len(self._solvents))

    def elements(self) -> frozenset[str]:
        """Symbols in any component."""
        ions = [_ions(salt) for salt in self._salts.values()]
        texts = [*self._solvents, *self._additives, *(t for i in ions for t in (i.cation, i.anion))]
        return frozenset(s for t in texts for s in _molecule(t).to_atoms().get_chemical_symbols())

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """The next `n` mixtures that are not known; on a grid, as many as there are before the end."""
        chosen: dict[str, Candidate] = {}
        position, size = context.position, self.size()
        shuffle = Permutation(size or 1, f"{context.seed}/formulation")
        while len(chosen) < n and (size is None or position < size):
            recipe = (
                self._drawn(context.seed, position)
                if size is None
                else self._grid[shuffle(position)]
            )
            candidate = self._candidate(recipe, position)
            if candidate.id not in context.known:
                chosen.setdefault(candidate.id, candidate)
            position += 1
        exhausted = size is not None and position >= size
        return Proposal(candidates=tuple(chosen.values()), position=position, exhausted=exhausted)

    def size(self) -> int | None:
        """How many mixtures the grid has; None for Sobol points, which have no end."""
        return None if self._sampling == "sobol" else len(self._grid)

    @cached_property
    def _grid(self) -> list[Recipe]:
        return [
            Recipe(salt, ratio, dict(zip(mixed, shares, strict=True)), additive)
            for salt in self._salts
            for ratio in self._ratios
            for k in range(1, self._most + 1)
            for mixed in combinations(self._solvents, k)
            for shares in _simplex(k, self._steps)
            for additive in (None, *self._additives)
            if additive not in mixed
        ]

    def _drawn(self, seed: int, position: int) -> Recipe:
        """The Sobol point of a position: salt, additive, salt content, and shares of the solvents."""
        from scipy.stats import qmc

        sobol = qmc.Sobol(d=3 + 2 * self._most, rng=seed)
        if position:
            sobol.fast_forward(position)
        point = sobol.random(1)[0]
        salts, extras = list(self._salts), (None, *self._additives)
        low, high = min(self._ratios), max(self._ratios)
        # exponential deviates, normalized, are even on the simplex
        which, deviates = point[3 : 3 + self._most], -np.log(1 - point[3 + self._most :])
        left = list(self._solvents)
        mixed = [left.pop(int(u * len(left))) for u in which]
        shares = deviates / deviates.sum()
        additive = extras[int(point[1] * len(extras))]
        return Recipe(
            salts[int(point[0] * len(salts))],
            float(low + (high - low) * point[2]),
            {s: float(x) for s, x in zip(mixed, shares, strict=True) if x > 1e-3},
            None if additive in mixed else additive,
        )

    def _candidate(self, recipe: Recipe, position: int) -> Candidate:
        ions = _ions(self._salts[recipe.salt])
        cation, anion = _molecule(ions.cation), _molecule(ions.anion)
        unit = math.lcm(cation.charge, -anion.charge)
        parts = [
            (Role.CATION, cation, recipe.salt_per_solvent * unit / cation.charge),
            (Role.ANION, anion, recipe.salt_per_solvent * unit / -anion.charge),
            *((Role.SOLVENT, _molecule(smiles), x) for smiles, x in recipe.shares.items()),
        ]
        if recipe.additive is not None:
            parts.append((Role.ADDITIVE, _molecule(recipe.additive), self._additive_per_solvent))
        total = math.fsum(amount for _, _, amount in parts)
        mixture = Formulation(
            components=tuple(
                Component(role=role, molecule=molecule, mole_fraction=amount / total)
                for role, molecule, amount in parts
            )
        )
        solvents = " + ".join(f"{100 * x:.3g} % {smiles}" for smiles, x in recipe.shares.items())
        operation = f"{recipe.salt_per_solvent:.3g} {recipe.salt} in {solvents}"
        if recipe.additive is not None:
            operation += f" with {recipe.additive}"
        provenance = Provenance(generator="formulation", operation=operation, draw=position)
        return Candidate.of(mixture, provenance)


def _simplex(parts: int, steps: int) -> list[tuple[float, ...]]:
    """Shares of so many parts, each a positive multiple of 1/steps, that sum to one."""
    cuts = combinations(range(1, steps), parts - 1)
    return [
        tuple((b - a) / steps for a, b in zip((0, *cut), (*cut, steps), strict=True))
        for cut in cuts
    ]


def _ions(salt: str | Salt) -> Salt:
    return SALTS[salt] if isinstance(salt, str) else salt


@cache
def _molecule(smiles: str) -> Molecule:
    return Molecule.from_smiles(smiles)


def _problems(smiles: str, charges: Sequence[int]) -> list[str]:
    try:
        charge: Any = _molecule(smiles).charge
    except StructureError as error:
        return [str(error)]
    wanted = "neutral" if 0 in charges else "positive" if charges[0] > 0 else "negative"
    return [] if charge in charges else [f"{smiles!r} has the charge {charge:+d}, not {wanted}"]

"""The supply of candidates: drawn from the generator, relaxed, filtered, featurized, pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discover import plugins
from discover.campaign import CampaignSpec
from discover.errors import PluginError, StructureError
from discover.folder import CampaignFolder
from discover.incumbents import incumbents, known_beforehand
from discover.ladder import on_ladder, rung_index, unstable
from discover.pool import KnownCandidates, Pool
from discover.records import Calculation, Candidate, CandidateState
from discover.store.base import Store
from discover.structures.crystal import Crystal
from discover.structures.structure import sort_made
from surrogates.descriptors import descriptors_named, featurize

if TYPE_CHECKING:
    from discover.potentials.base import Potential
    from generators import Generator


class CandidateSupply:
    """Fills the pool. Each draw is in the store before it takes effect and can be done again."""

    def __init__(self, folder: CampaignFolder, spec: CampaignSpec, store: Store) -> None:
        self.pool = Pool(len(spec.rungs), all_of_them=bool(spec.calculations))
        self._folder, self._spec, self._store = folder, spec, store
        self._known = KnownCandidates()
        self._imported: frozenset[str] = frozenset()
        self._potential: tuple[str, Potential] | None = None
        self._generator: Generator = plugins.create(
            "generators", spec.generator.name, spec.generator.options, folder.root
        )
        self._descriptors = descriptors_named(spec.descriptors, folder.root, spec.potential)

    @property
    def exhausted(self) -> bool:
        """Whether the generator has come to the end of its space."""
        return bool(self._store.value("exhausted"))

    @property
    def known(self) -> int:
        """How many candidates were known before the campaign began."""
        return len(self._imported)

    def recover(self) -> list[Candidate]:
        """Take all candidates from the store, in the order of their draws, and what was picked of them.

        A draw that a kill interrupted is finished first. Returns the candidates that are still to be
        screened.
        """
        self._apply_draw()
        self._imported = known_beforehand(self._store, self._spec)
        unfinished = []
        for candidate in self._store.candidates():
            self._known.add([candidate])
            if candidate.state is CandidateState.READY:
                self._offer([candidate])
            elif candidate.state is CandidateState.PROPOSED:
                unfinished.append(candidate)
        calculations = self._store.calculations()
        rungs = rung_index(self._spec.rungs)
        for calculation in on_ladder(calculations):
            # one that failed before the calculation was changed counts as one at the target
            self.pool.take(calculation.candidate, rungs.get(calculation.fidelity, len(rungs) - 1))
        self.close_unstable(calculations)
        return unfinished

    def close_unstable(self, calculations: list[Calculation]) -> None:
        """Take out what any of these calculations found to be dynamically unstable, at any rung.

        Such a crystal has no value to be found at a dearer one either.
        """
        observed = self._store.observations(quarantined=True)
        found = unstable(calculations, observed, self._spec.objective.property)
        for calculation in calculations:
            if calculation.id in found:
                self.pool.close(calculation.candidate)

    def propose(self, n: int) -> list[Candidate]:
        """Up to `n` new candidates, where the generator has them."""
        from generators import GeneratorContext

        position = int(self._store.value("position") or 0)
        draw = self._generator.propose(
            n,
            GeneratorContext(
                seed=self._spec.seed,
                position=position,
                known=self._known.ids,
                best=incumbents(self._store, self._spec),
            ),
        )
        if not draw.candidates and not draw.exhausted:
            raise PluginError(
                f"generator {self._spec.generator.name!r} proposed nothing and does not say that it is "
                "exhausted (see generators.conformance)"
            )
        self._store.set_value("proposal", draw.model_dump(mode="json"))
        return self._apply_draw()

    def screen(self, proposed: list[Candidate]) -> list[Candidate]:
        """Relax, filter and featurize; the answers are stored in one go, the ready ones pooled."""
        namesakes = (
            self._store.candidate(i) for i in self._known.of_formulas(c.formula for c in proposed)
        )
        made = sort_made(
            self._generator
        )  # those of which only the composition is known are no twins
        ready = (c for c in namesakes if c.state is CandidateState.READY)
        twins = [c for c in ready if isinstance(c.structure, made)]
        screened = self._filtered(proposed, twins)
        answered = [self._featurized(c) if c.state is CandidateState.READY else c for c in screened]
        self._store.update_candidates(answered)
        self._offer([c for c in answered if c.state is CandidateState.READY])
        return answered

    def _offer(self, ready: list[Candidate]) -> None:
        """Put candidates into the pool, but for those of which everything sought is known already."""
        self.pool.add(c for c in ready if c.id not in self._imported)

    def _filtered(self, proposed: list[Candidate], twins: list[Candidate]) -> list[Candidate]:
        spec = self._spec
        if sort_made(self._generator) is Crystal:
            from discover.potentials.screening import screen

            return screen(
                proposed,
                self._potential_in_use(),
                spec.relaxation,
                spec.filters,
                references=self._folder.models,
                others=twins,
            )
        from discover.molecule_screening import screen_molecules

        potential = self._potential_in_use() if spec.relaxation.enabled else None
        return screen_molecules(
            proposed, spec.filters.molecules, spec.relaxation, potential, others=twins
        )

    def _potential_in_use(self) -> Potential:
        """The one that was adopted last, which is loaded once."""
        from discover.potentials import load_potential
        from discover.potentials.learning.notes import potential_in_use

        name = potential_in_use(self._store, self._spec)
        if self._potential is None or self._potential[0] != name:
            self._potential = name, load_potential(name, self._folder.root)
        return self._potential[1]

    def _featurized(self, candidate: Candidate) -> Candidate:
        """A candidate with its descriptors, or rejected where it cannot be described."""
        try:
            return featurize([candidate], self._descriptors)[0]
        except StructureError as error:
            rejected = {"state": CandidateState.REJECTED, "reason": f"descriptors: {error}"}
            return candidate.model_copy(update=rejected)

    def _apply_draw(self) -> list[Candidate]:
        """Take in the draw that was noted last, if any; doing it again after a kill changes nothing."""
        from generators import Proposal

        noted = self._store.value("proposal")
        if noted is None:
            return []
        draw = Proposal.model_validate(noted)
        self._store.add_candidates(draw.candidates)
        self._store.set_value("position", draw.position)
        self._store.set_value("exhausted", draw.exhausted)
        self._store.set_value("proposal", None)
        self._known.add(draw.candidates)
        return list(draw.candidates)

"""The supply of candidates: drawn from the generator, relaxed, filtered, featurized, pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discover import plugins
from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.pool import KnownCandidates, Pool
from discover.records import Candidate, CandidateState
from discover.store.base import Store

if TYPE_CHECKING:
    from discover.potentials.base import Potential
    from generators import Generator


class CandidateSupply:
    """Fills the pool. Each draw is in the store before it takes effect and can be done again."""

    def __init__(self, folder: CampaignFolder, spec: CampaignSpec, store: Store) -> None:
        self.pool = Pool()
        self._folder, self._spec, self._store = folder, spec, store
        self._known = KnownCandidates()
        self._potential: Potential | None = None
        self._generator: Generator = plugins.create(
            "generators", spec.generator.name, spec.generator.options, folder.root
        )
        self._descriptors = [
            plugins.create("descriptors", name, {}, folder.root) for name in spec.descriptors
        ]

    @property
    def exhausted(self) -> bool:
        """Whether the generator has come to the end of its space."""
        return bool(self._store.value("exhausted"))

    def recover(self) -> list[Candidate]:
        """Finish a draw that a kill interrupted; the candidates that are still to be screened."""
        self._apply_draw()
        return [*self._store.candidates(CandidateState.PROPOSED)]

    def reload(self, picked: set[str]) -> None:
        """Take all candidates from the store, in the order in which they were drawn."""
        self.pool = Pool()
        for candidate in self._store.candidates():
            self._known.add([candidate])
            if candidate.state is CandidateState.READY and candidate.id not in picked:
                self.pool.add([candidate])

    def propose(self, n: int) -> list[Candidate]:
        """Up to `n` new candidates, where the generator has them."""
        from generators import GeneratorContext

        position = int(self._store.value("position") or 0)
        draw = self._generator.propose(
            n, GeneratorContext(seed=self._spec.seed, position=position, known=self._known.ids)
        )
        self._store.set_value("proposal", draw.model_dump(mode="json"))
        return self._apply_draw()

    def screen(self, proposed: list[Candidate]) -> list[Candidate]:
        """Relax, filter and featurize; the answers are stored in one go, the ready ones pooled."""
        from discover.potentials import load_potential
        from discover.potentials.screening import screen
        from surrogates.descriptors import featurize

        if self._potential is None:
            self._potential = load_potential(self._spec.potential, self._folder.root)
        namesakes = (
            self._store.candidate(i) for i in self._known.of_formulas(c.formula for c in proposed)
        )
        screened = screen(
            proposed,
            self._potential,
            self._spec.relaxation,
            self._spec.filters,
            references=self._folder.models,
            others=[c for c in namesakes if c.state is CandidateState.READY],
        )
        ready = featurize(
            [c for c in screened if c.state is CandidateState.READY], self._descriptors
        )
        rejected = [c for c in screened if c.state is CandidateState.REJECTED]
        self._store.update_candidates([*ready, *rejected])
        self.pool.add(ready)
        return [*ready, *rejected]

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

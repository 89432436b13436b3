"""The supply of candidates: drawn from the generator, relaxed, filtered, featurized, pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from discover import plugins
from discover.campaign import CampaignSpec, RelaxationSettings
from discover.errors import PluginError
from discover.folder import CampaignFolder
from discover.incumbents import incumbents, known_beforehand
from discover.ladder import on_ladder, rung_index, unstable
from discover.pool import KnownCandidates, Pool
from discover.records import Calculation, Candidate, CandidateState
from discover.store.base import Store
from discover.structures.crystal import Crystal
from discover.structures.structure import sort_made
from discover.workers import InTurn, Lost, Workers, spread, tasks

if TYPE_CHECKING:
    from discover.molecule_screening import Relaxed
    from discover.potentials.base import Potential
    from discover.potentials.relaxation import RelaxedCrystal
    from generators import Generator


class CandidateSupply:
    """Fills the pool. Each draw is in the store before it takes effect and can be done again.

    What is to be relaxed and described is given to the workers in chunks of `tasks.chunk`.
    """

    def __init__(
        self,
        folder: CampaignFolder,
        spec: CampaignSpec,
        store: Store,
        workers: Workers | None = None,
    ) -> None:
        self.pool = Pool(len(spec.rungs), all_of_them=bool(spec.calculations))
        self._folder, self._spec, self._store = folder, spec, store
        self._known = KnownCandidates()
        self._imported: frozenset[str] = frozenset()
        self._workers = workers or InTurn()
        self._generator: Generator = plugins.create(
            "generators", spec.generator.name, spec.generator.options, folder.root
        )

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
        self.pool.expect(self._store.count_candidates()[CandidateState.READY])
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
        # those of which only the composition is known are no twins
        made = sort_made(self._generator)
        ready = (c for c in namesakes if c.state is CandidateState.READY)
        twins = [c for c in ready if isinstance(c.structure, made)]
        answered = self._described(self._filtered(proposed, twins))
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
                relax=self._relax_crystals,
            )
        from discover.molecule_screening import screen_molecules

        return screen_molecules(
            proposed,
            spec.filters.molecules,
            spec.relaxation,
            self._potential_in_use() if spec.relaxation.enabled else None,
            others=twins,
            relax=self._relax_molecules,
        )

    def _potential_in_use(self) -> Potential:
        """The one that was adopted last."""
        return tasks.potential_kept(self._potential_name, self._folder.root)

    @property
    def _potential_name(self) -> str:
        from discover.potentials.learning.notes import potential_in_use

        return potential_in_use(self._store, self._spec)

    # --- what workers do ----------------------------------------------------------------------

    def _relax_crystals(
        self, crystals: Sequence[Crystal], _: Potential, settings: RelaxationSettings
    ) -> list[RelaxedCrystal]:
        from discover.potentials.relaxation import RelaxedCrystal

        def pack(chunk: Sequence[Crystal]) -> str:
            return tasks.RelaxCrystals(
                base=self._folder.root,
                potential=self._potential_name,
                settings=settings,
                crystals=tuple(chunk),
            ).model_dump_json()

        unpack = tasks.relaxed_crystals().validate_json
        size = self._spec.tasks.chunk
        answers = spread(self._workers, tasks.relax_crystals, crystals, size, pack, unpack)
        return [
            RelaxedCrystal(crystal, None, answer.reason) if isinstance(answer, Lost) else answer
            for crystal, answer in zip(crystals, answers, strict=True)
        ]

    def _relax_molecules(
        self, candidates: Sequence[Candidate], _: Potential, settings: RelaxationSettings
    ) -> list[Relaxed]:
        def pack(chunk: Sequence[Candidate]) -> str:
            return tasks.RelaxMolecules(
                base=self._folder.root,
                potential=self._potential_name,
                settings=settings,
                candidates=tuple(chunk),
            ).model_dump_json()

        unpack = tasks.REASONED.validate_json
        size = self._spec.tasks.chunk
        answers = spread(self._workers, tasks.relax_molecules, candidates, size, pack, unpack)
        return [
            (candidate, f"relaxation: {answer.reason}") if isinstance(answer, Lost) else answer
            for candidate, answer in zip(candidates, answers, strict=True)
        ]

    def _described(self, screened: list[Candidate]) -> list[Candidate]:
        """The ready ones with their descriptors, or rejected where they cannot be described."""

        def pack(chunk: Sequence[Candidate]) -> str:
            return tasks.Describe(
                base=self._folder.root,
                potential=self._spec.potential,
                descriptors=self._spec.descriptors,
                candidates=tuple(chunk),
            ).model_dump_json()

        unpack = tasks.CANDIDATES.validate_json
        size = self._spec.tasks.chunk
        ready = [c for c in screened if c.state is CandidateState.READY]
        answers = spread(self._workers, tasks.describe, ready, size, pack, unpack)
        described = {
            candidate.id: tasks.undescribed(candidate, answer.reason)
            if isinstance(answer, Lost)
            else answer
            for candidate, answer in zip(ready, answers, strict=True)
        }
        return [described.get(candidate.id, candidate) for candidate in screened]

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

"""The list of candidates, and one candidate with its way from generator to observation."""

from __future__ import annotations

from discover.calculations.phonons import SPECTRA
from discover.errors import NotServedError
from discover.page.candidate_answers import (
    CandidateAnswer,
    CandidateRow,
    Candidates,
    ProvenanceStep,
)
from discover.page.catalogue import OpenCampaign
from discover.page.jobs import job_file, job_rows, label
from discover.records import Calculation, Candidate, CandidateState, Observation
from discover.report.notation import duration_text, number_text, quantity_text
from discover.results import RELATIONS
from discover.structures.structure import sort_name


def candidate_list(
    campaign: OpenCampaign, offset: int, limit: int, state: CandidateState | None
) -> Candidates:
    """A part of the candidates, in the order they were proposed."""
    counts = campaign.store.count_candidates()
    return Candidates(
        total=counts[state] if state else sum(counts.values()),
        offset=offset,
        rows=tuple(
            candidate_row(candidate)
            for candidate in campaign.store.candidate_page(offset, limit, state)
        ),
    )


def candidate_row(candidate: Candidate) -> CandidateRow:
    """A candidate in one line."""
    return CandidateRow(
        id=candidate.id,
        sort=sort_name(candidate.structure),
        formula=candidate.formula,
        title=candidate.title,
        spacegroup=candidate.spacegroup,
        state=candidate.state,
        reason=candidate.reason,
        generator=candidate.provenance.generator,
        operation=candidate.provenance.operation,
        formation_energy_ev_per_atom=candidate.formation_energy_ev_per_atom,
    )


def candidate_answer(campaign: OpenCampaign, candidate_id: str) -> CandidateAnswer:
    """One candidate; UnknownRecordError where there is none of this id."""
    candidate = campaign.store.candidate(candidate_id)
    calculations = [c for c in campaign.findings.calculations if c.candidate == candidate_id]
    observed = [
        o for o in campaign.store.observations(quarantined=True) if o.candidate == candidate_id
    ]
    return CandidateAnswer(
        row=candidate_row(candidate),
        provenance=candidate.provenance,
        relaxation=candidate.relaxation,
        chain=tuple(_chain(campaign, candidate, calculations, observed)),
        jobs=tuple(job_rows(campaign, calculations)),
        labels=tuple(label(campaign, observation) for observation in observed),
        phonons=tuple(c.id for c in calculations if _has_phonons(campaign, c)),
        viewable=True,
    )


def _chain(
    campaign: OpenCampaign,
    candidate: Candidate,
    calculations: list[Calculation],
    observed: list[Observation],
) -> list[ProvenanceStep]:
    made = candidate.provenance
    parents = f" from {', '.join(made.parents)}" if made.parents else ""
    chain = [
        ProvenanceStep(
            kind="generator",
            title=made.generator,
            told=f"{made.operation}{parents}, draw {made.draw}",
        )
    ]
    if relaxed := candidate.relaxation:
        ended = "converged" if relaxed.converged else "not converged"
        energy = candidate.formation_energy_ev_per_atom
        formed = "" if energy is None else f", formation energy {number_text(energy)} eV/atom"
        chain.append(
            ProvenanceStep(
                kind="relaxation",
                title=relaxed.potential,
                told=f"{ended} after {relaxed.steps} steps ({duration_text(relaxed.seconds)}), volume × "
                f"{number_text(relaxed.volume_ratio)}{formed}",
                state="done" if relaxed.converged else "failed",
            )
        )
    if candidate.state is CandidateState.REJECTED:
        chain.append(
            ProvenanceStep(
                kind="filter",
                title="rejected",
                told=candidate.reason or "no reason was given",
                state="failed",
            )
        )
    for calculation in calculations:
        chain.append(_job_step(campaign, calculation))
        chain += [_value_step(o) for o in observed if o.calculation == calculation.id]
    return chain


def _job_step(campaign: OpenCampaign, calculation: Calculation) -> ProvenanceStep:
    told = [f"pick {calculation.order + 1} by {calculation.picked_by}"]
    if expected := calculation.prediction:
        target = campaign.spec.target
        low, middle, high = (
            number_text(target.from_model(value)) for value in expected.interval_90()
        )
        told.append(f"expected {middle} ({low} – {high})")
    if calculation.seconds is not None:
        cores = f" on {calculation.cores} cores" if (calculation.cores or 1) > 1 else ""
        told.append(f"took {duration_text(calculation.seconds)}{cores}")
    if calculation.reason:
        told.append(calculation.reason)
    return ProvenanceStep(
        kind="job",
        title=calculation.fidelity,
        told="; ".join(told),
        state=calculation.state.value,
        calculation=calculation.id,
    )


def _value_step(observation: Observation) -> ProvenanceStep:
    held = observation.quarantined
    return ProvenanceStep(
        kind="observation",
        title=observation.property.replace("_", " "),
        told=RELATIONS[observation.bound]
        + quantity_text(observation.value, observation.unit)
        + (f", in quarantine: {held}" if held else ""),
        state="quarantined" if held else "done",
        calculation=observation.calculation,
    )


def _has_phonons(campaign: OpenCampaign, calculation: Calculation) -> bool:
    try:
        job_file(campaign.folder, calculation.id, SPECTRA)
    except NotServedError:
        return False
    return True

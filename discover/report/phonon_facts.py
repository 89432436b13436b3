"""What a campaign's phonon calculations gave and how they were made, in words for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from discover.calculations.base import JobResult
from discover.calculations.job import read_result
from discover.calculations.lattice.spectra import PhononSpectra
from discover.calculations.phonons import SPECTRA
from discover.errors import CalculationError
from discover.folder import CampaignFolder
from discover.records import Calculation, CalculationState
from discover.report.findings import Findings
from discover.report.notation import number_text
from discover.report.yardsticks import Array


@dataclass(frozen=True)
class PhononEntry:
    """A finished job of kind `phonons` and the candidate that it is about.

    `rank` is that of its result in the campaign, None where it has none. `spectra` are those of the
    job, None where its file is not whole.
    """

    calculation: str
    formula: str
    spacegroup: int | None
    title: str
    rank: int | None
    result: JobResult
    directory: Path

    @property
    def unstable(self) -> bool:
        """Whether it has imaginary modes, and so no conductivity."""
        return bool(self.result.details.get("unstable"))

    @property
    def spectra(self) -> PhononSpectra | None:
        """What there is to draw."""
        try:
            return PhononSpectra.model_validate_json((self.directory / SPECTRA).read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def headline(self) -> str:
        """Its conductivity with the error that half of the snapshots tell, or why there is none."""
        if self.unstable:
            return "dynamically unstable"
        details: dict[str, Any] = dict(self.result.details)
        return _kappa(details)


def phonon_entries(findings: Findings, folder: CampaignFolder) -> list[PhononEntry]:
    """The finished phonon calculations whose jobs are in this folder: by rank, then the unranked."""
    ranks = {row.calculation: row.rank for row in findings.rows}
    entries = []
    for calculation in findings.calculations:
        result = _result(calculation, folder.job(calculation.id))
        if result is None:
            continue
        candidate = findings.store.candidate(calculation.candidate)
        entries.append(
            PhononEntry(
                calculation=calculation.id,
                formula=candidate.formula,
                spacegroup=candidate.spacegroup,
                title=candidate.title,
                rank=ranks.get(calculation.id),
                result=result,
                directory=folder.job(calculation.id),
            )
        )
    return sorted(entries, key=lambda entry: (entry.rank is None, entry.rank or 0))


def _result(calculation: Calculation, directory: Path) -> JobResult | None:
    """The result of a phonon calculation that is done and left its spectra."""
    if calculation.state is not CalculationState.DONE or not (directory / SPECTRA).exists():
        return None
    try:
        return read_result(directory)
    except CalculationError:
        return None  # the page says elsewhere that it cannot be read


def facts(entry: PhononEntry) -> list[tuple[str, str]]:
    """What the calculation gave and how it was made, as names and words for people."""
    details: dict[str, Any] = dict(entry.result.details)
    told: list[tuple[str, str]] = []
    if entry.unstable:
        told.append(("κ", "none: dynamically unstable"))
    else:
        told += _conductivity_facts(details)
    told.append(("lowest frequency", _lowest(entry)))
    told.append(("force constants", _force_constants(details)))
    told.append(("supercell", f"{details['supercell_atoms']} atoms"))
    told.append(("q-mesh", _times(details["mesh"])))
    if not entry.unstable:
        told.append(("scattering", _scattering(details)))
    told.append(("relaxed cell", _relaxed(details)))
    return told


def _conductivity_facts(details: dict[str, Any]) -> list[tuple[str, str]]:
    kappa = details["kappa_w_mk"][0]
    told = [(f"κ at {details['temperatures_k'][0]:g} K", _kappa(details))]
    if "kappa_half_w_mk" in details:
        half = number_text(details["kappa_half_w_mk"])
        told.append(("from half of the snapshots", f"{half} W/m/K"))
    told.append(("tensor", _tensor(np.asarray(details["kappa_tensor_w_mk"][0]))))
    particle, coherence = details["kappa_particle_w_mk"][0], details["kappa_coherence_w_mk"][0]
    share = 100 * coherence / kappa if kappa else 0.0
    parts = f"{number_text(particle)} + {number_text(coherence)} W/m/K ({share:.2g} %)"
    told.append(("particle-like + coherence", parts))
    return told


def _kappa(details: dict[str, Any]) -> str:
    error = details.get("kappa_error_w_mk")
    about = "" if error is None else f" ± {number_text(float(f'{error:.2g}'))}"
    return f"{number_text(details['kappa_w_mk'][0])}{about} W/m/K"


def _tensor(kappa: Array) -> str:
    """Its diagonal, equal components once; other components where they are not small."""
    scale = np.abs(kappa).max()
    if np.abs(kappa - np.diag(np.diag(kappa))).max() > 0.01 * scale:
        rows = "; ".join(", ".join(number_text(k) for k in row) for row in kappa)
        return f"({rows}) W/m/K"
    groups: list[tuple[str, float]] = []
    for name, value in zip(("xx", "yy", "zz"), np.diag(kappa), strict=True):
        if groups and abs(groups[-1][1] - value) < 0.005 * scale:
            groups[-1] = (f"{groups[-1][0]} = {name}", groups[-1][1])
        else:
            groups.append((name, float(value)))
    return ", ".join(f"{name} {number_text(value)}" for name, value in groups) + " W/m/K"


def _lowest(entry: PhononEntry) -> str:
    lowest = next((v.value for v in entry.result.values if v.property == "minimum_frequency"), None)
    if lowest is None:
        return "–"
    return f"{-lowest:.2f}i THz" if lowest < 0 else f"{lowest:.2f} THz"


def _force_constants(details: dict[str, Any]) -> str:
    calls = f"{details['displaced_supercells']} displaced supercells"
    snapshots = details.get("snapshots")
    kind = f", {snapshots} of them random snapshots" if snapshots else ""
    if snapshots == details["displaced_supercells"]:
        kind = " (random snapshots)"
    return f"{details['force_constants']}, {calls}{kind}, {details['distance_angstrom']:g}\u00a0Å"


def _scattering(details: dict[str, Any]) -> str:
    solution = {"rta": "relaxation-time approximation", "lbte": "direct solution"}
    told = ["three-phonon"]
    told.append("isotopes" if details["isotopes"] else "no isotopes")
    told.append(solution[details["method"]])
    told.append("LO-TO splitting" if details["nac"] else "no LO-TO splitting")
    return ", ".join(told)


def _relaxed(details: dict[str, Any]) -> str:
    return (
        f"{details['volume_angstrom3']:.2f} Å³, {details['atoms']} atoms; "
        f"{details['residual_force_ev_per_angstrom']:.4f} eV/Å and "
        f"{details['residual_stress_gpa']:.3f} GPa left"
    )


def _times(numbers: Sequence[int]) -> str:
    return " × ".join(map(str, numbers))

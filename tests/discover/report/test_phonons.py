"""Figures and facts of real phonon jobs, and their part of the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from discover.calculations.base import JobInput
from discover.calculations.job import read_result, run_job, write_input
from discover.calculations.lattice.spectra import PhononSpectra
from discover.report.canvas import PALETTE, inline_svg
from discover.report.findings import Findings
from discover.report.page import markdown_report, write_report
from discover.report.phonon_facts import PhononEntry, facts, phonon_entries
from discover.report.phonons import dispersion_figure, transport_figure
from discover.structures.crystal import Crystal

SETTINGS: dict[str, Any] = {"supercell": [3, 3, 3], "mesh_length_angstrom": 12.0}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Face-centred copper, which is stable, and simple cubic nickel, which is not; by EMT."""
    folder = tmp_path_factory.mktemp("jobs")
    crystals: dict[str, Atoms] = {"stable": bulk("Cu", a=3.6), "unstable": bulk("Ni", "sc", a=2.4)}
    for name, atoms in crystals.items():
        job = JobInput(
            id=f"{name:0<16}",
            kind="phonons",
            engine="potential",
            settings=SETTINGS,
            engine_settings={"potential": "emt"},
            structure=Crystal.from_atoms(atoms),
        )
        write_input(folder / name, job)
        result = run_job(folder / name)
        assert result.status == "done", result.reason
    return {name: folder / name for name in crystals}


def entry_of(job: Path) -> PhononEntry:
    result = read_result(job)
    assert result is not None
    return PhononEntry(result.id, "Cu", 225, "fcc", None, result, job)


def spectra_of(job: Path) -> PhononSpectra:
    spectra = entry_of(job).spectra
    assert spectra is not None
    return spectra


def test_dispersion_reaches_down_to_the_imaginary_modes(jobs: dict[str, Path]) -> None:
    stable, unstable = (dispersion_figure(spectra_of(jobs[n])) for n in ("stable", "unstable"))
    assert stable.axes[0].get_ylim()[0] == 0
    lowest = min(
        f
        for segment in spectra_of(jobs["unstable"]).bands
        for band in segment.frequencies_thz
        for f in band
    )
    assert unstable.axes[0].get_ylim()[0] < lowest < -0.5
    for figure, drawn in ((stable, False), (unstable, True)):
        colours = {line.get_color() for line in figure.axes[0].get_lines()}
        assert (PALETTE["miss"] in colours) is drawn


def test_special_points_are_named_along_the_path(jobs: dict[str, Path]) -> None:
    axes = dispersion_figure(spectra_of(jobs["stable"])).axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names[:3] == ["Γ", "X", "W"]  # the face-centred path of Setyawan and Curtarolo
    assert any("|" in name for name in names)  # where it jumps
    places = axes.get_xticks()
    assert np.all(np.diff(places) > 0)
    assert axes.get_xlim() == (places[0], places[-1])


def test_transport_shows_what_adds_up_to_the_conductivity(jobs: dict[str, Path]) -> None:
    spectra = spectra_of(jobs["stable"])
    figure = transport_figure(spectra)
    assert figure is not None
    modes, spectral, paths, cumulative = figure.axes
    assert spectra.gruneisen is not None
    assert len(np.asarray(modes.collections[0].get_offsets())) == len(spectra.gruneisen.values)
    x, y = (np.asarray(values, dtype=float) for values in spectral.get_lines()[0].get_data())
    kappa = spectra.transport[0].kappa_w_mk
    assert np.trapezoid(y, x) == pytest.approx(kappa, rel=1e-3)
    assert np.asarray(cumulative.get_lines()[0].get_ydata())[-1] == pytest.approx(kappa, rel=1e-3)
    assert paths.get_xscale() == "log"
    assert transport_figure(spectra_of(jobs["unstable"])) is None


def test_figures_are_whole_svg_in_the_pages_colours(jobs: dict[str, Path]) -> None:
    spectra = spectra_of(jobs["stable"])
    transport = transport_figure(spectra)
    assert transport is not None
    for figure in (dispersion_figure(spectra), transport):
        svg = inline_svg(figure, "phonons-1")
        root = ET.fromstring(svg)
        assert root.tag == "svg"
        assert "var(--model)" in svg
        assert not any(colour in svg for colour in PALETTE.values())
        assert len(svg) < 200_000


def test_facts(jobs: dict[str, Path]) -> None:
    stable, unstable = entry_of(jobs["stable"]), entry_of(jobs["unstable"])
    told = dict(facts(stable))
    details = stable.result.details
    assert told["κ at 300 K"].startswith(f"{details['kappa_w_mk'][0]:.3g} ± ")
    assert re.fullmatch(r"xx = yy = zz \S+ W/m/K", told["tensor"])
    assert told["supercell"] == "27 atoms"
    assert "isotopes" in told["scattering"]
    assert "random snapshots" in told["force constants"]
    assert "i THz" not in told["lowest frequency"]
    told = dict(facts(unstable))
    assert told["κ"] == "none: dynamically unstable"
    assert told["lowest frequency"].endswith("i THz")
    assert unstable.headline == "dynamically unstable"


def test_page_shows_ranked_and_unstable(campaign: Any, jobs: dict[str, Path]) -> None:
    best, other = _place(campaign, jobs)
    entries = phonon_entries(Findings(campaign.spec, campaign.store, 1.8e9), campaign.folder)
    assert [entry.calculation for entry in entries] == [best, other]
    assert entries[0].rank == 1
    source = write_report(campaign.folder, campaign.spec, campaign.store).read_text("utf-8")
    part = source[source.index('id="section-phonons"') : source.index('id="section-problems"')]
    assert part.count('<details class="card phonons"') == 2
    assert part.count('<svg class="chart"') == 3  # an unstable one has no transport
    assert '<span class="headline unstable">dynamically unstable</span>' in part
    assert "none: dynamically unstable" in part
    assert "random snapshots" in part
    text = markdown_report(campaign.folder, campaign.spec, campaign.store, now=1.8e9)
    assert "**Phonons of BN: " in text
    assert text.count("data:image/png;base64,") == 2


def test_spectra_that_are_not_whole(campaign: Any, jobs: dict[str, Path]) -> None:
    best, _ = _place(campaign, jobs)
    (campaign.folder.job(best) / "phonons.json").write_text("{")
    source = write_report(campaign.folder, campaign.spec, campaign.store).read_text("utf-8")
    assert "phonons.json cannot be read" in source


def test_page_without_phonons_has_no_such_part(reported: Any) -> None:
    source = (reported.folder.report / "index.html").read_text("utf-8")
    assert "section-phonons" not in source


def _place(campaign: Any, jobs: dict[str, Path]) -> tuple[str, str]:
    """The jobs' files in those of BN, which is ranked first, and of KCl; their calculations."""
    places = []
    for name, order in (("stable", 11), ("unstable", 0)):
        calculation = next(c for c in campaign.store.calculations() if c.order == order)
        for file in ("phonons.json", "result.json"):
            shutil.copy(jobs[name] / file, campaign.folder.job(calculation.id))
        places.append(calculation.id)
    return places[0], places[1]

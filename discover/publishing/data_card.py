"""The data card: what a published data set is, in words for people."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from discover.errors import CampaignError
from discover.properties import property_named
from discover.records import Calculation, Observation

if TYPE_CHECKING:
    from discover.calculations.base import JobResult
    from discover.campaign import CampaignSpec
    from discover.publishing.export import Manifest

CONTENTS = {
    "store.jsonl": "every record of the campaign without loss, a JSON object a line",
    "candidates.parquet": "all candidates, rejected ones with their reason; `structure_json` in Å",
    "calculations.parquet": "all calculations with state, settings, versions, times in s",
    "observations.parquet": "all values with unit, fidelity, source; quarantined ones with the reason",
    "crystals.extxyz": "crystals that were not rejected; `candidate` joins them to the tables",
    "molecules.extxyz": "molecules, and those of formulations, in Å",
    "structures.json": "crystals and molecules with OPTIMADE v1 attributes, and their values",
    "model_cards.json": "every model that was trained: data, held-out quality, settings",
    "campaign.yaml": "the campaign: what was searched, how, and with which settings",
}


def data_card(
    manifest: Manifest,
    spec: CampaignSpec,
    calculations: Sequence[Calculation],
    observations: Sequence[Observation],
    results: Mapping[str, JobResult],
) -> str:
    """Markdown: what, counts, properties, how values were computed, files with their hashes."""
    what = ", ".join(target.label for target in spec.modelled)
    return f"""\
# {spec.name}

- Title: (fill in)
- Authors: (fill in)
- Licence: (fill in, for example CC-BY-4.0)
- Citation: (fill in)

An active-learning search for {what}, exported by discover {manifest.discover}.
It holds {manifest.records.told() or "no records"}.

## Properties

{_properties(observations)}

Values in quarantine are in the files with their reason and were not learned from. A `bound` says that the
true value lies below or above.

## How values were computed

{_methods(calculations, results)}

{_sources(observations)}

## Files

| file | what | bytes | SHA-256 |
| --- | --- | ---: | --- |
{_rows((f"`{f.name}`", CONTENTS[f.name], f.bytes, f"`{f.sha256}`") for f in manifest.files)}

`manifest.json` says the same for programs.

## Use

```python
import pandas, ase.io
values = pandas.read_parquet("observations.parquet")
crystals = ase.io.read("crystals.extxyz", ":")
```

`discover store import FOLDER --campaign NEW` makes a campaign of it that can be looked at and continued
(the folders of its jobs, with logs and labelled frames, are not part of it).
"""


def _properties(observations: Sequence[Observation]) -> str:
    grouped = defaultdict(list)
    for one in observations:
        grouped[one.property, one.unit, one.fidelity].append(one)
    rows = []
    for (name, unit, fidelity), found in sorted(grouped.items()):
        values = [one.value for one in found if one.quarantined is None]
        span = f"{min(values):.4g} … {max(values):.4g}" if values else "–"
        held = sum(one.quarantined is not None for one in found)
        bounds = sum(one.bound is not None for one in found)
        rows.append((f"`{name}`", _label(name), unit, fidelity, len(found), span, bounds, held))
    if not rows:
        return "There are no values yet."
    return (
        "| property | what | unit | fidelity | values | range | bounds | in quarantine |\n"
        "| --- | --- | --- | --- | ---: | --- | ---: | ---: |\n" + _rows(rows)
    )


def _methods(calculations: Sequence[Calculation], results: Mapping[str, JobResult]) -> str:
    """Each fidelity with kind, engine, settings and versions as the jobs' results tell them."""
    parts = []
    for fidelity in sorted({calculation.fidelity for calculation in calculations}):
        own = [calculation for calculation in calculations if calculation.fidelity == fidelity]
        told = [results[one.id] for one in own if one.id in results]
        done = sum(one.state.value == "done" for one in own)
        lines = [
            f"### {fidelity}",
            "",
            f"Kind `{own[0].kind}`, engine `{own[0].engine}`: {len(own)} calculations, {done} done.",
        ]
        settings = {_json(one.settings) for one in told}
        engine_settings = {_json(one.engine_settings) for one in told}
        lines += [f"- settings: `{one}`" for one in sorted(settings)]
        lines += [f"- engine settings: `{one}`" for one in sorted(engine_settings)]
        lines += [f"- versions: {one}" for one in sorted({_versions(r) for r in told})]
        if not told:
            lines.append("- its jobs' results are not there: see `campaign.yaml`")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or "Nothing was computed yet."


def _sources(observations: Sequence[Observation]) -> str:
    """Where values come from that were not computed here."""
    given = [one for one in observations if one.calculation is None]
    cited = sorted({one.citation for one in given if one.citation})
    if not given:
        return "All values were computed by this campaign."
    lines = [f"{len(given)} values were not computed here; their sources are cited with each:"]
    return "\n".join([*lines, *(f"- {one}" for one in cited or ["(no citation was given)"])])


def _label(name: str) -> str:
    try:
        return property_named(name).label
    except CampaignError:
        return name


def _versions(result: JobResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))


def _rows(rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)


def _json(content: object) -> str:
    return json.dumps(content, sort_keys=True)

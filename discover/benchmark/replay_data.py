"""Known materials for replayed campaigns, from tables of values and files of structures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from discover import plugins
from discover.benchmark.replay_world import KnownMaterials
from discover.errors import CampaignError
from discover.properties import Property
from discover.records import Candidate, CandidateState, Provenance

TARGET = "kappa_dft"
ID = "mp_id"
DESCRIPTORS = ("composition", "structure")

Table = dict[str, dict[str, str]]


def load_known(
    paths: Sequence[Path],
    low: Sequence[str],
    prop: Property,
    target: str = TARGET,
    descriptors: Sequence[str] = DESCRIPTORS,
) -> KnownMaterials:
    """Materials with a value in the column `target`, and what the columns `low` (cheap to dear) say.

    `paths` are tables (CSV with a column `mp_id`, either one column a model, or the columns `model`,
    `kappa_ml` and `kappa_dft`) and structures that ASE reads (extxyz with `mp_id`), or folders of them.
    A lower value that is missing, or that has no logarithm, is a calculation that failed. CampaignError
    naming what is missing otherwise.
    """
    files = [file for path in paths for file in _files(path)]
    table = _table([file for file in files if file.suffix == ".csv"])
    columns = {name for row in table.values() for name in row}
    for name in (*low, target):
        if name not in columns:
            raise CampaignError(
                f"{', '.join(map(str, paths))}: there is no column {name!r}"
                f"{plugins.suggestion(name, columns)}"
            )
    candidates = _candidates([f for f in files if f.suffix == ".extxyz"], descriptors)
    known = [c for c in candidates if table.get(c.id, {}).get(target)]
    if not known:
        raise CampaignError(
            f"{', '.join(map(str, paths))}: no {ID} has both a structure (.extxyz) and a value in "
            f"{target!r} (.csv); give the folder of the structures by another --data"
        )
    values = [[_value(table[c.id].get(name), prop) for name in (*low, target)] for c in known]
    return KnownMaterials(tuple(known), np.array(values), (*low, target))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.csv")) + sorted(path.glob("*.extxyz"))
    if not path.is_file():
        raise CampaignError(f"{path}: there is no such file or folder")
    return [path]


def _table(files: Sequence[Path]) -> Table:
    """Columns by material, from tables with one row a material or one row a material and model."""
    table: Table = {}
    for file in files:
        with file.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                if ID not in row:
                    raise CampaignError(f"{file}: has no column {ID!r}")
                columns = table.setdefault(row[ID], {})
                if "model" in row and "kappa_ml" in row:
                    columns[row["model"]] = row["kappa_ml"]
                    columns[TARGET] = row.get(TARGET, "")
                else:
                    columns |= row
    return table


def _candidates(files: Sequence[Path], descriptors: Sequence[str]) -> list[Candidate]:
    """Ready candidates with their descriptors, in the order of the files."""
    import ase.io

    from discover.structures.crystal import Crystal
    from discover.structures.fingerprint import reduced_formula
    from discover.structures.symmetry import spacegroup
    from surrogates.descriptors import featurize

    found = []
    for file in files:
        for atoms in ase.io.iread(file, index=":"):
            if ID not in atoms.info:
                raise CampaignError(f"{file}: a structure has no {ID!r}")
            crystal = Crystal.from_atoms(atoms)
            found.append(
                Candidate(
                    id=str(atoms.info[ID]),
                    formula=reduced_formula(crystal),
                    spacegroup=spacegroup(crystal),
                    prototype=str(atoms.info.get("prototype", "unknown")),
                    structure=crystal,
                    provenance=Provenance(generator="known", operation="read"),
                    state=CandidateState.READY,
                )
            )
    return featurize(found, [plugins.create("descriptors", name) for name in descriptors])


def _value(text: str | None, prop: Property) -> float:
    try:
        return prop.to_model(float(text or "nan"))
    except ValueError:
        return float("nan")

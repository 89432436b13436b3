"""A campaign written out as a data set that others can read and that can be brought back."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import yaml
from pydantic import ValidationError

from discover.calculations.job import read_result
from discover.errors import CalculationError, DataError
from discover.files import file_hash
from discover.folder import SPEC_FILE, CampaignFolder
from discover.publishing import optimade, tables
from discover.publishing.data_card import data_card
from discover.records import Calculation, Candidate, CandidateState, Observation, Record
from discover.store.base import Store
from discover.store.transfer import (
    Inventory,
    Tally,
    bring_in,
    check_not_steered,
    read_records,
    write_records,
)
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule

if TYPE_CHECKING:
    from ase import Atoms

    from discover.calculations.base import JobResult
    from discover.campaign import CampaignSpec

RECORDS = "store.jsonl"
MANIFEST = "manifest.json"


class FileEntry(Record):
    """A file of the data set."""

    name: str
    bytes: int
    sha256: str


class Manifest(Record):
    """What a data set holds, for programs: records by kind, and the files."""

    campaign: str
    discover: str
    records: Inventory
    structures: dict[str, int]
    files: tuple[FileEntry, ...]


def export(folder: CampaignFolder, spec: CampaignSpec, store: Store, out: Path) -> Manifest:
    """Write the data set into `out`, a new or empty folder: whole, or not at all.

    LeaseHeldError while a process steers the campaign, DataError where `out` holds anything.
    """
    check_not_steered(store)
    out = out.expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is there already and not an empty folder; choose another")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        manifest = _write_all(partial, folder, spec, store)
        partial.chmod(0o755)
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return manifest


def import_export(source: Path, folder: CampaignFolder) -> Manifest:
    """Bring a data set back into the empty store of a campaign, whose file is taken from it if need be.

    Everything is read and compared with the manifest before anything is written. DataError where the
    data set was changed, StoreError where the store is not empty.
    """
    manifest = _read_manifest(source)
    path = source / RECORDS
    tally = Tally()
    for _ in tally.passing(read_records(path)):
        pass
    if tally.inventory() != manifest.records:
        raise DataError(f"{path}: holds other records than {MANIFEST} says: get the data set again")
    if not folder.spec_file.exists():
        folder.root.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / SPEC_FILE, folder.spec_file)
    store = folder.open_store(folder.load())
    try:
        bring_in(store, read_records(path), manifest.records)
    finally:
        store.close()
    return manifest


def _read_manifest(source: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((source / MANIFEST).read_bytes())
    except OSError as error:
        raise DataError(f"{source}: is no export of a campaign: {error}") from error
    except ValidationError as error:
        raise DataError(f"{source / MANIFEST}: cannot be read: {error}") from error


def _write_all(out: Path, folder: CampaignFolder, spec: CampaignSpec, store: Store) -> Manifest:
    from discover import __version__

    (out / SPEC_FILE).write_text(_campaign_text(folder, spec), encoding="utf-8")
    written = write_records(out / RECORDS, store)
    observations = store.observations(quarantined=True)
    calculations = store.calculations()
    results = dict(_results(folder, calculations))
    with tables.Table(out / "calculations.parquet", tables.CALCULATIONS) as table:
        for calculation in calculations:
            table.add(tables.calculation_row(calculation, results.get(calculation.id)))
    with tables.Table(out / "observations.parquet", tables.OBSERVATIONS) as table:
        for observation in observations:
            table.add(tables.observation_row(observation))
    cards = [card.model_dump(mode="json") for card in store.model_cards()]
    _write_json(out / "model_cards.json", cards)
    structures = _write_structures(out, store, observations)
    manifest = Manifest(
        campaign=spec.name,
        discover=__version__,
        records=written,
        structures=structures,
        files=tuple(_entry(path) for path in sorted(out.iterdir())),
    )
    card = data_card(manifest, spec, calculations, observations, results)
    (out / "README.md").write_text(card, encoding="utf-8")
    _write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def _campaign_text(folder: CampaignFolder, spec: CampaignSpec) -> str:
    """The campaign file; one that names a store, which may hold a password, without that key."""
    text = folder.spec_file.read_text(encoding="utf-8")
    if spec.store is None:
        return text
    content = {key: value for key, value in yaml.safe_load(text).items() if key != "store"}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _results(
    folder: CampaignFolder, calculations: Iterable[Calculation]
) -> Iterator[tuple[str, JobResult]]:
    """The jobs' own results, of those that are there and can be read."""
    for calculation in calculations:
        try:
            result = read_result(folder.job(calculation.id))
        except CalculationError:  # `discover store check` tells of it
            continue
        if result:
            yield calculation.id, result


def _write_structures(
    out: Path, store: Store, observations: Iterable[Observation]
) -> dict[str, int]:
    """Candidates as a table, extxyz and OPTIMADE, in one pass; rejected ones in the table alone."""
    observed = defaultdict(list)
    for observation in observations:
        if observation.quarantined is None:
            observed[observation.candidate].append(observation)
    counts: Counter[str] = Counter()
    with ExitStack() as opened:
        table = opened.enter_context(tables.Table(out / "candidates.parquet", tables.CANDIDATES))
        files = {
            name: opened.enter_context((out / name).open("w", encoding="utf-8"))
            for name in ("crystals.extxyz", "molecules.extxyz", "structures.json")
        }
        files["structures.json"].write('{"data":[')
        for candidate in store.candidates():
            table.add(tables.candidate_row(candidate))
            if candidate.state is CandidateState.REJECTED:
                continue
            for name, atoms in _frames(candidate):
                _write_frame(files[name], atoms)
                counts[name] += 1
            if isinstance(candidate.structure, Crystal | Molecule):
                found = optimade.resource(candidate, observed[candidate.id])
                first = not counts["structures.json"]
                files["structures.json"].write(("\n" if first else ",\n") + _compact(found))
                counts["structures.json"] += 1
        meta = optimade.meta(counts["structures.json"])
        files["structures.json"].write(f'\n],"meta":{_compact(meta)}}}\n')
    for name in files:
        if not counts[name]:
            (out / name).unlink()
    return {name: counts[name] for name in files}


def _frames(candidate: Candidate) -> Iterator[tuple[str, Atoms]]:
    """The candidate's structure, or its molecules, with the file that each goes to."""
    structure = candidate.structure
    said: dict[str, Any] = {"candidate": candidate.id, "state": candidate.state.value}
    if isinstance(structure, Crystal):
        energy = candidate.formation_energy_ev_per_atom
        known = {} if energy is None else {"formation_energy_ev_per_atom": energy}
        atoms = structure.to_atoms()
        atoms.info |= {**said, "spacegroup": candidate.spacegroup, **known}
        yield "crystals.extxyz", atoms
    elif isinstance(structure, Molecule):
        atoms = structure.to_atoms()
        atoms.info |= said
        yield "molecules.extxyz", atoms
    elif isinstance(structure, Formulation):
        for number, component in enumerate(structure.components):
            atoms = component.molecule.to_atoms()
            atoms.info |= {
                **said,
                "component": number,
                "role": component.role.value,
                "mole_fraction": component.mole_fraction,
            }
            yield "molecules.extxyz", atoms


def _write_frame(file: TextIO, atoms: Atoms) -> None:
    from ase.io.extxyz import write_xyz

    write_xyz(file, atoms)


def _entry(path: Path) -> FileEntry:
    return FileEntry(name=path.name, bytes=path.stat().st_size, sha256=file_hash(path))


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _compact(content: Any) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))

"""Which frames of a campaign are labels."""

import numpy as np

from discover.calculations.job import FRAMES
from discover.campaign import CampaignSpec
from discover.potentials.learning.labels import (
    collect_labels,
    labelling_calculations,
    labelling_engines,
)


def frames_of(labelled, symbol, numbers, kind="strained"):
    frames = [labelled(symbol, symbol, number).atoms for number in numbers]
    for frame in frames:
        frame.info["config_type"] = kind
    return frames


def test_frames_of_first_principles_engines_are_labels_each_once(campaign, labelled):
    folder, store, add = campaign
    first = add("gpaw", frames_of(labelled, "Cu", [0, 1, 1]))
    add("potential", frames_of(labelled, "Ag", [0]))
    second = add("gpaw", frames_of(labelled, "Ni", [0], "phonon_displaced"))
    calculations = labelling_calculations(store, {"gpaw"})
    assert [c.id for c in calculations] == [first.id, second.id]
    labels = collect_labels(folder, store, calculations)
    assert labels.calculations == (first.id, second.id)
    assert [(one.kind, one.formula) for one in labels.labels] == [
        ("strained", "Cu"),
        ("strained", "Cu"),
        ("phonon_displaced", "Ni"),
    ]
    assert labels.left_out == {"frames of a structure that is there already": 1}
    atoms = labelled("Cu", "Cu", 1).atoms
    assert np.allclose(labels.labels[1].atoms.get_forces(), atoms.get_forces(), atol=1e-6)


def test_other_settings_are_another_level(campaign, labelled):
    folder, store, add = campaign
    frames = frames_of(labelled, "Cu", [0])
    add("gpaw", frames, engine_settings={"cutoff_ev": 400})
    add("gpaw", frames, engine_settings={"cutoff_ev": 500})
    labels = collect_labels(folder, store, labelling_calculations(store, {"gpaw"})).labels
    assert len({one.level for one in labels}) == 2


def test_what_is_doubted_is_left_out(campaign, labelled):
    folder, store, add = campaign
    doubted = add("gpaw", frames_of(labelled, "Cu", [0]), quarantined="E(V) is rough")
    broken = frames_of(labelled, "Ag", [0, 1, 2, 3])
    broken[0].calc.results["energy"] = float("nan")
    broken[1].calc.results["forces"][0, 0] = float("inf")
    broken[2].calc.results["forces"][0, 0] = 50.0
    add("gpaw", broken)
    add("gpaw", [])
    unreadable = add("gpaw", frames_of(labelled, "Cu", [5]))
    (folder.job(unreadable.id) / FRAMES).write_text("3\nnot a frame")
    labels = collect_labels(folder, store, labelling_calculations(store, {"gpaw"}))
    assert [one.formula for one in labels.labels] == ["Ag"]
    assert doubted.id not in labels.calculations
    assert labels.left_out == {
        "calculations whose frames cannot be read": 1,
        "calculations with a value in quarantine": 1,
        "frames with a force beyond 20 eV/Å": 1,
        "frames with a label that is not a finite number": 2,
    }


def test_engines_that_label(tmp_path):
    def engines(*names):
        *ladder, target = ({"kind": "agl", "engine": name} for name in names)
        spec = CampaignSpec.model_validate({"ladder": ladder, "calculation": target})
        return labelling_engines(spec, tmp_path)

    assert engines("potential", "gpaw") == {"gpaw"}
    assert engines("espresso", "vasp") == {"espresso", "vasp"}
    assert engines("potential", "emt") == frozenset()

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as serialized

from discover.errors import SurrogateError
from surrogates.conformance import example_data
from surrogates.gaussian import GaussianModel
from surrogates.gp import GaussianProcess
from surrogates.persistence import DESCRIPTION, TENSORS, load, save


class Forgetful(GaussianModel):
    """Has no dump and restore."""

    def moments(self, x, *, observation_noise=False):
        raise NotImplementedError


@pytest.fixture(scope="module")
def model():
    return GaussianProcess().fit(example_data(10), seed=0)


def change(directory, **changes):
    path = directory / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_on_disk_runs_no_code(model, tmp_path):
    save(model, tmp_path / "new" / "folder")
    files = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert files == [DESCRIPTION, TENSORS]
    assert json.loads((tmp_path / "new" / "folder" / DESCRIPTION).read_text()) == {
        "format": 1,
        "class": "surrogates.exact_gp:SharedScaleGP",
        "settings": {},
    }


def test_tensors_are_on_disk_before_the_description(model, tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        os.fdatasync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save(model, tmp_path)
    tensors, folder, description, folder_again = synced
    assert folder == folder_again == tmp_path.name
    assert TENSORS in tensors
    assert DESCRIPTION in description


def test_saving_again_replaces(model, tmp_path):
    save(model, tmp_path)
    other = GaussianProcess().fit(example_data(14, seed=3), seed=0)
    save(other, tmp_path)
    x = example_data(4, seed=1).x
    with torch.no_grad():
        assert torch.equal(load(tmp_path).posterior(x).mean, other.posterior(x).mean)


def test_a_model_that_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(SurrogateError, match="a Forgetful cannot be saved"):
        save(Forgetful(), tmp_path)


def test_an_empty_folder_holds_no_model(tmp_path):
    with pytest.raises(SurrogateError, match="holds no model"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "newer version"),
        ({"class": "os:system"}, "'os:system' is not a model"),
        ({"class": "no.such.module:Model"}, "cannot be imported"),
        ({"class": ""}, "cannot be imported"),
    ],
)
def test_what_is_not_our_model_is_refused(model, tmp_path, changes, message):
    save(model, tmp_path)
    change(tmp_path, **changes)
    with pytest.raises(SurrogateError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"format": 1,', "not JSON"), (b"\xff\xfe", "not JSON"), (b"[]", "not of format")],
)
def test_a_damaged_description_is_refused(model, tmp_path, content, message):
    save(model, tmp_path)
    (tmp_path / DESCRIPTION).write_bytes(content)
    with pytest.raises(SurrogateError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_torn_tensor_file_is_refused(model, tmp_path, share):
    save(model, tmp_path)
    path = tmp_path / TENSORS
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(SurrogateError, match="cannot be read"):
        load(tmp_path)


def test_a_lost_tensor_file_is_refused(model, tmp_path):
    save(model, tmp_path)
    (tmp_path / TENSORS).unlink()
    with pytest.raises(SurrogateError, match="cannot be read"):
        load(tmp_path)


def test_tensors_of_another_model_are_refused(model, tmp_path):
    save(model, tmp_path)
    (tmp_path / TENSORS).write_bytes(serialized({"other": torch.zeros(2)}))
    with pytest.raises(SurrogateError, match="cannot be restored: KeyError"):
        load(tmp_path)


def test_code_that_no_surrogate_comes_with_is_not_run(model, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    save(model, tmp_path)
    change(tmp_path, **{"class": "planted:Model"})
    with pytest.raises(SurrogateError, match="no surrogate comes from there"):
        load(tmp_path)

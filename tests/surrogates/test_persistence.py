import json

import pytest
import torch

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


def test_half_a_description_is_refused(model, tmp_path):
    save(model, tmp_path)
    (tmp_path / DESCRIPTION).write_text('{"format": 1,')
    with pytest.raises(SurrogateError, match="not JSON"):
        load(tmp_path)

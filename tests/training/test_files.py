"""Checkpoints and run folders: what is written is what is read, and nothing is overwritten."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, make_params

from rnnjax.runs import RunFolder, load_arrays, save_arrays


def test_parameters_come_back_bit_for_bit(tmp_path):
    params = make_params(make_model())
    save_arrays(tmp_path / "checkpoint", params)
    back = load_arrays(tmp_path / "checkpoint", jax.eval_shape(lambda: params))
    jax.tree.map(np.testing.assert_array_equal, back, params)


def test_a_later_checkpoint_takes_the_place_of_the_first(tmp_path):
    model = make_model()
    save_arrays(tmp_path / "checkpoint", make_params(model, seed=0))
    save_arrays(tmp_path / "checkpoint", make_params(model, seed=1))
    back = load_arrays(tmp_path / "checkpoint", make_params(model))
    jax.tree.map(np.testing.assert_array_equal, back, make_params(model, seed=1))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_arrays(tmp_path / "checkpoint", {"w": jnp.ones((2, 3))})
    for template, message in (
        ({"w": jnp.ones((3, 3))}, r"w: expected float32\[3, 3\], got float32\[2, 3\]"),
        ({"w": jnp.ones((2, 3)), "v": jnp.ones(1)}, r"v: expected float32\[1\], got none"),
        ({}, r"w: expected no such array, got float32\[2, 3\]"),
    ):
        with pytest.raises(ValueError, match="checkpoint: expected parameters of this model, got: " + message):
            load_arrays(tmp_path / "checkpoint", template)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    save_arrays(path, {"w": jnp.arange(1000.0)})
    (path / "_METADATA").unlink()
    with pytest.raises(ValueError, match="checkpoint: expected parameters of this model"):
        load_arrays(path, {"w": jnp.ones(1000)})


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint: expected a folder, got .*nowhere"):
        load_arrays(tmp_path / "nowhere", {})


def test_a_run_folder_keeps_config_and_environment(tmp_path):
    config = {"hidden": 3, "classes": ["a", "b"]}
    folder = RunFolder.create(tmp_path / "runs" / "one", config)
    with folder.metrics() as log:
        log.write({"step": 1})
    assert folder.config() == config
    environment = json.loads((folder.path / "environment.json").read_text())
    assert environment["versions"]["jax"] == jax.__version__
    assert len(environment["devices"]) == len(jax.devices())
    (line,) = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line).pop("step") == 1


def test_a_run_folder_is_there_with_all_it_needs_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "run"
    rename = os.rename

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(path, {"seed": 1}, {"vocabulary.json": "{}"})
    assert not list(tmp_path.iterdir())

    def beaten(*names):
        path.mkdir()
        (path / "theirs").touch()
        rename(*names)

    monkeypatch.setattr(os, "rename", beaten)
    with pytest.raises(FileExistsError, match="expected a new path"):
        RunFolder.create(path, {})
    assert [file.name for file in tmp_path.rglob("*")] == ["run", "theirs"]
    monkeypatch.setattr(os, "rename", rename)
    RunFolder.create(tmp_path / "other", {"seed": 1}, {"vocabulary.json": "{}"})
    assert (tmp_path / "other" / "vocabulary.json").read_text() == "{}"


def test_an_existing_path_is_never_written_to(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty", {})
    with pytest.raises(FileExistsError, match=r"run folder: expected a new path, got .*, which exists"):
        RunFolder.create(tmp_path / "theirs", {})


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run folder: expected config.json in .*, found none"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "expected JSON, got"), ("[]", "expected a JSON object, got list")])
def test_a_broken_config_is_named(tmp_path, text, message):
    folder = RunFolder.create(tmp_path / "run", {})
    (folder.path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=f"config.json: {message}"):
        folder.config()

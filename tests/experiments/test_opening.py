"""A trained run opened from Python: the best epoch's parameters, and artifacts of any study."""

import json
from typing import Any

import jax
import numpy as np
import pytest

from experiments.template import Net, Template, data, init, objective, train
from rnnjax.runs import Execution, RunFolder, Session, load_config, open_run
from rnnjax.runs.folder import write_json
from rnnjax.runs.live import LiveRun
from rnnjax.runs.reading import read_run

SMALL = {"hidden": 6, "steps": 4, "batch_size": 64, "learning_rate": 0.02, "epochs": 2}
SCALER = {"scaler.json": json.dumps({"mean": [0.5], "scale": [2.0]})}
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("opened") / "run"
    train(Template(**SMALL, execution=Execution(run_folder=path, devices=1)))
    return path


def test_the_parameters_of_the_best_epoch_are_opened(trained):
    run = open_run(trained, Template, init)
    assert run.config == Template(**SMALL)
    sums = objective(run.config)(run.params, next(data(run.config)[1](0, 0)), None)
    assert np.isfinite(sums["loss"])
    total = [objective(run.config)(run.params, batch, None) for batch in data(run.config)[1](0, 0)]
    loss = sum(float(part["loss"]) for part in total) / sum(float(part["weight"]) for part in total)
    score = read_run(trained).score
    assert score is not None
    assert loss == pytest.approx(score.value, rel=TOLERANCE)
    answers: Any = Net(run.config).apply({"params": run.params}, np.zeros((1, 4, 1)), np.ones(1, int))
    assert answers.shape == (1,)


def test_nothing_is_computed_to_open_a_run(trained):
    def refuse(config):
        params = init(config)
        for leaf in jax.tree.leaves(params):
            with pytest.raises(jax.errors.TracerArrayConversionError):
                np.asarray(leaf)
        return params

    open_run(str(trained), Template, refuse)


def test_another_network_or_folder_is_refused(trained, tmp_path):
    with pytest.raises(
        ValueError, match="expected parameters of this model, got: Dense_0/bias: expected no such array"
    ):
        open_run(trained, Template, lambda config: {"other": np.zeros(3)})
    with pytest.raises(FileNotFoundError, match=r"expected config.json in .*nothing, found none"):
        open_run(tmp_path / "nothing", Template, init)


def session(path, resume=False):
    place = {"resume": path} if resume else {"run_folder": path}
    return Session("experiments.template", "template", Template(**SMALL, execution=Execution(**place)))


def begin(path, artifacts, resume=False):
    with session(path, resume) as run:
        run.begin(objective(run.config), {"fingerprint": "x"}, artifacts)


def test_artifacts_are_written_sealed_and_read_again(tmp_path):
    path = tmp_path / "run"
    begin(path, SCALER)
    folder = RunFolder.open(path)
    assert folder.artifact("scaler.json") == {"mean": [0.5], "scale": [2.0]}
    assert "scaler.json" in folder.seals()
    assert load_config(path, Template) == Template(**SMALL)
    before = folder.seals()
    (path / "scaler.json").write_text('{"mean": [0.6], "scale": [2.0]}')
    assert [name for name, seal in folder.seals().items() if seal != before[name]] == ["scaler.json"]
    with pytest.raises(ValueError, match=r"scaler.json: expected the scaler of this data, got another one"):
        begin(path, SCALER, resume=True)
    (path / "scaler.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"artifact: expected scaler.json in .*, found none"):
        begin(path, SCALER, resume=True)


@pytest.mark.parametrize("name", ["config.json", "lock", "../scaler.json", "scaler", "metrics.jsonl", ".hidden.json"])
def test_names_that_no_artifact_can_have(name, tmp_path):
    with pytest.raises(ValueError, match=r"artifacts: expected names like scaler.json that no other file has"):
        begin(tmp_path / "run", {name: "{}"})
    assert not (tmp_path / "run").exists()


def test_a_strangers_config_cannot_name_files_elsewhere(tmp_path):
    path = tmp_path / "run"
    begin(path, SCALER)
    (tmp_path / "secret.json").write_text("{}")
    write_json(path / "config.json", {**RunFolder(path).config(), "artifacts": ["../secret.json"]})
    for read in (RunFolder(path).seals, lambda: RunFolder(path).artifact("../secret.json")):
        with pytest.raises(ValueError, match=r"artifacts: expected names like scaler.json"):
            read()


def test_a_run_without_artifacts_has_none(tmp_path):
    path = tmp_path / "run"
    begin(path, {})
    assert "artifacts" not in RunFolder(path).config()
    assert isinstance(session(path, resume=True), LiveRun)
    with pytest.raises(FileNotFoundError, match=r"artifact: expected scaler.json"):
        RunFolder(path).artifact("scaler.json")

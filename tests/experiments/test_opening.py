"""A trained run opened from Python: the best epoch's parameters, and artifacts of any study."""

import dataclasses
import json
from typing import Any

import jax
import numpy as np
import pytest

from experiments.template import Net, Template, data, init, objective, train
from rnnjax import GRU
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


@pytest.mark.slow
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


def test_an_artifact_that_is_no_json(tmp_path):
    for text in ("not json", {"mean": 0}):
        with pytest.raises(ValueError, match=r"artifacts: expected a JSON text for scaler.json, got"):
            begin(tmp_path / "run", {"scaler.json": text})
    assert not (tmp_path / "run").exists()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(GRU):
    """A cell that a script puts into its config."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Other(GRU):
    """Another one with the same fields."""


@pytest.mark.slow
def test_a_run_is_not_resumed_with_another_class_of_cell(tmp_path):
    path = tmp_path / "run"
    config = Template(**{**SMALL, "epochs": 1}, cell=Mine(), execution=Execution(run_folder=path, devices=1))
    train(config)
    assert json.loads((path / "config.json").read_text())["cell"]["type"].endswith("test_opening.Mine")
    resumed = Execution(resume=path, devices=1)
    with pytest.raises(ValueError, match=r"cell was .*Mine.* and is .*Other"):
        train(dataclasses.replace(config, cell=Other(), epochs=2, execution=resumed))
    train(dataclasses.replace(config, epochs=2, execution=resumed))
    assert read_run(path).epoch == 2


@pytest.mark.parametrize("name", ["epoch", "kind", "part", "step", "seconds", "gradient_norm"])
def test_names_that_a_metric_cannot_have(name, tmp_path):
    config = Template(**SMALL, execution=Execution(run_folder=tmp_path / "run", devices=1))

    def sums(params, batch, key):
        return {**objective(config)(params, batch, key), name: batch.weights.sum()}

    with (
        session(tmp_path / "run") as run,
        pytest.raises(ValueError, match=rf"objective: expected names that .*, got \['{name}'\]"),
    ):
        run.fit(sums, init(config), *data(config))


def test_a_metric_that_is_no_number_is_null_and_any_function_of_sums_will_do(tmp_path):
    config = Template(**SMALL)

    def sums(params, batch, key):
        return {**objective(config)(params, batch, key), "undefined": 0.0 * batch.weights.sum() / 0.0}

    with session(tmp_path / "run") as run:
        run.fit(sums, init(config), *data(config))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [(line["validation_undefined"], line["validation_loss"] > 0) for line in epochs] == [(None, True)] * 2
    assert read_run(tmp_path / "run").problems == []

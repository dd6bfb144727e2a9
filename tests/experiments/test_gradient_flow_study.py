"""The study of gradient flow on a tiny net: what it prints and leaves, and that clipping does something."""

import functools
import json

import jax
import numpy as np
import pytest
from complaints import complaint_of
from matplotlib.image import imread

from experiments.gradient_flow import __main__ as gradient_flow
from experiments.gradient_flow.config import GradientFlow
from experiments.gradient_flow.flow import NETS, Row, memory_table, power_of_ten, scaled_params
from experiments.gradient_flow.recall import Training, sequences, train, training_table
from experiments.gradient_flow.study import draw
from rnnjax import Elman
from rnnjax.analysis import gradient_memory

TINY = ["--time", "12", "--hidden", "4", "--batch-size", "3", "--updates", "5", "--train-time", "6"]


@pytest.mark.slow
def test_it_prints_and_leaves_what_it_measured(tmp_path, capsys):
    path = tmp_path / "run"
    gradient_flow.main([*TINY, "--scales", "1.5", "0.5", "--back", "7", "--run-folder", str(path)])
    out = capsys.readouterr().out
    files = {"config.json", "environment.json", "metrics.jsonl", "status.json", "lock", "figures"}
    assert {file.name for file in path.iterdir()} == files
    config = json.loads((path / "config.json").read_text())
    assert (config["experiment"], config["scales"], config["back"]) == ("gradient-flow", [1.5, 0.5], 7)
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    flows = [line for line in lines if line["kind"] == "flow"]
    assert [(line["net"], line["scale"]) for line in flows] == [
        (net.name, scale) for net in NETS for scale in (0.5, 1.5)
    ]
    for line in flows:
        state, hidden, singular = (
            np.array(line[f"log10_{name}"]) for name in ("state_gradients", "hidden_gradients", "singular_values")
        )
        assert state.shape == hidden.shape == singular.shape == (12,)
        np.testing.assert_allclose(line["measured"], state[-8] - state[-1], atol=1e-6)
        np.testing.assert_allclose(line["predicted"], 7 * np.log10(line["scale"]))
        # The loss's gradient is of length 1; no gradient is above what the Jacobians' product allows.
        np.testing.assert_allclose(hidden[-1], 0, atol=1e-6)
        assert (hidden <= state + 1e-6).all()
        assert (state <= singular + 1e-5).all()
        if line["net"] == "Elman at rest":
            np.testing.assert_allclose(state, np.arange(11, -1, -1) * np.log10(line["scale"]), atol=1e-5)
    assert np.abs(np.subtract(flows[2]["log10_state_gradients"], flows[0]["log10_state_gradients"])).max() > 1e-4
    trained = [(line["scale"], line["clip"], len(line["losses"])) for line in lines if line["kind"] == "training"]
    assert trained == [(0.5, None, 5), (0.5, 1.0, 5), (1.5, None, 5), (1.5, 1.0, 5)]
    assert imread(path / "figures" / "gradient_flow.png").std() > 0.02
    for part in ("scale^7", "Elman at rest          0.5  7.8e-03", "under 1% after", "never within 11", str(path)):
        assert part in out


def test_table_and_figure_hold_each_number_in_its_place():
    steps = np.arange(4, -1, -1.0)
    row = Row("Elman", 0.5, gradient_memory(-2 * steps, 0.5, 3), -steps, -2 * steps, -3 * steps)
    config = GradientFlow(time=5, back=3, scales=(0.5,))
    line = memory_table([row], config).splitlines()[-1].split()
    assert line == ["Elman", "0.5", "0.12", "1.0e-03", "1.0e-06", "1.0e-09", "0.010", "2"]
    training = Training(np.ones(2), np.ones(2))
    axes = draw([row], {0.5: {None: training, 1.0: training}}, config).axes
    column = [net.name for net in NETS].index("Elman")
    np.testing.assert_array_equal(axes[column].lines[0].get_ydata(), -np.arange(5))
    np.testing.assert_array_equal(axes[len(NETS) + column].lines[0].get_ydata(), -3 * np.arange(5))


def recall(scale, clip, learning_rate=0.1):
    config = GradientFlow(hidden=16, batch_size=8)
    options = {"time": 60, "batch": 8, "noise": 0.1, "updates": 60, "seed": 0}
    params = scaled_params(Elman(), scale, config)
    return train(Elman(), params, clip=clip, learning_rate=learning_rate, **options)


@pytest.mark.slow
def test_clipping_bounds_what_explodes_and_leaves_what_vanishes():
    wild, tame = recall(1.5, None), recall(1.5, 1.0)
    assert wild.gradient_norms[0] == tame.gradient_norms[0] > 10
    # The first updates alone, before rounding decides what comes: the whole training is chaos. Measured: 4.5 and 0.8.
    assert wild.losses[1:4].max() > 3 * tame.losses[1:4].max()
    # The limit is never reached, and changes nothing.
    for one, other in zip(recall(0.5, None), recall(0.5, 100.0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_clipped_update_is_the_same_direction_with_the_norm_at_the_limit():
    plain = recall(1.5, None)
    # Half the norm is half the step.
    clipped = recall(1.5, plain.gradient_norms[0] / 2).losses[1]
    assert abs(clipped - plain.losses[1]) > 0.01
    np.testing.assert_allclose(clipped, recall(1.5, None, learning_rate=0.05).losses[1], rtol=1e-4)


def test_the_target_is_the_first_input_and_the_rest_is_noise():
    inputs, targets = sequences(jax.random.key(0), 400, 50, 0.1)
    np.testing.assert_array_equal(inputs[0, :, 0], targets)
    assert set(np.unique(targets)) == {-1, 1}
    np.testing.assert_allclose(np.std(inputs[1:]), 0.1, rtol=0.02)


def test_a_training_that_diverges_is_said_to():
    losses = np.array([1.0, 2.0, np.nan], np.float32)
    wild = Training(losses, np.array([1.0, np.inf, np.nan], np.float32))
    assert training_table({2.0: {None: wild}}).splitlines()[-1].split() == [
        "2",
        "none",
        "1",
        "1",
        *["from", "update", "2"],
    ]


def test_powers_of_ten():
    numbers = {-9.149: "7.1e-10", 150.2: "1.6e+150", -400.0: "1.0e-400", 0.0: "1", -np.inf: "0", -3.0005: "1.0e-03"}
    assert {log10: power_of_ten(log10) for log10 in numbers} == numbers


BAD_ARGUMENTS = {
    "time": (["--time", "1"], "time: expected at least 2, got 1"),
    "hidden": (["--hidden", "0"], "hidden: expected at least 1, got 0"),
    "batch_size": (["--batch-size", "0"], "batch_size: expected at least 1, got 0"),
    "updates": (["--updates", "0"], "updates: expected at least 1, got 0"),
    "train_time": (["--train-time", "0"], "train_time: expected at least 1, got 0"),
    "back": (["--time", "20", "--back", "20"], "back: expected 1 to 19, less than time, got 20"),
    "scale": (["--scales", "0.5", "-1"], "scales: expected a number above 0, got -1.0"),
    "scale_nan": (["--scales", "nan"], "scales: expected a number above 0, got nan"),
    "twice": (["--scales", "1", "1"], "scales: expected 1 to 7 different ones, got (1.0, 1.0)"),
    "many": (["--scales", *"12345678"], "scales: expected 1 to 7 different ones"),
    "clip": (["--clip", "0"], "clip: expected a number above 0, got 0.0"),
    "learning_rate": (["--learning-rate", "inf"], "learning_rate: expected a number above 0, got inf"),
    "noise": (["--noise", "-1"], "noise: expected a number of at least 0, got -1.0"),
    "seed": (["--seed", "-1"], "seed: expected 0 to 4294967295, got -1"),
    "flag": (["--scale", "1"], "Unrecognized options: --scale"),
}


complaint = functools.partial(complaint_of, gradient_flow)


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_bad_arguments_end_with_one_line(arguments, message, capsys):
    status, error = complaint(capsys, *arguments)
    assert status == 2
    assert message in error


def test_a_run_folder_that_exists_ends_with_one_line_before_any_work(tmp_path, capsys):
    (tmp_path / "theirs").touch()
    status, error = complaint(capsys, "--run-folder", str(tmp_path))
    assert (status, "run folder: expected a new path, got" in error) == (1, True)

"""Training on memory tasks: many seeds are as each is alone, and the command says how each stands."""

import dataclasses
import functools
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from complaints import complaint_of
from matplotlib.image import imread

from experiments.memory import __main__ as memory
from experiments.memory import train as training
from experiments.memory.cells import starting
from experiments.memory.config import TASKS, Memory
from experiments.memory.results import (
    after,
    block_line,
    draw,
    first_results,
    result_line,
    result_table,
    verdict,
)
from experiments.memory.train import Block, History, train
from rnnjax.cells.names import CELLS
from rnnjax.runs import Session
from rnnjax.runs.execution import LocalExecution
from rnnjax.training import Position
from rnnjax.training.devices import seed_mesh
from rnnjax.training.divergence import WINDOW

# Compiled in half the time of "chunked".
TINY = Memory(
    task="recall",
    time=4,
    hidden=8,
    recurrence="scan",
    batch_size=8,
    updates=20,
    block=10,
    evaluation=16,
    learning_rate=0.02,
)
TOLERANCE = 1e-5


def curve(blocks, row):
    """Everything that was measured of one seed."""
    losses = np.concatenate([block.training_losses[row] for block in blocks])
    return np.concatenate([losses, [block.losses[row] for block in blocks], [block.scores[row] for block in blocks]])


@pytest.fixture(scope="module")
def alone():
    """Seed 5's curve."""
    return curve(list(train(TINY, [5])), 0)


@pytest.mark.slow
def test_each_seed_of_many_is_as_it_is_alone_and_all_are_compiled_once(alone):
    blocks = list(train(TINY, [4, 5, 6]))  # on two devices, so that one of the three is trained twice
    assert [block.updates for block in blocks] == [10, 20]
    assert [block.training_losses.shape for block in blocks] == [(3, 10)] * 2
    np.testing.assert_allclose(curve(blocks, 1), alone, rtol=TOLERANCE)
    assert np.abs(curve(blocks, 0) - alone).max() > 0.01
    compiled: Any = training.compiled(TINY, seed_mesh(3))
    assert compiled._cache_size() == 1


@pytest.mark.slow
def test_vectorised_seeds_are_the_same_too_and_a_key_is_its_own_sequences(alone):
    state = training.initial_state(TINY, 5)
    states = jax.tree.map(lambda *leaves: jnp.stack(leaves), state._replace(key=jax.random.key(4)), state)
    block = training.compiled(TINY, seed_mesh(2, devices=1), vectorised=True)
    _, (losses, *_) = block(states)
    np.testing.assert_allclose(losses[1], alone[:10], rtol=TOLERANCE)
    assert np.abs(losses[1] - losses[0]).min() > 1e-4


@pytest.mark.slow
def test_how_it_is_run_changes_no_update(alone):
    other = curve(list(train(dataclasses.replace(TINY, recurrence="chunked", block=20), [5])), 0)
    np.testing.assert_allclose(other[:20], alone[:20], rtol=TOLERANCE)


def test_a_seed_that_diverges_is_noted_and_the_others_go_on(alone, monkeypatch):
    def initial_state(config, seed):
        state = started(config, seed)
        return state._replace(params=jax.tree.map(lambda leaf: jnp.where(seed == 7, np.nan, leaf), state.params))

    started = training.initial_state
    monkeypatch.setattr(training, "initial_state", initial_state)
    blocks = list(train(TINY, [7, 5, 6]))
    np.testing.assert_allclose(curve(blocks, 1), alone, rtol=TOLERANCE)
    results = first_results([7, 5, 6])
    for block in blocks:
        results = after(block, TINY.problem(), results)
    assert [(result.diverged, result.updates) for result in results] == [(1, 20), (None, 20), (None, 20)]


def block(updates, training_losses, losses, scores, first=1.0, recent=()):
    """A block as `train` yields it; `recent` are the last losses of each seed, nothing while there are too few."""
    values: Any = [np.array(own, np.float32) for own in (training_losses, losses, scores)]
    firsts = np.full(len(losses), first, np.float32)
    window = np.full((len(losses), WINDOW), np.nan, np.float32) if len(recent) == 0 else np.asarray(recent, np.float32)
    training, validation, score = values
    return Block(updates, training, validation, score, History(firsts, window))


def test_a_seed_whose_loss_stays_far_above_chance_has_diverged():
    task = TINY.problem()
    far = 10.1 * task.zero_loss
    rows = np.stack([np.full(120, far), np.full(120, 9 / 10.1 * far), np.linspace(9 * far, far, 120)])
    rows[:2, 0] = task.zero_loss
    results = first_results([1, 2, 3])
    for last in range(10, 130, 10):  # blocks are shorter than what is looked at
        recent = np.concatenate([np.full((3, WINDOW), np.nan), rows[:, :last]], axis=1)[:, -WINDOW:]
        one = block(last, rows[:, last - 10 : last], [1, 1, 1], [0, 0, 0], recent=recent)
        results = after(one._replace(history=one.history._replace(first=rows[:, 0])), task, results)
    assert [result.diverged for result in results] == [100, None, None]


def test_what_a_block_hands_on_is_its_first_and_its_last_losses(alone):
    blocks = list(train(TINY, [5]))
    np.testing.assert_array_equal([one.history.first for one in blocks], [blocks[0].training_losses[:, 0]] * 2)
    np.testing.assert_array_equal(blocks[-1].history.recent[0, -20:], alone[:20])
    assert np.isnan(blocks[-1].history.recent[0, :-20]).all()


def test_results_name_the_first_update_of_what_happened():
    task = TINY.problem()
    blocks = [
        block(2, [[1, 1], [1, 1], [1, 1]], [1, 1, 1], [0.5, 1, 0.5]),
        block(4, [[1, 1], [1, np.inf], [1, 1]], [0.1, np.nan, np.nan], [1, 0, 1]),
        block(6, [[1, 1], [np.nan, np.nan], [np.nan, np.nan]], [1, np.nan, np.nan], [1, 0, 1]),
    ]
    results = first_results([8, 9, 10])
    for one in blocks:
        results = after(one, task, results)
    assert [(result.seed, result.solved, result.diverged) for result in results] == [
        (8, 4, None),
        (9, 2, 4),
        (10, None, 4),
    ]
    words = ["solved after 4 updates", "solved after 2, then diverged at update 4", "diverged at update 4"]
    assert [verdict(result) for result in results] == words
    assert all(result.settled for result in results)
    assert not first_results([1])[0].settled
    assert verdict(first_results([1])[0]) == "not solved"
    assert result_line(results[1])["loss"] is None
    rows = result_table(task, results).splitlines()[2:]
    assert rows[0].split() == ["chance", "2.079", "0.125"]
    assert rows[1].split() == ["seed", "8", "1", "1", "6", *words[0].split()]
    assert rows[-1].split() == ["known", "solution", "0", "1"]
    left, right = draw(TINY, [block_line(one, results, 0.0) for one in blocks], results).axes
    np.testing.assert_allclose(np.asarray(right.lines[2].get_ydata()), [0.5, 1, 1])
    np.testing.assert_allclose(np.asarray(left.lines[0].get_ydata()), math.log(8))


def test_it_learns_stops_and_leaves_what_it_measured(tmp_path, capsys):
    path = tmp_path / "run"
    options = ["--time", "3", "--updates", "2000", "--seeds", "3"]
    memory.main(["smoke", *options, "--recurrence", "scan", "--run-folder", str(path)])
    out = capsys.readouterr().out
    names = {"config.json", "environment.json", "metrics.jsonl", "figures", "checkpoints", "status.json", "lock"}
    assert {file.name for file in path.iterdir()} == {*names, "tensorboard"}
    config = json.loads((path / "config.json").read_text())
    assert (config["experiment"], config["time"], config["seeds"]) == ("memory-smoke", 3, 3)
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    blocks = [line for line in lines if line["kind"] == "epoch"]
    results = [line for line in lines if line["kind"] == "result"]
    assert [result["seed"] for result in results] == [0, 1, 2]
    last = max(result["solved"] for result in results)
    assert blocks[-1]["step"] == last < 2000
    for row, result in enumerate(results):
        first = next(line["step"] for line in blocks if line["validation_score"][row] > 0.99)
        assert (result["solved"], result["diverged"], result["loss"]) == (
            first,
            None,
            blocks[-1]["validation_loss"][row],
        )
    assert imread(path / "figures" / "learning_curves.png").std() > 0.02
    parts = ["recall, T=3", "solved: accuracy above 0.99", "known solution", f"solved after {last:,} updates"]
    for part in [*parts, str(path)]:
        assert part in out


@pytest.mark.parametrize(("stop", "last"), [(True, 6), (False, 8)])
def test_it_stops_once_every_seed_has_solved_the_task(stop, last, tmp_path, monkeypatch):
    scores = [[0, 0], [1, 0], [0, 1], [0, 0]]
    blocks = [block(2 * n, np.ones((2, 2)), [1, 1], pair) for n, pair in enumerate(scores, 1)]

    def fit(state, compiled, count, updates, done):
        for number, one in enumerate(blocks, 1):
            if not done():
                yield state, one[1:], Position(number, step=one.updates)

    monkeypatch.setattr(Session, "fit_blocks", lambda self, *arguments: fit(*arguments))
    config = dataclasses.replace(TINY, stop=stop, execution=LocalExecution(run_folder=tmp_path / "run"))
    path = memory.study(config, "memory-smoke")
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "epoch"] == list(range(2, last + 1, 2))
    assert [line["solved"] for line in lines if line["kind"] == "result"] == [4, 6]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_preset_whose_network_fits_it(task):
    _, config = memory.PRESETS[task]
    assert config.task == task
    small = dataclasses.replace(config, hidden=2, batch_size=2, evaluation=2)
    state = jax.eval_shape(lambda: training.initial_state(small, 0))
    _, (losses, *_) = jax.eval_shape(functools.partial(training.train_block, small), state)
    assert losses.shape == (config.block,)


@pytest.mark.parametrize("name", [name for name in CELLS if getattr(CELLS[name], "recurrent_map", None) is not None])
def test_every_cell_has_its_start(name):
    cell: Any = starting(name, recurrent_init="identity", recurrent_scale=0.5)
    assert cell == starting(name, recurrent_init="identity", recurrent_scale=0.5)
    assert starting(name) == CELLS[name]
    kernel = cell.init_params(jax.random.key(0), 2, 3).recurrent.kernel
    # That of heads has an axis more.
    np.testing.assert_array_equal(kernel.reshape(3, -1), np.tile(0.5 * np.eye(3), (1, cell.recurrent_gates)))


def test_a_cell_without_a_recurrent_kernel_scales_what_it_has():
    key = jax.random.key(0)
    own, half = (starting("indrnn", recurrent_scale=scale).init_params(key, 2, 3) for scale in (1.0, 0.5))
    np.testing.assert_allclose(half.extras.recurrent_weight, 0.5 * own.extras.recurrent_weight)
    with pytest.raises(ValueError, match=r"recurrent_init: expected own for indrnn, .* got identity"):
        starting("indrnn", recurrent_init="identity")


def test_an_irnn_starts_as_one_that_remembers():
    np.testing.assert_array_equal(starting("irnn").init_params(jax.random.key(0), 2, 3).recurrent.kernel, np.eye(3))


def test_chrono_spreads_the_lengths_of_memory():
    cell: Any = starting("lstm", longest=100)
    assert (cell.forget_bias, cell) == (0, starting("lstm", longest=100))
    bias = cell.bias_init(jax.random.key(0), (2000,)).reshape(4, 500)
    np.testing.assert_array_equal(bias[0], -bias[1])
    np.testing.assert_array_equal(bias[2:], 0)
    gru_cell: Any = starting("gru", longest=100)
    gru = gru_cell.bias_init(jax.random.key(0), (1500,)).reshape(3, 500)
    np.testing.assert_array_equal(gru, [0 * bias[1], bias[1] / 2, 0 * bias[1]])
    lengths = np.exp(bias[1])
    assert (lengths.min() >= 1, lengths.max() <= 99) == (True, True)
    np.testing.assert_allclose(np.quantile(lengths, [0.25, 0.5, 0.75]), [25.5, 50, 74.5], atol=6)
    bias = starting("lstm", forget_bias=3.0).init_params(jax.random.key(0), 2, 5).input.bias.reshape(4, 5)
    np.testing.assert_array_equal(bias, np.array([0, 3, 0, 0])[:, None] * np.ones(5))
    with pytest.raises(ValueError, match="chrono: expected a task of at least 3 steps, got 2"):
        starting("lstm", longest=2)


def clipped(config):
    clipping = optax.identity() if config.clip is None else optax.clip_by_global_norm(config.clip)
    return optax.chain(clipping, config.transformation(config.updates))


def step_sizes(config, gradients):
    optimizer, params, sizes = clipped(config), jnp.ones(1), []
    state = optimizer.init(params)
    for gradient in gradients:
        change: Any
        change, state = optimizer.update(jnp.full(1, gradient), state, params)
        sizes.append(-change[0])
    return sizes


def test_a_linear_schedule_ends_at_zero_and_gradients_are_clipped():
    falling = dataclasses.replace(TINY, schedule="linear", clip=None, updates=2, block=1)
    np.testing.assert_allclose(step_sizes(falling, [1.0, 1.0, 1.0]), [0.02, 0.01, 0], atol=1e-6)
    # To Adam, gradients of one size are steps of one size.
    np.testing.assert_allclose(step_sizes(TINY, [10.0, 1.0]), [0.02, 0.02], rtol=1e-4)
    assert step_sizes(dataclasses.replace(TINY, clip=None), [10.0, 1.0])[1] < 0.016


def test_layers_stand_on_each_other():
    params = jax.eval_shape(lambda: training.initial_state(dataclasses.replace(TINY, layers=2), 0)).params
    kernels = [layer["cell"]["input"]["kernel"].shape for layer in params["recurrent"].values()]
    assert kernels == [(9, 32), (8, 32)]
    assert params["head"]["kernel"].shape == (8, 8)


def test_devices_are_no_more_than_seeds():
    assert [seed_mesh(*arguments).size for arguments in ((1,), (2,), (5,), (5, 1))] == [1, 2, 2, 1]
    with pytest.raises(ValueError, match="devices: expected 1 to 2, which this machine has, got 3"):
        seed_mesh(5, 3)
    with pytest.raises(ValueError, match="seeds: expected at least one, got none"):
        next(train(TINY, []))


def test_a_block_is_an_epoch_of_the_schedule_step():
    kept, decayed = (
        list(train(dataclasses.replace(TINY, schedule="step", decay=decay, updates=20, stop=False), [0]))
        for decay in (1.0, 10.0)
    )
    np.testing.assert_array_equal(kept[0].losses, decayed[0].losses)
    assert abs(kept[1].losses - decayed[1].losses).min() > 1e-4


BAD_ARGUMENTS = {
    "adding": (["adding", "--time", "1"], "time: expected at least 2 for adding, got 1"),
    "order": (["order", "--time", "9"], "time: expected at least 10 for order, got 9"),
    "parity": (["parity", "--time", "0"], "time: expected at least 1, got 0"),
    "digits": (["digits", "--time", "28"], "time: expected at least 64 for digits, got 28"),
    "cell": (["--cell", "lstn"], "cell: expected one of elman, irnn, "),
    "hidden": (["--hidden", "0"], "hidden: expected at least 1, got 0"),
    "layers": (["--layers", "0"], "layers: expected at least 1, got 0"),
    "seeds": (["--seeds", "0"], "seeds: expected at least 1, got 0"),
    "seed": (["--seed", "4294967295"], "seed: expected 2 seeds below 4294967296, got the first 4294967295"),
    "batch_size": (["--batch-size", "0"], "batch_size: expected at least 1, got 0"),
    "updates": (["--updates", "75", "--block", "50"], "updates: expected a multiple of block 50, got 75"),
    "learning_rate": (["--learning-rate", "nan"], "learning_rate: expected a number above 0, got nan"),
    "clip": (["--clip", "-1"], "clip: expected a number above 0, got -1.0"),
    "forget_bias": (["--no-chrono", "--forget-bias", "1"], "forget_bias: expected a cell that has one, got gru"),
    "chrono": (["--cell", "irnn", "--chrono"], "chrono: expected gru or lstm, got irnn"),
    "both": (["--cell", "lstm", "--chrono", "--forget-bias", "1"], "forget_bias: expected none with chrono, got 1.0"),
    "preset": (["coppy"], "got 'coppy'; did you mean copy?"),
    "recurrence": (["--recurrence", "magic"], "magic"),
}


complaint = functools.partial(complaint_of, memory)


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
def test_bad_arguments_end_with_one_line(arguments, message, capsys):
    status, error = complaint(capsys, *arguments)
    assert (status, message in error) == (2, True), error


def test_what_stands_in_the_way_is_said_before_any_work(tmp_path, capsys):
    (tmp_path / "theirs").touch()
    status, error = complaint(capsys, "smoke", "--run-folder", str(tmp_path))
    assert (status, "run folder: expected a new path, got" in error) == (1, True)
    folder = tmp_path / "new"
    with pytest.raises(ValueError, match="devices: expected 1 to 2, which this machine has, got 3"):
        memory.study(dataclasses.replace(TINY, execution=LocalExecution(devices=3, run_folder=folder)), "memory-smoke")
    assert not folder.exists()

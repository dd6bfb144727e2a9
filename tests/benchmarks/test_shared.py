"""What the benchmarks share: the work, the clock, and rows that outlive a kill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import rows
from benchmarks.timing import Spread, interleaved, matrix_product, repeated
from benchmarks.work import Shape, compute, optimizer
from rnnjax.training import batch_mesh


def test_useful_operations():
    shape = Shape(batch=2, time=3, input=5, hidden=7)
    # A multiplication and an addition for each entry of both kernels, of 4 gates, at every step of every sequence.
    forward = 2 * (2 * 3) * (5 * 4 * 7 + 7 * 4 * 7)
    assert shape.flop(4, "forward") == forward
    assert shape.flop(4, "train") == shape.flop(4, "gradient") == 3 * forward


@pytest.mark.parametrize("devices", [None, 2])
def test_the_gradient_and_the_train_step_are_of_the_mean_squared_error(devices):
    random = np.random.default_rng(0)
    params, inputs, target = (jnp.asarray(random.normal(size=size)) for size in ((3, 4), (2, 6, 3), (6, 4)))

    def last(params, inputs):
        return inputs[-1] @ params

    def loss(params, inputs):
        return 0.5 * jnp.mean(((inputs[-1] @ params - target) ** 2).sum(axis=1))

    mesh = None if devices is None else batch_mesh(devices)
    want = jax.grad(loss, (0, 1))(params, inputs)
    got = jax.jit(compute("gradient", last, mesh, batch_axis=1))(params, inputs, target)
    for left, right in zip(got, want, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    step = jax.jit(compute("train", last, mesh, batch_axis=1))
    (_, state), d_inputs = step((params, optimizer().init(params)), inputs, target)
    np.testing.assert_allclose(state[0].mu / (1 - 0.9), want[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(d_inputs, want[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        jax.jit(compute("forward", last, mesh, batch_axis=1))(params, inputs, target), inputs[-1] @ params, rtol=1e-5
    )


def test_rounds_are_interleaved_and_turn_around():
    order, heard = [], []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = interleaved(calls, 3, heard.append)
    assert "".join(order) == "abc" + "abc" + "cba" + "abc"
    assert heard == [1, 2, 3]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_repeated_step_goes_on_from_the_last_one():
    seen = []

    def step(carried, amount):
        seen.append(carried)
        return carried + amount, None

    call = repeated(step, 1, 10)
    call()
    call()
    assert seen == [1, 11]


def test_the_spread_is_the_quartiles():
    assert Spread.of(np.array([5.0, 1.0, 2.0, 4.0, 3.0])) == (2, 3, 4)


@pytest.mark.parametrize("mesh", [False, True])
def test_the_peak_counts_the_product_of_every_device(mesh):
    product, flop = matrix_product(8, mesh=batch_mesh(2) if mesh else None)
    assert flop == (2 if mesh else 1) * 2 * 8**3
    assert product().shape == ((16 if mesh else 8), 8)


def test_a_row_that_a_kill_cut_off_gives_way_to_the_next(tmp_path):
    path = tmp_path / "rows"
    rows.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2, "and much more": "that was never')
    assert list(rows.read(path)) == [{"a": 1}]
    rows.append(path, {"a": 3})
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [("nonsense", "line 2: expected JSON, got"), ("[1]", "line 2: expected a JSON object, got list")],
)
def test_a_bad_line_is_named(line, message, tmp_path):
    path = tmp_path / "rows"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(ValueError, match=message):
        list(rows.read(path))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"rows: .*: expected a file, got a folder"):
        rows.check_writable(tmp_path)


@pytest.mark.parametrize("text", ["precious", "precious\n", '{"a": 1}\nprecious\n'])
def test_a_file_of_something_else_is_left_alone(text, tmp_path):
    path = tmp_path / "rows"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"expected a new file or one of rows, got neither|expected JSON, got"):
        rows.check_writable(path)
    assert path.read_text() == text

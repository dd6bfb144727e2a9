"""What the benchmarks share: the work, the clock, and rows that outlive a kill."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import rows
from benchmarks.numbers import Answers, allowed, deviation, draw, reference
from benchmarks.tables import described, grouped, markdown, quartiles, shown
from benchmarks.timing import Spread, interleaved, matrix_product, repeated
from benchmarks.work import Shape, compute, optimizer
from rnnjax import Elman
from rnnjax.cells.names import ALL_CELLS
from rnnjax.training import batch_mesh


def test_useful_operations():
    shape = Shape(batch=2, time=3, input=5, hidden=7)
    # A multiplication and an addition for each entry of both kernels, of 4 gates, at every step of every sequence.
    forward = 2 * (2 * 3) * (5 * 4 * 7 + 7 * 4 * 7)
    lstm = ALL_CELLS["lstm"]
    assert shape.flop(lstm, "forward") == forward
    assert shape.flop(lstm, "train") == shape.flop(lstm, "gradient") == 3 * forward
    # No product with a recurrent matrix; and one with 64 features that are read, and another that makes them.
    assert shape.flop(ALL_CELLS["indrnn"], "forward") == 2 * (2 * 3) * 5 * 7
    assert shape.flop(ALL_CELLS["lstmp"], "forward") == 2 * (2 * 3) * (5 * 4 * 7 + 64 * 4 * 7 + 7 * 64)


def test_a_shape_that_is_misspelt():
    with pytest.raises(ValueError, match=r"shapes: expected BxTxIxH such as 64x500x32x100, .* got '2x3x4'"):
        Shape.parse("2x3x4")


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


SMALL = Shape(batch=2, time=5, input=2, hidden=3)


def test_the_reference_is_the_loop_in_float64():
    params, inputs, target = draw(Elman(), SMALL)
    assert min(np.abs(leaf).min() for leaf in jax.tree.leaves(params)) > 0
    wide = jax.tree.map(np.float64, (params, inputs, target))

    def last(params, inputs):
        hidden = np.zeros((2, 3))
        for step in inputs:
            (kernel, bias), (recurrent_kernel, _) = params.input, params.recurrent
            hidden = np.tanh(step @ kernel + bias + hidden @ recurrent_kernel)
        return hidden

    answers = reference(Elman(), SMALL)
    np.testing.assert_allclose(answers.last, last(wide[0], wide[1]), rtol=1e-12)

    def loss(inputs):
        return 0.5 * ((last(wide[0], inputs) - wide[2]) ** 2).sum() / 2

    moved = np.zeros_like(wide[1])
    moved[1, 1, 0] = 1e-6
    slope = (loss(wide[1] + moved) - loss(wide[1] - moved)) / 2e-6
    assert answers.gradients[1][1, 1, 0] == pytest.approx(slope, rel=1e-6)


@pytest.mark.slow
def test_a_cell_that_amplifies_roundings_may_deviate_more():
    assert allowed(1e-5, reference(ALL_CELLS["lstm"], SMALL)) == 1e-5
    amplifying = reference(ALL_CELLS["layer-norm-lstm"], Shape(batch=8, time=200, input=32, hidden=64))
    assert 1e-4 < amplifying.rounding < 1
    assert allowed(1e-5, Answers(0, 0, rounding=1e-4)) == pytest.approx(1e-2)
    assert allowed(1e-5, Answers(0, 0, rounding=1.0)) == 2e-2
    assert allowed(1e-5, Answers(0, 0, rounding=float("nan"))) == 1e-5


def test_a_long_reference_is_that_of_one_segment(monkeypatch):
    whole = reference(Elman(), SMALL)
    monkeypatch.setattr("benchmarks.numbers.SEGMENT", 2)
    for left, right in zip(jax.tree.leaves(reference(Elman(), SMALL)), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def test_deviation_is_relative_to_each_arrays_largest_number():
    want = {"a": np.array([4.0, 1.0]), "b": np.array([100.0])}
    assert deviation({"a": np.array([4.0, 1.5]), "b": np.array([101.0])}, want) == 0.125
    assert deviation({"a": jnp.array([4.0, 1.5], jnp.bfloat16), "b": np.array([100.0])}, want) == 0.125
    # Wherever it stands: `max` of Python loses one that is not first.
    for bad in ({"a": np.array([np.nan, 1.0]), "b": want["b"]}, {"a": want["a"], "b": np.array([np.nan])}):
        assert np.isnan(deviation(bad, want))
    with pytest.raises(ValueError, match=r"expected shape \(2,\), got \(1, 1\)"):
        deviation({"a": np.zeros((1, 1)), "b": want["b"]}, want)


def test_a_table_is_one_line_a_row():
    text = markdown(("a", "b"), [("x|y", "two\nlines"), (None, 3)])
    assert text == "| a | b |\n| --- | --- |\n| x\\|y | two lines |\n|  | 3 |"
    assert quartiles((0.0094, 0.25, 0.5), 1e3) == "250 (9.40 to 500)"
    assert quartiles(None) == shown(None, ".1f") == ""
    assert shown(12_340_000, ",.1f", 1e-6) == "12.3"
    assert described(TypeError("one\ntwo")) == "TypeError: one"
    assert described(TypeError()) == "TypeError"
    assert grouped("banana", lambda letter: letter in "an") == [["b"], list("anana")]

"""What Chunked keeps for its backward pass: how much memory that is, and who chooses."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from tables import HIDDEN, INPUT

from rnnjax.cells import LSTM
from rnnjax.recurrences import Chunked, Recurrence, Scan
from rnnjax.recurrences.chunked import _chunk_size
from rnnjax.recurrences.recurrence import prepare


def compiled_gradient(recurrence: Recurrence, time: int, hidden: int = HIDDEN) -> Any:
    """The compiled gradient of the last state, by shapes alone."""
    cell = LSTM()

    def loss(params, inputs):
        return recurrence(cell, params, inputs, cell.init_state(2, hidden))[1].hidden.sum()

    params = jax.eval_shape(lambda: cell.init_params(jax.random.key(0), INPUT, hidden))
    inputs = jax.ShapeDtypeStruct((time, 2, INPUT), jnp.float32)
    return jax.jit(jax.grad(loss, (0, 1))).lower(params, inputs)


def memory(recurrence: Recurrence, time: int, hidden: int = HIDDEN) -> int:
    return compiled_gradient(recurrence, time, hidden).compile().memory_analysis().temp_size_in_bytes


def test_boundaries_keep_a_small_part_of_what_gates_keep():
    time = 2_000
    gates, boundaries = memory(Chunked(keep="gates"), time), memory(Chunked(keep="boundaries"), time)
    floats = 4 * time * 2 * HIDDEN
    assert gates > 6 * floats  # four gates and two states a step
    assert boundaries < gates / 10
    # Half as many boundaries.
    assert memory(Chunked(200, "boundaries"), time) != boundaries


@pytest.mark.quick("100-*")
@pytest.mark.parametrize(
    ("time", "batch", "hidden", "size"), [(500, 64, 100, 10), (10_000, 64, 100, 50), (100, 16, 512, 30), (5, 0, 4, 10)]
)
def test_the_size_follows_from_the_sizes(time, batch, hidden, size):
    params = LSTM().init_params(jax.random.key(0), INPUT, hidden)
    _, problem = prepare(LSTM(), params, jnp.zeros((time, batch, INPUT)), LSTM().init_state(batch, hidden))
    assert _chunk_size(LSTM(), problem) == size


def test_what_is_kept_follows_from_the_sizes():
    small, long, wide = (20, HIDDEN), (200_000, HIDDEN), (2, 256)
    for keep, sizes in (("gates", small), ("boundaries", long), ("gates", wide)):
        chosen, other = ("gates", "boundaries") if keep == "gates" else ("boundaries", "gates")
        text = compiled_gradient(Chunked(), *sizes).as_text()
        assert text == compiled_gradient(Chunked(keep=chosen), *sizes).as_text()
        assert text != compiled_gradient(Chunked(keep=other), *sizes).as_text()


@pytest.mark.parametrize(
    "recurrence", [Scan(), Chunked(3, "boundaries"), Chunked(3, "gates")], ids=["scan", "boundaries", "gates"]
)
def test_the_program_does_not_grow_with_time(recurrence):
    short, long = (compiled_gradient(recurrence, time).as_text() for time in (90, 9_000))
    assert len(short.splitlines()) == len(long.splitlines())


@pytest.mark.usefixtures("without_annotation_checks")
def test_another_keep_is_refused():
    with pytest.raises(ValueError, match=r"keep: expected one of \['gates', 'boundaries'\], got 'states'"):
        Chunked(keep="states")  # pyright: ignore[reportArgumentType]

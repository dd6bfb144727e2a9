"""How the options of a cell are given, and initialisers that name the axes of what they draw."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax_modules import apply, make_problem, swap
from jax.sharding import PartitionSpec
from reference import assert_close
from tables import CELLS, HIDDEN, INPUT, MATRIX_CELLS, flat

from rnnjax import RNN, FlaxCell, Scan
from rnnjax.cells import LSTM, Elman, PeepholeLSTM, PointwiseCell
from rnnjax.initializers import orthogonal, uniform

KINDS = sorted({type(cell) for cell in CELLS.values()}, key=lambda kind: kind.__name__)

# The messages are Python's own.
pytestmark = pytest.mark.usefixtures("quick_compile", "without_annotation_checks")

every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_no_option_is_positional(kind):
    needed = {option.name: 2 for option in dataclasses.fields(kind) if option.default is dataclasses.MISSING}
    needed = {name: value for name, value in needed.items() if name not in ("input_map", "recurrent_map")}
    for option in dataclasses.fields(kind):
        with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
            kind(option.default)
        if option.init and option.name not in needed:
            assert kind(**{option.name: option.default}, **needed) == kind(**needed)


@pytest.mark.parametrize(("kind", "argument"), [(LSTM, 64), (Elman, "relu"), (PeepholeLSTM, 3)])
def test_what_reads_like_a_size_or_an_activation_is_no_forget_bias(kind, argument):
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        kind(argument)


ALL: dict[str, Any] = MATRIX_CELLS | {"lstm_of_two_biases": LSTM(second_bias=True)}

# What each initialiser draws, of which a cell has a part.
DRAWN = {
    "kernel_init": ("kernel",),
    "recurrent_init": ("recurrent_kernel", "recurrent_weight"),
    "bias_init": ("bias", "recurrent_bias", "shift"),
    "peephole_init": ("input_peephole", "forget_peephole", "output_peephole"),
}


def names_of(field: str) -> tuple[str | None, ...]:
    """The axes of a parameter by name: those of matrices and vectors differ."""
    return (None, "model") if field in ("kernel", "recurrent_kernel") else ("model",)


def boxed(cell: PointwiseCell, option: str) -> PointwiseCell:
    """The cell, its initialiser naming axes: a vector's where it draws vectors."""
    there = flat(cell.init_params(KEY, INPUT, HIDDEN))
    drawn = [field for field in DRAWN[option] if field in there]
    return dataclasses.replace(cell, **{option: nn.with_partitioning(getattr(cell, option), names_of(drawn[0]))})


KEY = jax.random.key(3)


def named_fields(cell: Any) -> dict[str, Any]:
    """What a module keeps of a cell, by the names of `flat`."""
    prefix = {"input": "", "recurrent": "recurrent_", "extras": ""}
    return {prefix[part] + name: leaf for part, leaves in cell.items() for name, leaf in leaves.items()}


CASES = [
    (name, option)
    for name, cell in ALL.items()
    for option in DRAWN
    if hasattr(cell, option) and (option != "peephole_init" or getattr(cell, "peepholes", False))
]


@pytest.mark.quick(
    "gru-kernel_init", "indrnn-recurrent_init", "peephole_lstm-peephole_init", "layer_norm_lstm-bias_init"
)
@pytest.mark.parametrize(("name", "option"), CASES)
def test_an_initialiser_may_name_axes(name, option):
    layer, named = (RNN(cell, HIDDEN, Scan()) for cell in (ALL[name], boxed(ALL[name], option)))
    inputs = swap(make_problem(ALL[name]).inputs)
    variables, named_variables = layer.init(KEY, inputs), named.init(KEY, inputs)
    specs: Any = nn.get_partition_spec(named_variables)
    assert named_fields(specs["params"]["cell"]) == {
        field: PartitionSpec(*names_of(field)) if field in DRAWN[option] else PartitionSpec()
        for field in named_fields(variables["params"]["cell"])
    }
    unboxed = nn.meta.unbox(named_variables)
    jax.tree.map(np.testing.assert_array_equal, unboxed, variables)
    want = apply(layer, variables, inputs)
    for each in (named_variables, unboxed):
        assert_close(apply(named, each, inputs), want, "values")


def test_all_initialisers_of_a_cell_may_name_axes_under_flaxs_rnn_too():
    init = nn.with_partitioning(orthogonal, (None, "model"))
    bias = nn.with_partitioning(uniform(-1.0, 1.0), ("model",))
    cell = PeepholeLSTM(kernel_init=init, recurrent_init=init, bias_init=bias, peephole_init=bias, second_bias=True)
    layer = nn.RNN(FlaxCell(cell, HIDDEN))
    inputs = jnp.ones((2, 3, INPUT))
    variables: Any = layer.init(KEY, inputs)
    parameters = variables["params"]["cell"]["cell"]
    fields = named_fields(parameters)
    assert len(fields) == 7
    assert {field: leaf.names for field, leaf in fields.items()} == {field: names_of(field) for field in fields}
    unboxed = nn.meta.unbox(variables)
    assert_close(layer.apply(variables, inputs), layer.apply(unboxed, inputs), "values")

"""The tables that drive every shared test, and random problems to run them on.

A new cell is one row of CELLS and one oracle of the same name in `oracles.py`; a new recurrence is one row
of RECURRENCES.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference

from rnnjax import identity
from rnnjax.cells import (
    GRU,
    LSTM,
    LSTMP,
    MGU,
    RGLRU,
    SLSTM,
    Cell,
    CellParams,
    ConvLSTM,
    CoRNN,
    Elman,
    FullGateLSTM,
    GRUResetBefore,
    IndRNN,
    LayerNormLSTM,
    MultiplicativeLSTM,
    ParaGRU,
    ParaLSTM,
    PeepholeLSTM,
)
from rnnjax.recurrences import Chunked, Noise, Recurrence, Scan, Unrolled
from rnnjax.types import Size, features

# Small, since compiling is what a case costs. T is no multiple of 3, and leaves two chunks of 3 and two steps.
TIME, BATCH, INPUT, HIDDEN = 8, 5, 3, 4

CELLS: dict[str, Cell] = {
    "elman": Elman(),
    "irnn": Elman(activation="relu", recurrent_init=identity()),
    "lstm": LSTM(),
    "gru": GRU(),
    "peephole_lstm": PeepholeLSTM(),
    "layer_norm_lstm": LayerNormLSTM(),
    "mgu": MGU(),
    "indrnn": IndRNN(),
    "gru_reset_before": GRUResetBefore(),
    "full_gate_lstm": FullGateLSTM(),
    "lstmp": LSTMP(projection=2),
    "slstm": SLSTM(heads=2),
    "multiplicative_lstm": MultiplicativeLSTM(),
    "cornn": CoRNN(dt=0.3, gamma=1.3, epsilon=0.7),
    "conv_lstm": ConvLSTM(),
    "para_gru": ParaGRU(),
    "para_lstm": ParaLSTM(),
}

# Compiling is most of what a case costs. These run under every recurrence in float32, with all optimisations; each
# further cell in float64, compiled quickly: `test_cells_over_time.py`.
CLASSICS = ("elman", "irnn", "lstm", "gru")

# Cells of matrices that start as all of them do: what the others start from is tested with each.
MATRIX_CELLS = {
    name: CELLS[name] for name in ("elman", "irnn", "lstm", "gru", "peephole_lstm", "layer_norm_lstm", "mgu", "indrnn")
}

# The variants of Greff et al. 2015, each with an oracle too: cells of one class, for tests of what tells them apart.
LSTM_VARIANTS: dict[str, PeepholeLSTM] = {
    "no_input_gate": PeepholeLSTM(input_gate=False),
    "no_forget_gate": PeepholeLSTM(forget_gate=False),
    "no_output_gate": PeepholeLSTM(output_gate=False),
    "no_input_activation": PeepholeLSTM(input_activation=False),
    "no_output_activation": PeepholeLSTM(output_activation=False),
    "coupled": PeepholeLSTM(coupled=True),
    "no_peepholes": PeepholeLSTM(peepholes=False),
}

# Options that change equations, each with an oracle too.
OPTIONS: dict[str, Cell] = {
    "slstm_exponential": SLSTM(exponential_forget=True),
    "conv_lstm_peepholes": ConvLSTM(window=(2,), peepholes=True),
}

ORACLE_CELLS: dict[str, Cell] = CELLS | LSTM_VARIANTS | OPTIONS

RECURRENCES: dict[str, Recurrence] = {
    "scan": Scan(),
    "scan_by_3": Scan(unroll=3),
    "unrolled": Unrolled(),
    "chunked_by_1": Chunked(1, "boundaries"),
    "chunked_with_tail": Chunked(3, "boundaries"),
    "chunked_gates": Chunked(3, "gates"),
    "chunked_longer_than_time": Chunked(100, "boundaries"),
}

# Which of the optional arguments a problem carries.
MODES: dict[str, tuple[str, ...]] = {
    "plain": (),
    "lengths": ("lengths",),
    "resets": ("resets",),
    "lengths_and_resets": ("lengths", "resets"),
}


# Sizes of inputs and state for cells that cannot take INPUT and HIDDEN.
SIZES: dict[Cell, tuple[Size, Size]] = {
    CELLS["conv_lstm"]: ((3, 2, 2), (3, 2, 1)),
    OPTIONS["conv_lstm_peepholes"]: ((3, 1), (3, 2)),
    RGLRU(): (HIDDEN, HIDDEN),
}

# Fields of a state that cannot be any numbers, made of any.
POSSIBLE = {"normaliser": lambda leaf: abs(leaf) + 0.5}


def sizes_of(cell: Cell) -> tuple[Size, Size]:
    """The sizes that a cell is tested with."""
    return SIZES.get(cell, (INPUT, HIDDEN))


def possible(state: Any) -> Any:
    """A state of any numbers as one that its cell can have."""
    return state._replace(
        **{name: make(getattr(state, name)) for name, make in POSSIBLE.items() if name in state._fields}
    )


# For tests of layers: every recurrence once, lengths of a batch with 0, 1 and T among them, and resets.
FEW_RECURRENCES = {
    "scan": Scan(),
    "unrolled": Unrolled(),
    "gates": Chunked(3, "gates"),
    "boundaries": Chunked(3, "boundaries"),
}
RAGGED = jnp.array([TIME, 0, 1, 5, TIME])
RESETS = np.zeros((BATCH, TIME), bool)
RESETS[0, 0] = RESETS[1, 4] = RESETS[2, TIME - 1] = RESETS[3, 2] = RESETS[3, 5] = True


def flat(params: CellParams) -> dict[str, np.ndarray]:
    """A cell's parameters as its oracle names them; extras under their own names."""
    maps = {"kernel": params.input.kernel, "bias": params.input.bias}
    if params.recurrent is not None:
        maps |= {"recurrent_kernel": params.recurrent.kernel, "recurrent_bias": params.recurrent.bias}
    own = params.extras
    extras = {} if own is None else own if isinstance(own, dict) else own._asdict()
    return {name: leaf for name, leaf in (maps | extras).items() if leaf is not None}


def nested(like: CellParams, values: dict[str, np.ndarray]) -> CellParams:
    """`flat` undone."""
    recurrent, extras = like.recurrent, like.extras
    if isinstance(extras, dict):
        extras = {name: values.get(name) for name in extras}
    elif extras is not None:
        extras = type(extras)(*(values.get(name) for name in extras._fields))
    return CellParams(
        like.input._replace(kernel=values["kernel"], bias=values.get("bias")),
        None
        if recurrent is None
        else recurrent._replace(kernel=values["recurrent_kernel"], bias=values.get("recurrent_bias")),
        extras,
    )


def replaced(params: CellParams, **arrays: Any) -> CellParams:
    """The parameters with other arrays in place of those of these names (see `flat`); None takes one out."""
    return nested(params, {**flat(params), **arrays})


class Problem(NamedTuple):
    """Arguments of a recurrence with the cotangents of (outputs, final state)."""

    params: Any
    inputs: Any
    state: Any
    cotangents: Any
    lengths: Any = None
    resets: Any = None
    reset_state: Any = None
    noise: Any = None


def make_problem(
    cell: Cell,
    mode: str = "plain",
    *,
    time: int = TIME,
    batch: int = BATCH,
    sizes: tuple[Size, Size] | None = None,
    dtype: Any = np.float32,
    seed: int = 0,
) -> Problem:
    """A random problem: no bias and no state is zero, lengths hold 0, 1 and T, resets fall anywhere.

    The numbers are float32's whatever the dtype, so that the problems of a seed are equal in every precision
    from float32 up.
    """
    random = np.random.default_rng(seed)

    def normal(like: Any) -> np.ndarray:
        return random.normal(size=like.shape).astype(np.float32).astype(dtype)

    inputs_size, hidden_size = sizes or sizes_of(cell)
    params = cell.init_params(jax.random.key(seed), inputs_size, hidden_size)
    # A zero bias would hide a bias that is dropped, and a gate block that is read in the wrong place.
    params = jax.tree.map(lambda leaf: np.asarray(leaf + 0.3 * normal(leaf), np.float32).astype(dtype), params)
    state = possible(jax.tree.map(normal, cell.init_state(batch, hidden_size)))
    inputs = normal(np.empty((time, batch, *features(inputs_size))))
    step = jax.ShapeDtypeStruct((batch, *features(inputs_size)), np.float32)
    output = jax.eval_shape(cell.output, cell.extras_of(params), state, step)
    cotangents = (normal(np.empty((time, *output.shape))), jax.tree.map(normal, state))
    lengths = np.array([time, 0, 1, *random.integers(1, max(time, 2), size=batch)])[:batch].astype(np.int32)
    resets = random.random((time, batch)) < 0.3
    # One is sure to fall inside a sequence, with steps on both of its sides.
    resets[time // 2 : time // 2 + 1, 0] = True
    given: dict[str, Any] = {"lengths": np.minimum(lengths, time), "resets": resets}
    problem = Problem(params, inputs, state, cotangents, **{name: given[name] for name in MODES[mode]})
    return problem if problem.resets is None else problem._replace(reset_state=possible(jax.tree.map(normal, state)))


def run_inside(cell: Cell, recurrence: Recurrence, problem: Problem, *, reverse: bool = False) -> tuple[Any, Any]:
    """The library's (outputs, final state) and the gradients for (params, inputs, initial state, reset state).

    `run` is the same compiled, as users have it; this is for programs within which it is a part.
    """

    def values(params, inputs, state, reset_state):
        return recurrence(
            cell,
            params,
            inputs,
            state,
            lengths=problem.lengths,
            resets=problem.resets,
            reset_state=reset_state,
            reverse=reverse,
            noise=problem.noise,
        )

    result, pullback = jax.vjp(values, problem.params, problem.inputs, problem.state, problem.reset_state)
    return result, pullback(problem.cotangents)


run = jax.jit(
    run_inside,
    static_argnums=(0, 1),
    static_argnames=("reverse",),
    # All optimisations, in modules that otherwise do without (`quick_compile`) too.
    compiler_options={
        "xla_cpu_use_fusion_emitters": True,
        "xla_backend_optimization_level": 3,
        "xla_llvm_disable_expensive_passes": False,
    },
)

# Compiling is what a test costs: so it takes a quarter of the time.
FAST_COMPILE: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
run_fast = jax.jit(run_inside, static_argnums=(0, 1), static_argnames=("reverse",), compiler_options=FAST_COMPILE)


def widened(problem: Problem) -> Problem:
    """The problem in float64."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf,
        problem,
    )


def run_wide(cell: Cell, recurrence: Recurrence, problem: Problem, *, reverse: bool = False) -> tuple[Any, Any]:
    """`run` in float64, where a wrong term cannot hide in rounding, and compiled quickly."""
    with jax.enable_x64(True):
        return run_fast(cell, recurrence, widened(problem), reverse=reverse)


# How close to the oracle's its numbers are.
WIDE: dict[str, Any] = {"tolerance": reference.FLOAT64_TOLERANCE, "kind": "float64"}

# What is compared with an oracle runs both ways: in float64, and as users have it, which takes longer to compile.
both_ways = pytest.mark.parametrize(
    ("run", "close"),
    [pytest.param(run_wide, WIDE, id="float64"), pytest.param(run, {}, id="float32", marks=pytest.mark.slow)],
)


def slow_unless(quick: Callable[..., bool], cases: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The cases of a test, those that a quick run can do without marked so."""
    return [pytest.param(*case, marks=() if quick(*case) else pytest.mark.slow) for case in cases]


def run_oracle(name: str, problem: Problem, *, reverse: bool = False) -> tuple[Any, Any]:
    """What `run` should give for the cell of that name, in float64."""
    problem = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), problem)._replace(
        lengths=problem.lengths, resets=problem.resets
    )
    d_outputs, d_final = problem.cotangents
    mask, hold = problem.noise or Noise()
    got = reference.run(
        oracles.ORACLES[name],
        flat(problem.params),
        problem.inputs,
        tuple(problem.state),
        d_outputs,
        tuple(d_final),
        lengths=problem.lengths,
        resets=problem.resets,
        reset_state=None if problem.reset_state is None else tuple(problem.reset_state),
        reverse=reverse,
        mask=mask,
        hold=None if hold is None else tuple(hold.get(field, 0.0) for field in problem.state._fields),
    )
    state = type(problem.state)
    d_reset = None if problem.reset_state is None else state(*got.d_reset)
    return (got.outputs, state(*got.final)), (
        nested(problem.params, got.d_params),
        got.d_inputs,
        state(*got.d_initial),
        d_reset,
    )


def assert_runs_close(got: tuple[Any, Any], want: tuple[Any, Any], **options: Any) -> None:
    """Values and gradients, as `run` gives them, each within the tolerance."""
    for group, left, right in zip(("values", "gradients"), got, want, strict=True):
        reference.assert_close(left, right, group, **options)

"""Cells as users write them, right and wrong: what `check_cell` is tested on."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.cells import Cell, Elman, HiddenState, PointwiseCell
from rnnjax.maps import per_row


class PlainParams(NamedTuple):
    kernel: jax.Array
    recurrent: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain(Cell):
    """A cell that is no pointwise one: `h = tanh(x K + h R)`."""

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        shapes: Any = (input_size, hidden_size), (hidden_size, hidden_size)
        keys = jax.random.split(key)
        return PlainParams(*(jax.random.normal(*pair, dtype) / 2 for pair in zip(keys, shapes, strict=True)))

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        return HiddenState(jnp.zeros((batch_size, hidden_size), dtype))

    def step(self, params, inputs, state):
        return HiddenState(jnp.tanh(inputs @ params.kernel + state.hidden @ params.recurrent))


class MixedState(NamedTuple):
    hidden: jax.Array
    steps: jax.Array
    phase: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(PointwiseCell):
    """A state of three dtypes: it counts in int32, and turns a complex64 phase."""

    gates: ClassVar[int] = 2
    state_type: ClassVar[Any] = MixedState
    elementwise: ClassVar[bool] = True

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        phase = jnp.ones((batch_size, hidden_size), jnp.complex64)
        return MixedState(jnp.zeros((batch_size, hidden_size), dtype), jnp.zeros(batch_size, jnp.int32), phase)

    def update(self, extras, inputs, recurrent, state):
        g, c = jnp.split(inputs + recurrent, 2, axis=-1)
        phase = 0.5 * state.phase * jnp.exp(1j * jnp.tanh(g).astype(jnp.float32))
        hidden = jnp.tanh(c + phase.imag + state.steps[:, None] / 100)
        return MixedState(hidden, state.steps + 1, phase)


class MatrixState(NamedTuple):
    hidden: jax.Array
    memory: jax.Array
    steps: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Associative(PointwiseCell):
    """A state with a float32 matrix, which keys and values are written to, and an output that is read out of it."""

    gates: ClassVar[int] = 3
    state_type: ClassVar[Any] = MatrixState

    def init_extras(self, key, inputs, hidden, dtype):
        return {"read_out": jax.random.normal(key, (hidden[0], 3), dtype) / 2}

    def init_state(self, batch_size, hidden_size, dtype=jnp.float32):
        hidden = jnp.zeros((batch_size, hidden_size), dtype)
        memory = jnp.zeros((batch_size, hidden_size, hidden_size), jnp.float32)
        return MatrixState(hidden, memory, jnp.zeros(batch_size, jnp.int32))

    def update(self, extras, inputs, recurrent, state):
        key, value, query = jnp.split(jnp.tanh(inputs + recurrent), 3, axis=-1)
        memory = 0.9 * state.memory + key[..., None] * value[:, None]
        return MatrixState(jnp.tanh(jnp.einsum("bkv,bk->bv", memory, query)), memory, state.steps + 1)

    def output(self, extras, state, inputs):
        return jnp.sin(state.hidden @ extras["read_out"])


class Square(NamedTuple):
    mixing: jax.Array
    skip: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Further(Elman):
    """A further product in `update`, and an output that reads the inputs and is wider than the state."""

    elementwise: ClassVar[bool] = False

    def init_extras(self, key, inputs, hidden, dtype):
        return Square(
            jax.random.normal(key, (*hidden, *hidden), dtype) / 4,
            jax.random.normal(key, (*inputs, 2 * hidden[-1]), dtype) / 2,
        )

    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent + state.hidden @ extras.mixing))

    def output(self, extras, state, inputs):
        return inputs @ extras.skip + jnp.tile(state.hidden, 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MixesRows(Elman):
    def update(self, extras, inputs, recurrent, state):
        a = inputs + recurrent
        return HiddenState(jnp.tanh(a - a.mean(axis=0, keepdims=True)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadsBatchSize(Elman):
    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh((inputs + recurrent) / inputs.shape[0]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halves(Elman):
    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent).astype(jnp.float16))


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowsState(Plain):
    def step(self, params, inputs, state):
        return HiddenState(jnp.concatenate([state.hidden, state.hidden], axis=-1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComplexState(Elman):
    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent) + 0j)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NotElementwise(Elman):
    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent + jnp.roll(state.hidden, 1, axis=-1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecretlyElementwise(Elman):
    elementwise: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unhashable(Elman):
    scales: Any = dataclasses.field(default_factory=lambda: [1.0, 2.0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unpicklable(Elman):
    scale: Any = dataclasses.field(default=lambda: 1.0)


class Spare(NamedTuple):
    used: jax.Array
    unused: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unused(Elman):
    def init_extras(self, key, inputs, hidden, dtype):
        return Spare(jnp.ones(hidden, dtype), jnp.ones(hidden, dtype))

    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent) * per_row(extras.used, inputs))


CALLS = [0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counter(Elman):
    def update(self, extras, inputs, recurrent, state):
        CALLS[0] += 1
        return HiddenState(jnp.tanh(inputs + recurrent + 0.01 * CALLS[0]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrongSize(Elman):
    def size_of(self, state):
        return (jnp.shape(state.hidden)[1] + 1,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HardCoded(Elman):
    elementwise: ClassVar[bool] = False

    def update(self, extras, inputs, recurrent, state):
        return HiddenState(jnp.tanh(inputs + recurrent) + jnp.zeros((1, 4)))


wrong_tanh = jax.custom_vjp(jnp.tanh)
wrong_tanh.defvjp(lambda x: (jnp.tanh(x), x), lambda x, g: (g * (1 - jnp.tanh(x)),))


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrongGradient(Elman):
    def update(self, extras, inputs, recurrent, state):
        return HiddenState(wrong_tanh(inputs + recurrent))


@dataclasses.dataclass(frozen=True, kw_only=True)
class NaNGradient(Elman):
    elementwise: ClassVar[bool] = False

    def update(self, extras, inputs, recurrent, state):
        norm = jnp.sqrt((state.hidden**2).sum(axis=-1, keepdims=True))
        return HiddenState(jnp.tanh(inputs + recurrent + norm))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SameForEveryKey(Plain):
    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        return super().init_params(jax.random.key(3), input_size, hidden_size, dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneDtype(Plain):
    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        return super().init_params(key, input_size, hidden_size, jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Several(NotElementwise):
    """Of faults more than one."""

    scales: Any = dataclasses.field(default_factory=list)

    def init_params(self, key, input_size, hidden_size, dtype=jnp.float32):
        return super().init_params(jax.random.key(3), input_size, hidden_size, dtype)

    def update(self, extras, inputs, recurrent, state):
        return super().update(extras, inputs / inputs.shape[0], recurrent, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raises(Plain):
    def step(self, params, inputs, state):
        raise RuntimeError("not for a narrow mind")

"""The network of a memory task."""

import flax.linen as nn
import jax

from rnnjax import StackedRNN


class AnsweringRNN(nn.Module):
    """A recurrent stack, and a dense head on its outputs at the last steps."""

    recurrent: StackedRNN
    answers: int
    outputs: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Outputs `(B, A, O)` of the last A steps, from inputs `(B, T, I)`."""
        hidden, final = self.recurrent(inputs)
        read = self.recurrent.last(final, hidden)[:, None] if self.answers == 1 else hidden[:, -self.answers :]
        return nn.Dense(self.outputs, name="head")(read)

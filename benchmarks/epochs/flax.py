"""The Flax contestants: a network of `flax.linen`, in a loop over a jitted step as in Flax's examples."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.epochs.contestant import Pass, Problem
from benchmarks.epochs.pipeline import Pipeline
from rnnjax.data import Batch, Plan
from rnnjax.interop import to_flax
from rnnjax.types import features


class Classifier(nn.Module):
    """Embedding, LSTM, its output at the last step of each text, one logit.

    With lengths the output is gathered as in Flax's own text example, which is a little faster than `seq_lengths` of
    `nn.RNN`. Without lengths the last carry is read.
    """

    vocabulary_size: int
    embedding_size: int
    hidden_size: int

    @nn.compact
    def __call__(self, tokens: jax.Array, lengths: jax.Array | None) -> jax.Array:
        """Logits (B,) from tokens (B, T)."""
        inputs = nn.Embed(self.vocabulary_size, self.embedding_size, name="embedding")(tokens)
        cell = nn.OptimizedLSTMCell(self.hidden_size, parent=None)
        (_, hidden), outputs = nn.RNN(cell, return_carry=True, name="recurrent")(inputs)
        if lengths is not None:
            last = outputs[jnp.arange(len(lengths)), jnp.maximum(lengths - 1, 0)]
            hidden = jnp.where(lengths[:, None] > 0, last, 0)
        return nn.Dense(1, name="head")(hidden)[:, 0]


class FlaxEpochs:
    """The network in Flax, on the default device; losses are read at the end of an epoch."""

    def __init__(self, problem: Problem, pipeline: Pipeline):
        self.pipeline, self.devices = pipeline, 1
        self.fill: int | None = pipeline.batch_size
        ours = problem.model
        (hidden_size,) = features(problem.layer.hidden_size)
        model = Classifier(ours.vocabulary_size, ours.embedding_size, hidden_size)
        params = {**problem.params, "recurrent": to_flax(problem.layer, problem.params["recurrent"])}
        optimizer = optax.adam(problem.learning_rate)

        def step(carried, batch: Batch):
            def mean_loss(params):
                lengths = batch.lengths if pipeline.pad == "end" else None
                logits = model.apply({"params": params}, batch.inputs, lengths)
                losses = optax.sigmoid_binary_cross_entropy(logits, batch.targets)
                return (losses * batch.weights).sum() / batch.weights.sum()

            params, optimizer_state = carried
            loss, gradient = jax.value_and_grad(mean_loss)(params)
            updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
            return (optax.apply_updates(params, updates), optimizer_state), loss

        self._step = jax.jit(step, donate_argnums=0)
        self._carried = jax.device_put((params, optimizer.init(params)))

    def losses(self, plans: Sequence[Plan]) -> list[float]:
        losses = []
        for batch in self.pipeline.batches(plans, self.fill):
            self._carried, loss = self._step(self._carried, batch)
            losses.append(loss)
        jax.block_until_ready(self._carried)
        return [float(loss) for loss in losses]

    def epoch(self) -> Pass:
        plans = self.pipeline.plans()
        return Pass(float(np.average(self.losses(plans), weights=[len(plan.rows) for plan in plans])))

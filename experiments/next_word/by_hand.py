"""The smallest next-word network, trained, and then computed by hand with every line of arithmetic printed."""

from collections import Counter
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax import RNN, Elman, Unrolled
from rnnjax.runs.report import model_table, table
from rnnjax.training import TrainState
from rnnjax.training.update import run_updates, update_of

PAIRS = (("this is", "an"), ("is an", "example"))
# float32 against float64; the largest difference measured over 20 seeds is 1.4e-7.
AGREEMENT = 1e-6


class Weights(NamedTuple):
    """The parameters of a one-unit Elman network with a softmax over V words: 3 + 2 V numbers, here with V = 5."""

    kernel: float
    recurrent_kernel: float
    bias: float
    dense_kernel: np.ndarray
    dense_bias: np.ndarray


class NextWord(nn.Module):
    """One tanh unit over raw word numbers, and a softmax over the vocabulary."""

    vocabulary_size: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Logits `(B, V)` from word numbers `(B, T, 1)`."""
        _, state = RNN(Elman(), 1, Unrolled(), name="recurrent")(inputs)
        return nn.Dense(self.vocabulary_size, name="dense")(state.hidden)


def vocabulary() -> dict[str, int]:
    """The indices of the words, from 1 by decreasing frequency (ties in order of appearance); 0 is no word."""
    counts = Counter(word for pair in PAIRS for word in " ".join(pair).split())
    return {word: index for index, (word, _) in enumerate(counts.most_common(), start=1)}


def train(epochs: int, learning_rate: float, seed: int) -> tuple[dict, float]:
    """The parameters after `epochs` steps on both pairs, and the last loss in nats."""
    words = vocabulary()
    inputs = np.array([[[words[word]] for word in text.split()] for text, _ in PAIRS], np.float32)
    targets = np.array([words[word] for _, word in PAIRS])
    model, optimizer = NextWord(len(words) + 1), optax.adam(learning_rate)

    def objective(params: Any, batch: Any, key: jax.Array) -> dict[str, jax.Array]:
        logits = jnp.asarray(model.apply({"params": params}, inputs))
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        return {"loss": losses.sum(), "weight": jnp.full((), len(targets), losses.dtype)}

    key = jax.random.key(seed)
    state = TrainState.create(model.init(key, inputs)["params"], optimizer, key)
    update = update_of(objective, optimizer)
    state, sums = jax.jit(lambda state: run_updates(update, lambda *_: None, state, length=epochs))(state)
    return state.params, float(sums["loss"][-1] / sums["weight"][-1])


def weights_of(params: dict) -> Weights:
    """The parameters of a trained network in float64."""
    cell, dense = params["recurrent"]["cell"], params["dense"]
    return Weights(
        kernel=cell["input"]["kernel"].item(),
        recurrent_kernel=cell["recurrent"]["kernel"].item(),
        bias=cell["input"]["bias"].item(),
        dense_kernel=np.asarray(dense["kernel"][0], np.float64),
        dense_bias=np.asarray(dense["bias"], np.float64),
    )


def by_hand(weights: Weights, inputs: list[float]) -> tuple[np.ndarray, list[str]]:
    """The probabilities `(V,)` of the next word, and their arithmetic as lines.

    h_t = tanh(x_t w + h_{t-1} u + b), h_0 = 0;  p = softmax(h_T k + d)
    """
    w, u, b, k, d = weights
    hidden, lines = 0.0, ["h_0 = 0"]
    for step, x in enumerate(inputs, start=1):
        before, total = hidden, x * w + hidden * u + b
        hidden = float(np.tanh(total))
        lines.append(
            f"h_{step} = tanh({x:g} * {w:.6f} + {before:.6f} * {u:.6f} + {b:.6f}) = tanh({total:.6f}) = {hidden:.6f}"
        )
    logits = hidden * k + d
    powers = np.exp(logits)
    probabilities = powers / powers.sum()
    for index, logit in enumerate(logits):
        product = f"{hidden:.6f} * {k[index]:.6f} + {d[index]:.6f}"
        lines.append(f"o_{index} = {product} = {logit:.6f}, e^o_{index} = {powers[index]:.6f}")
    lines.append(f"sum of e^o = {' + '.join(f'{power:.6f}' for power in powers)} = {powers.sum():.6f}")
    for index, probability in enumerate(probabilities):
        lines.append(f"p_{index} = {powers[index]:.6f} / {powers.sum():.6f} = {probability:.8f}")
    return probabilities, lines


def show(epochs: int, learning_rate: float, seed: int) -> None:
    """Trains, predicts both pairs with the network and by hand, and prints every step.

    Raises ValueError if the two differ.
    """
    words = vocabulary()
    print("; ".join(f"{word} = {index}" for word, index in words.items()) + "; 0 is no word")
    params, loss = train(epochs, learning_rate, seed)
    print(f"{model_table(params)}\n")
    weights = weights_of(params)
    for name, value in weights._asdict().items():
        print(f"{name} = {np.array2string(np.asarray(value), precision=6, max_line_width=100)}")
    print(f"loss after {epochs} epochs: {loss:.6f} nats")
    names = {index: word for word, index in words.items()}
    for text, target in PAIRS:
        inputs = [float(words[word]) for word in text.split()]
        network = NextWord(len(words) + 1).apply({"params": params}, np.array(inputs, np.float32).reshape(1, -1, 1))
        network = np.asarray(jax.nn.softmax(jnp.asarray(network)))[0]
        with np.errstate(over="ignore", invalid="ignore"):
            probabilities, lines = by_hand(weights, inputs)
        difference = float(np.abs(probabilities - network).max())
        print(f"\n{text!r} = {[int(number) for number in inputs]} -> {target!r}\n" + "\n".join(lines))
        rows = [
            (names.get(index, "(no word)"), f"{network[index]:.8f}", f"{probabilities[index]:.8f}")
            for index in np.argsort(-probabilities)
        ]
        print(table(("next word", "network", "by hand"), rows))
        print(f"largest difference {difference:.1e}")
        if not difference <= AGREEMENT:  # nor is NaN
            raise ValueError(f"by hand: expected the network's probabilities within {AGREEMENT}, got {difference}")

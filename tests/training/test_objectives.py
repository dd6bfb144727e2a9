"""The language model's objective against NumPy; the classifier's is tested with the steps."""

import jax
import numpy as np
from reference import assert_close

from rnnjax.data import Batch
from rnnjax.training import next_token


def test_next_token_sums_the_cross_entropy_of_every_word_but_the_first():
    random = np.random.default_rng(0)
    tokens, lengths = random.integers(0, 7, (5, 6)).astype(np.int32), np.array([6, 2, 1, 0, 4], np.int32)
    weights = np.array([1, 1, 1, 1, 0], np.float32)
    logits = random.normal(size=(5, 5, 7)).astype(np.float32)
    seen = {}

    def apply(params, inputs, lengths, **options):
        seen.update(options, inputs=inputs, lengths=lengths)
        return params, None

    batch = Batch(tokens, lengths, np.zeros(5, np.int32), weights, np.arange(5, dtype=np.int32))
    sums = next_token(apply)(logits, batch, None)
    loss, correct, count = 0.0, 0, 0
    for b in range(5):
        for t in range(max(lengths[b] - 1, 0)):
            if weights[b]:
                powers = np.exp(logits[b, t].astype(np.float64))
                loss -= np.log(powers[tokens[b, t + 1]] / powers.sum())
                correct += logits[b, t].argmax() == tokens[b, t + 1]
                count += 1
    assert count == 6
    assert_close(sums["loss"], loss, "values")
    assert (int(sums["weight"]), int(sums["correct"]), int(sums["tokens"])) == (count, correct, 9)
    np.testing.assert_array_equal(seen["inputs"], tokens[:, :-1])
    np.testing.assert_array_equal(seen["lengths"], [5, 1, 0, 0, 3])
    assert seen["deterministic"]
    next_token(apply)(logits, batch, jax.random.key(0))
    assert not seen["deterministic"]

"""Class weights: those of the training loss, and of nothing else."""

from typing import Any

import jax
import numpy as np
import optax
import pytest
from toy import make_batch, make_model, make_params

from rnnjax.training import classification

TOLERANCE = 1e-6
PLAIN = {"input_dropout": 0.0, "dropout": 0.0}


def objective_of(classes, weights):
    model = make_model(logits=1 if classes == 2 else classes, **PLAIN)

    def apply(params, *args, **options) -> Any:
        return model.apply({"params": params}, *args, **options)

    return classification(apply, classes, weights), make_params(model), apply


@pytest.mark.quick("3-weights1")
@pytest.mark.parametrize(("classes", "weights"), [(2, (1.0, 4.0)), (3, (0.5, 1.0, 3.0))])
def test_only_the_training_loss_is_weighted(classes, weights):
    (weighted, params, apply), (plain, _, _) = objective_of(classes, weights), objective_of(classes, None)
    batch, key = make_batch(rows=9, filled=2, classes=classes), jax.random.key(0)
    trained, evaluated, unweighted = (
        weighted(params, batch, key),
        weighted(params, batch, None),
        plain(params, batch, key),
    )
    logits = np.asarray(apply(params, batch.inputs, batch.lengths), np.float64)
    if classes == 2:
        logits = np.stack([np.zeros(len(logits)), logits], axis=1)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
    own = np.asarray(weights)[batch.targets] * batch.weights
    np.testing.assert_allclose(trained["loss"], (own * losses).sum(), rtol=TOLERANCE)
    np.testing.assert_allclose(trained["chance"], np.log(classes) * own.sum(), rtol=TOLERANCE)
    for name in set(unweighted) - {"loss", "chance"}:
        np.testing.assert_array_equal(trained[name], unweighted[name])
    for name in unweighted:
        np.testing.assert_allclose(evaluated[name], unweighted[name], rtol=TOLERANCE)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0, 2.0, 3.0), "class_weights: expected 2, one for each class, got 3"),
        ((1.0, 0.0), "class_weights: expected numbers above 0, got 0.0"),
        ((1.0, float("nan")), "class_weights: expected numbers above 0, got nan"),
        ((1.0, "2"), "class_weights: expected numbers above 0, got '2'"),
        ("12", "class_weights: expected a sequence of numbers, got '12'"),
        ({0: 1.0, 1: 2.0}, "class_weights: expected a sequence of numbers, got {0: 1.0"),
        (2.0, "class_weights: expected a sequence of numbers, got 2.0"),
    ],
)
def test_weights_that_cannot_be(weights, message):
    with pytest.raises(ValueError, match=message):
        objective_of(2, weights)

"""How the parameters follow the gradient: the options that every study has, as one optax transformation."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.fields import check_fields

Rule = Literal["adam", "adamw", "nadam", "sgd", "lion", "muon"]
Schedule = Literal["constant", "linear", "cosine", "step"]
# PyTorch's own for these.
USUAL_DECAY = {"adamw": 0.01, "lion": 0.01}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The options of an optimizer; a study's config inherits them.

    Sources: Kingma and Ba 2015 (adam), Loshchilov and Hutter 2019 (adamw), Dozat 2016 (nadam), Chen et al. 2023 (lion),
    Jordan et al. 2024 (muon: orthogonal updates of matrices, adam for all else). Raises ValueError for values out of
    range.
    """

    optimizer: Rule = "adam"
    """How the parameters follow the gradient."""
    learning_rate: float = 1e-3
    """Step size at first."""
    schedule: Schedule = "constant"
    """How the learning rate falls: linear and cosine down to 0 at the last update, step from epoch to epoch."""
    warmup: float = 0.0
    """Share of the updates over which the learning rate rises first."""
    constant_epochs: int = 1
    """Epochs before the learning rate of the schedule step falls."""
    decay: float = 2.0
    """The learning rate of the schedule step is divided by this in every epoch after those."""
    momentum: float = 0.0
    """Of sgd (Nesterov's)."""
    weight_decay: float | None = None
    """Share of a weight that is taken off it in every update, times the learning rate; 0.01 for adamw and lion unless
    given, else 0."""
    decayed: Literal["kernels", "all"] = "kernels"
    """Which parameters decay: those of two axes and more, or biases, too."""
    clip: float | None = None
    """Largest global norm of the gradient."""
    averaging: float = 0.0
    """Decay of a moving average of the parameters, which is evaluated and kept in their place; 0: none."""
    skip: int = 0
    """Updates in a row that are left out where the gradient is not finite, before the run stops."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("constant_epochs", "decay"),
            shares=("warmup", "averaging", "momentum"),
            above_zero=("learning_rate", "clip"),
        )
        if self.weight_decay is not None and not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay: expected 0 <= share < 1, got {self.weight_decay}")
        if self.weight_decay and self.optimizer in ("adam", "nadam"):
            raise ValueError(f"weight_decay: expected adamw, sgd, lion or muon with it, got {self.optimizer}")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum: expected sgd with it, got {self.optimizer}")
        if self.schedule == "step" and self.warmup:
            raise ValueError(f"warmup: expected none with the schedule step, got {self.warmup}")

    def transformation(self, steps: int, epoch_steps: int | None = None) -> optax.GradientTransformation:
        """The optax transformation for so many updates in all, of which an epoch has `epoch_steps`.

        Its state tells the learning rate. Clipping and averaging are those of `train_step`. Raises ValueError for the
        schedule step without `epoch_steps`.
        """
        rate = self._rate(steps, epoch_steps)
        # Of optax's own Adam the other numbers are arrays, too, which its bias corrections are rounded by.
        rule = optax.adam if self.optimizer == "adam" else self._rule
        transformation = optax.inject_hyperparams(rule)(learning_rate=rate)
        return optax.apply_if_finite(transformation, self.skip) if self.skip else transformation

    def clipped(self, steps: int, epoch_steps: int | None = None) -> optax.GradientTransformation:
        """The same behind the clipping, for update loops of your own."""
        clipping = optax.identity() if self.clip is None else optax.clip_by_global_norm(self.clip)
        return optax.chain(clipping, self.transformation(steps, epoch_steps))

    def _rate(self, steps: int, epoch_steps: int | None) -> Callable[[Any], Any]:
        rate, rising = float(self.learning_rate), round(self.warmup * steps)
        falling = max(steps - rising, 1)
        if self.schedule == "step":
            if epoch_steps is None or epoch_steps < 1:
                raise ValueError(f"epoch_steps: expected at least 1 for the schedule step, got {epoch_steps}")
            constant, decay = self.constant_epochs, self.decay
            return lambda step: rate / decay ** jnp.maximum(step // epoch_steps + 1.0 - constant, 0.0)
        shape = {
            "constant": optax.constant_schedule(rate),
            "linear": optax.linear_schedule(rate, 0.0, falling),
            "cosine": optax.cosine_decay_schedule(rate, falling),
        }[self.schedule]
        return optax.join_schedules([optax.linear_schedule(0.0, rate, rising), shape], [rising]) if rising else shape

    def _rule(self, learning_rate: Any) -> optax.GradientTransformation:
        """The rule with a learning rate that may be traced."""
        given = self.weight_decay
        weight_decay = USUAL_DECAY.get(self.optimizer, 0.0) if given is None else given
        if self.optimizer == "muon":
            return optax.contrib.muon(
                learning_rate,
                weight_decay=weight_decay,
                weight_decay_mask=self._mask,
                adam_weight_decay=weight_decay if self.decayed == "all" else 0.0,
            )
        scaled = {
            "adamw": optax.scale_by_adam(),
            "nadam": optax.scale_by_adam(nesterov=True),
            "sgd": optax.trace(self.momentum, nesterov=True) if self.momentum else optax.identity(),
            "lion": optax.scale_by_lion(),
        }[self.optimizer]
        decaying = [optax.add_decayed_weights(weight_decay, self._mask)] if weight_decay else []
        return optax.chain(scaled, *decaying, optax.scale_by_learning_rate(learning_rate))

    def _mask(self, params: Any) -> Any:
        return jax.tree.map(lambda leaf: self.decayed == "all" or np.ndim(leaf) > 1, params)

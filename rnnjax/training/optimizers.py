"""The optimizer options that every study has, and the optax transformation that they describe."""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from rnnjax.fields import check_fields, check_range

if TYPE_CHECKING:
    import optax

Rule = Literal["adam", "adamw", "nadam", "sgd", "lion", "muon"]
Schedule = Literal["constant", "linear", "cosine", "step", "plateau"]
# PyTorch's default for AdamW, used for Lion too.
USUAL_DECAY = {"adamw": 0.01, "lion": 0.01}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The options of an optimizer; the config of a study inherits them.

    Sources: Kingma and Ba 2015 (adam), Loshchilov and Hutter 2019 (adamw), Dozat 2016 (nadam), Chen et al. 2023 (lion),
    Jordan et al. 2024 (muon: orthogonalised updates for matrices, adam for all other parameters). Raises ValueError for
    values out of range.
    """

    optimizer: Rule = "adam"
    """Optimizer."""
    learning_rate: float = 1e-3
    """Initial learning rate; with warmup, its peak."""
    schedule: Schedule = "constant"
    """Learning rate schedule: linear and cosine decay to 0 at the last update; step divides the learning rate by decay
    after every epoch; plateau divides it by decay when the validation loss has stopped falling."""
    warmup: float = 0.0
    """Share of the updates in which the learning rate rises linearly from 0."""
    constant_epochs: int = 1
    """Schedule step: number of epochs before the learning rate starts to decay."""
    decay: float = 2.0
    """Schedules step and plateau: divisor of the learning rate."""
    plateau_epochs: int = 1
    """Schedule plateau: number of epochs without a lower validation loss after which the learning rate is divided."""
    momentum: float = 0.0
    """Nesterov momentum of sgd."""
    weight_decay: float | None = None
    """Decoupled weight decay: each update subtracts learning rate x weight decay x weight. Default: 0.01 for adamw and
    lion, 0 for the others."""
    l2: float = 0.0
    """L2 penalty: adds l2 x weight to the gradient, after gradient clipping; the weight decay of PyTorch's Adam."""
    decayed: Literal["kernels", "all"] = "kernels"
    """Parameters to which weight decay and the L2 penalty apply: kernels (arrays with at least two axes), or all."""
    clip: float | None = None
    """Gradient clipping: largest global norm."""
    averaging: float = 0.0
    """Decay of a moving average of the parameters, which is evaluated and saved in place of them: at most 1, which
    averages all of them; 0: no average."""
    average_after: int | None = None
    """Number of epochs: the average begins after an epoch whose validation loss is above the lowest one of all epochs
    but these last ones. Default: it begins with the first update."""
    skip: int = 0
    """Number of consecutive updates that may be skipped because the gradient is not finite; one more stops the run."""

    def __post_init__(self):
        check_fields(
            self,
            at_least_one=("constant_epochs", "decay", "plateau_epochs", "average_after"),
            shares=("warmup", "momentum"),
            above_zero=("learning_rate", "clip"),
        )
        if not 0 <= self.averaging <= 1:
            raise ValueError(f"averaging: expected a number from 0 to 1, got {self.averaging}")
        if self.average_after is not None and not self.averaging:
            raise ValueError(f"average_after: expected an averaging above 0 with it, got {self.average_after} alone")
        if self.weight_decay is not None and not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay: expected 0 <= share < 1, got {self.weight_decay}")
        if self.weight_decay and self.optimizer in ("adam", "nadam"):
            raise ValueError(
                f"weight_decay: expected optimizer adamw, sgd, lion or muon, or l2 in its place, got {self.optimizer}"
            )
        if not 0 <= self.l2 < math.inf:
            raise ValueError(f"l2: expected a number of at least 0, got {self.l2}")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum: expected optimizer sgd, got {self.optimizer}")
        if self.schedule == "step" and self.warmup:
            raise ValueError(f"warmup: expected none with the schedule step, got {self.warmup}")
        if self.schedule == "plateau" and self.decay == 1:
            raise ValueError("decay: expected a number above 1 for the schedule plateau, got 1")
        if self.decayed == "all" and not (self._weight_decay or self.l2):
            raise ValueError("decayed: expected a weight decay or an L2 penalty above 0 for 'all', got none")

    def transformation(self, steps: int, epoch_steps: int | None = None) -> "optax.GradientTransformation":
        """The optax transformation for a training of `steps` updates, with `epoch_steps` updates in each epoch.

        Its state holds the current learning rate. It does not clip or average: `train_step` does. Raises ValueError for
        fewer than one step, and for the schedule step without `epoch_steps`.
        """
        import optax

        from rnnjax.training.averaging import average_start
        from rnnjax.training.plateau import plateau

        check_range("steps", steps, 1)
        rate = self._rate(steps, epoch_steps)
        # For `optax.adam`, b1 and b2 become arrays too, which affects the rounding of its bias corrections.
        rule = optax.adam if self.optimizer == "adam" else self._rule
        transformation = optax.inject_hyperparams(rule)(learning_rate=rate)
        if self.l2:
            transformation = optax.chain(optax.add_decayed_weights(self.l2, self._mask), transformation)
        if self.schedule == "plateau":
            transformation = optax.chain(transformation, plateau(1 / self.decay, self.plateau_epochs))
        if self.average_after:
            transformation = optax.chain(transformation, average_start(self.average_after))
        return optax.apply_if_finite(transformation, self.skip) if self.skip else transformation

    def clipped(self, steps: int, epoch_steps: int | None = None) -> "optax.GradientTransformation":
        """`transformation` after gradient clipping, for update loops of your own."""
        import optax

        clipping = optax.identity() if self.clip is None else optax.clip_by_global_norm(self.clip)
        return optax.chain(clipping, self.transformation(steps, epoch_steps))

    @property
    def _weight_decay(self) -> float:
        return USUAL_DECAY.get(self.optimizer, 0.0) if self.weight_decay is None else self.weight_decay

    def _rate(self, steps: int, epoch_steps: int | None) -> Callable[[Any], Any]:
        import jax.numpy as jnp
        import optax

        rate, rising = float(self.learning_rate), round(self.warmup * steps)
        falling = max(steps - rising, 1)
        if self.schedule == "step":
            if epoch_steps is None or epoch_steps < 1:
                raise ValueError(f"epoch_steps: expected at least 1 for the schedule step, got {epoch_steps}")
            constant, decay = self.constant_epochs, self.decay
            return lambda step: rate / decay ** jnp.maximum(step // epoch_steps + 1.0 - constant, 0.0)
        shape = {
            "constant": optax.constant_schedule(rate),
            "plateau": optax.constant_schedule(rate),
            "linear": optax.linear_schedule(rate, 0.0, falling),
            "cosine": optax.cosine_decay_schedule(rate, falling),
        }[self.schedule]
        return optax.join_schedules([optax.linear_schedule(0.0, rate, rising), shape], [rising]) if rising else shape

    def _rule(self, learning_rate: Any) -> "optax.GradientTransformation":
        """The optimizer with a learning rate that may be traced."""
        import optax

        weight_decay = self._weight_decay
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
        import jax
        import numpy as np

        return jax.tree.map(lambda leaf: self.decayed == "all" or np.ndim(leaf) > 1, params)

"""A network as a function of its parameters."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn


def logits_of(model: nn.Module) -> Callable[..., Any]:
    """The function `(params, *args, **options)` that applies the model. The objectives of `rnnjax.training` need it."""
    return lambda params, *args, **options: model.apply({"params": params}, *args, **options)

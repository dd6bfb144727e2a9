"""Parameters on disk, by Orbax."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp


def save_params(path: Path, params: Any) -> None:
    """Writes the parameters to a folder, in place of what was there once all is written."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.resolve(), params, force=True)


def load_params(path: Path, template: Any) -> Any:
    """The parameters from a folder, in the template's structure, shapes and dtypes, on the first device.

    Raises FileNotFoundError where there is none, ValueError where it does not fit the template.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"checkpoint: expected a folder, got {path}")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), template)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return checkpointer.restore(path.resolve(), target)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise ValueError(f"{path}: expected parameters of this model, got: {str(error).splitlines()[0]}") from error

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

    Raises FileNotFoundError where there is none, ValueError where it is damaged or does not fit the template.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"checkpoint: expected a folder, got {path}")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), template)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            # Compared first: a restore that fails half-way leaves threads behind.
            stored = checkpointer.metadata(path.resolve()).item_metadata
            _check(_arrays(stored), _arrays(target))
            _check_chunks(stored)
            return checkpointer.restore(path.resolve(), target)
    except Exception as error:  # Orbax raises bare Exception for damaged arrays
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: expected parameters of this model, got: {message}") from error


def _arrays(tree: Any) -> dict[str, str]:
    """The arrays of a tree of whatever containers: name to shape and dtype."""
    leaves = jax.tree_util.tree_leaves_with_path(getattr(tree, "tree", tree))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in leaves
    }


def _check(found: dict[str, str], expected: dict[str, str]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(f"{name}: expected {expected.get(name, 'no such array')}, got {found.get(name, 'none')}")


def _check_chunks(tree: Any) -> None:
    """Raises ValueError for a chunk larger than its array: a few bytes can declare one that fills all memory."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(tree, "tree", tree)):
        chunk = leaf.storage.chunk_shape if leaf.storage else None
        if chunk is not None and any(size > max(whole, 1) for size, whole in zip(chunk, leaf.shape, strict=True)):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(f"{name}: expected chunks of at most {list(leaf.shape)}, got {list(chunk)}")

"""Saves and loads trees of arrays with Orbax."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from rnnjax.errors import first_line
from rnnjax.extras import extra
from rnnjax.untrusted import check_tree

with extra("training"):
    import orbax.checkpoint as ocp


def save_arrays(path: Path, tree: Any) -> None:
    """Writes a tree of arrays to a folder; an existing folder is replaced once everything is written."""
    with _checkpointer() as checkpointer:
        checkpointer.save(path.resolve(), args=ocp.args.PyTreeSave(tree), force=True)


def load_arrays(path: Path, template: Any) -> Any:
    """Loads arrays with the structure, shapes and dtypes of the template, on the first device of this process.

    Raises FileNotFoundError if there is no such folder, ValueError if it is damaged or does not fit the template.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"checkpoint: expected a folder, got {path}")
    check_tree(path)
    try:
        with _checkpointer() as checkpointer:
            # Compared before restoring: a restore that fails leaves threads behind.
            stored = checkpointer.metadata(path.resolve()).item_metadata
            _check(_arrays(stored), _arrays(template))
            _check_chunks(stored)
            as_numpy = jax.tree.map(lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray), template)
            arrays = checkpointer.restore(
                path.resolve(), args=ocp.args.PyTreeRestore(item=template, restore_args=as_numpy)
            )
            return jax.device_put(arrays, jax.local_devices()[0])
    except Exception as error:  # Orbax raises bare Exception for damaged arrays
        raise ValueError(f"{path}: expected parameters of this model, got: {first_line(error)}") from error


def _checkpointer() -> ocp.Checkpointer:
    """A checkpointer that does not synchronise with other processes: only this process reads or writes."""
    alone = jax.process_index()
    options = ocp.options.MultiprocessingOptions(primary_host=alone, active_processes={alone})
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


def _arrays(tree: Any) -> dict[str, str]:
    """The shape and dtype of every array of a tree, by name."""
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
    """Raises ValueError for a chunk larger than its array: a small file could declare one that fills all memory."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(tree, "tree", tree)):
        chunk = leaf.storage.chunk_shape if leaf.storage else None
        if chunk is not None and any(size > max(whole, 1) for size, whole in zip(chunk, leaf.shape, strict=True)):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(f"{name}: expected chunks of at most {list(leaf.shape)}, got {list(chunk)}")

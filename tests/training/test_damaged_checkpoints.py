"""Checkpoints with damaged metadata: the documented error, or parameters of the right shapes."""

import itertools
import json
import shutil
import zlib

import jax
import jax.numpy as jnp
import pytest
import tensorstore
from damage import damage, edits
from fuzz import at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.runs import load_arrays, save_arrays

PARAMS = {"cell": {"kernel": jnp.arange(12.0).reshape(3, 4)}, "bias": jnp.ones(5)}
numbers = itertools.count()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "whole"
    save_arrays(path, PARAMS)
    return path


# A thread that Orbax leaves behind where a restore fails half-way may complain of it later.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@settings(max_examples=at_most(60), deadline=None, derandomize=True, database=None)
@given(
    name=st.sampled_from(["_METADATA", "_CHECKPOINT_METADATA"]),
    spots=edits(b'"key"', b'"use_zarr3": true', b'"use_ocdbt": false', b"value_type", b"params"),
)
def test_damaged_metadata_of_a_checkpoint(name, spots, checkpoint):
    path = shutil.copytree(checkpoint, checkpoint.with_name(str(next(numbers))))
    file = path / name
    file.write_bytes(damage(file.read_bytes(), spots))
    params = message = None
    try:
        params = load_arrays(path, jax.eval_shape(lambda: PARAMS))
    except ValueError as error:
        message = str(error)
    if params is None:
        assert str(path) in str(message)
    else:
        assert jax.tree.map(lambda leaf: leaf.shape, params) == jax.tree.map(lambda leaf: leaf.shape, PARAMS)


def test_a_chunk_that_would_fill_the_memory_is_not_unpacked(checkpoint):
    path = shutil.copytree(checkpoint, checkpoint.with_name("bomb"))
    stored = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{path}/"}).result()
    array = json.loads(stored.read("bias/.zarray").result().value)
    # A thousandth of what it would take when unpacked, all of it for five numbers.
    array |= {"chunks": [10**6], "compressor": {"id": "zlib", "level": 9}}
    stored.write("bias/.zarray", json.dumps(array).encode()).result()
    stored.write("bias/0", zlib.compress(bytes(4 * 10**6))).result()
    with pytest.raises(ValueError, match=r"got: bias: expected chunks of at most \[5\], got \[1000000\]$"):
        load_arrays(path, jax.eval_shape(lambda: PARAMS))

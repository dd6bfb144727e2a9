"""Weight files with damaged spots: the documented error, or weights of the right shapes."""

import itertools

import h5py
import jax
import pytest
import safetensors.numpy
from damage import Edit, damage, edits
from fuzz import at_most
from hypothesis import example, given, settings
from interop_cases import HIDDEN, random_params

from rnnjax import LSTM, RNN
from rnnjax.interop import from_keras, from_torch, to_keras, to_torch

LAYER = RNN(LSTM(), HIDDEN)
PARAMS = random_params(LAYER)
numbers = itertools.count()
COMMON = {"deadline": None, "derandomize": True, "database": None}


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "lstm.safetensors"
    safetensors.numpy.save_file(to_torch(LAYER, PARAMS), path)
    return path, path.read_bytes()


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "lstm.weights.h5"
    with h5py.File(path, "w") as file:
        for i, array in enumerate(to_keras(LAYER, PARAMS)):
            file[f"layers/lstm/cell/vars/{i}"] = array
    return path, path.read_bytes()


def check(convert, path, content) -> None:
    """Reads the content; raises nothing but what the docstring says."""
    path.write_bytes(content)
    params = message = None
    try:
        params = convert(LAYER, path)
    except ValueError as error:
        message = str(error)
    if params is None:
        assert message
    else:
        assert jax.tree.map(lambda leaf: leaf.shape, params) == jax.tree.map(lambda leaf: leaf.shape, PARAMS)


@settings(max_examples=at_most(300), **COMMON)
@given(
    spots=edits(b'"F32"', b'"BF16"', b'"F8_E5M2"', b'"dtype":', b'"shape":[', b'"data_offsets":[0,4]', b"weight_ih_l0")
)
@example(spots=[Edit("overwrite", 0, b"\xff\xff\xff\xff\xff\xff\xff\x7f")])
def test_a_damaged_safetensors_file(spots, torch_file):
    path, content = torch_file
    check(from_torch, path, damage(content, spots))


@settings(max_examples=at_most(300), **COMMON)
@given(spots=edits(b"TREE", b"SNOD", b"HEAP", b"vars", b"\x89HDF"))
def test_a_damaged_hdf5_file(spots, keras_file):
    path, content = keras_file
    # A name of its own: HDF5 may remember a file that it failed to open.
    path = path.with_name(f"{next(numbers)}.weights.h5")
    check(from_keras, path, damage(content, spots))
    path.unlink()


def test_a_type_that_hdf5_does_not_have(keras_file):
    path, _ = keras_file
    path = path.with_name("text.weights.h5")
    with h5py.File(path, "w") as file:
        file["layers/lstm/cell/vars/0"] = "text"
    content = path.read_bytes()
    # Each byte in turn, the encoding of the text among them.
    for at in range(len(content)):
        if content[at]:
            check(from_keras, path.with_name(f"{at}.weights.h5"), damage(content, [Edit("flip", at, b"\x05")]))

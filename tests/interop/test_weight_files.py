"""Files that are not what they should be, some of them made by somebody with bad intent."""

import importlib
import sys

import h5py
import numpy as np
import pytest
import safetensors.numpy
from interop_cases import HIDDEN, assert_equal, random_params

import rnnjax
from rnnjax import LSTM, RNN
from rnnjax.interop import from_keras, from_torch, to_keras, to_torch

LAYER = RNN(LSTM(), HIDDEN)
PARAMS = random_params(LAYER)
VARS = "layers/lstm/cell/vars"


@pytest.fixture
def path(tmp_path):
    """A file as Keras writes it, of one LSTM."""
    path = tmp_path / "lstm.weights.h5"
    with h5py.File(path, "w") as file:
        for i, array in enumerate(to_keras(LAYER, PARAMS)):
            file[f"{VARS}/{i}"] = array
        file.create_group("layers/dropout/vars")
        file["optimizer/vars/0"] = np.int32(7)
    return path


def test_what_has_no_weights_does_no_harm(path):
    assert_equal(from_keras(LAYER, path), PARAMS)


@pytest.mark.parametrize("name", ["w.keras", "w.h5", "w.pkl", "w.safetensors", "weights.h5.pt", "w.weights.json"])
def test_another_suffix_than_weights_h5(name, tmp_path):
    with pytest.raises(ValueError, match=rf"path: expected a \.weights\.h5 file, got .*{name}: .* can run code"):
        from_keras(LAYER, tmp_path / name)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.pkl", "w.ckpt", "w.weights.h5", "w"])
def test_another_suffix_than_safetensors(name, tmp_path):
    with pytest.raises(ValueError, match=rf"path: expected a \.safetensors file, got .*{name}: .* can run code"):
        from_torch(LAYER, str(tmp_path / name))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_keras(LAYER, tmp_path / "none.weights.h5")
    with pytest.raises(FileNotFoundError):
        from_torch(LAYER, tmp_path / "none.safetensors")


@pytest.mark.parametrize("size", [0, 36, 500])
def test_a_broken_file(size, path, tmp_path):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"lstm\.weights\.h5: expected a complete HDF5 file: "):
        from_keras(LAYER, path)
    broken = tmp_path / "lstm.safetensors"
    safetensors.numpy.save_file(to_torch(LAYER, PARAMS), broken)
    broken.write_bytes(broken.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"lstm\.safetensors: expected a complete \.safetensors file: "):
        from_torch(LAYER, broken)


def test_arrays_need_no_other_library(monkeypatch):
    monkeypatch.setattr(rnnjax, "interop", sys.modules["rnnjax.interop"])
    for name in [name for name in sys.modules if name.startswith("rnnjax.interop")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("keras", "torch", "h5py", "safetensors"):
        monkeypatch.setitem(sys.modules, name, None)
    interop = importlib.import_module("rnnjax.interop")
    for library in ("keras", "torch", "flax"):
        weights = getattr(interop, f"to_{library}")(LAYER, PARAMS)
        assert_equal(getattr(interop, f"from_{library}")(LAYER, weights), PARAMS)


@pytest.mark.parametrize("library", ["h5py", "safetensors"])
def test_without_the_library(library, path, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    read, path = (from_keras, path) if library == "h5py" else (from_torch, tmp_path / "lstm.safetensors")
    with pytest.raises(
        ModuleNotFoundError, match=rf": expected {library}.*, not installed: pip install 'rnnjax\[interop\]'"
    ):
        read(LAYER, path)


def test_another_architecture_lists_the_groups(path):
    with h5py.File(path, "a") as file:
        file.move("layers/lstm", "layers/gru")
    with pytest.raises(
        ValueError,
        match=r"^expected 3 arrays, got 3: missing layers/lstm/cell/vars/0 \(kernel\), .*; unexpected layers/gru/cell",
    ):
        from_keras(LAYER, path)


def test_an_array_of_another_shape(path):
    with h5py.File(path, "a") as file:
        del file[f"{VARS}/1"]
        file[f"{VARS}/1"] = np.ones((4, 12), np.float32)
    with pytest.raises(
        ValueError,
        match=r"^layers/lstm/cell/vars/1 \(recurrent_kernel\): expected shape \(4, 16\), got \(4, 12\); LSTM has 4",
    ):
        from_keras(LAYER, path)


def external_link(file, other):
    file[f"{VARS}/2"] = h5py.ExternalLink(str(other), "secret")


def soft_link(file, other):
    file[f"{VARS}/2"] = h5py.SoftLink(f"/{VARS}/1")


def external_storage(file, other):
    file.create_dataset(f"{VARS}/2", (16,), "<f4", external=[(str(other), 0, 64)])


def virtual(file, other):
    layout = h5py.VirtualLayout((16,), "<f4")
    layout[:] = h5py.VirtualSource(str(other), "secret", (16,))
    file.create_virtual_dataset(f"{VARS}/2", layout)


def integers(file, other):
    file[f"{VARS}/2"] = np.ones(16, np.int32)


def text(file, other):
    file[f"{VARS}/2"] = ["weights"] * 16


def loop(file, other):
    file["layers/again"] = file["layers"]


def twice(file, other):
    file[f"{VARS}/2"] = file[f"{VARS}/1"]


def declared_only(file, other):
    file.create_dataset(f"{VARS}/2", (10**15,), "<f4")


def compressed(file, other):
    file.create_dataset(f"{VARS}/2", data=np.zeros(10**5, np.float32), compression="gzip")


def named_type(file, other):
    file[f"{VARS}/2"] = np.dtype("<f4")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (external_link, "vars/2: expected data in this file, got ExternalLink"),
        (soft_link, "vars/2: expected data in this file, got SoftLink"),
        (external_storage, "vars/2: expected data in this file, got an array stored outside of it"),
        (virtual, "vars/2: expected data in this file, got an array stored outside of it"),
        (integers, "vars/2: expected floating-point numbers, got int32"),
        (text, "vars/2: expected floating-point numbers, got object"),
        (loop, "layers/again: expected a separate entry, got a second name of another entry"),
        (twice, "vars/2: expected a separate entry, got a second name of another entry"),
        (declared_only, "vars/2: expected 4000000000000000 bytes, uncompressed as Keras writes them, got 0"),
        (compressed, "vars/2: expected 400000 bytes, uncompressed as Keras writes them, got "),
        (named_type, "vars/2: expected an array, got Datatype"),
    ],
)
def test_what_keras_does_not_write_is_not_read(spoil, message, path, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.ones(16, np.float32)
    with h5py.File(path, "a") as file:
        del file[f"{VARS}/2"]
        spoil(file, other)
    with pytest.raises(ValueError, match=message):
        from_keras(LAYER, path)


@pytest.mark.parametrize("name", ["folder.safetensors", "nowhere.safetensors", "folder.weights.h5"])
def test_a_path_that_is_no_file_is_named(name, tmp_path):
    for folder in ("folder.safetensors", "folder.weights.h5"):
        (tmp_path / folder).mkdir()
    convert = from_torch if name.endswith("safetensors") else from_keras
    with pytest.raises(FileNotFoundError, match=rf"path: expected a file, got .*{name}"):
        convert(RNN(LSTM(), 3), tmp_path / name)


def test_what_is_neither_weights_nor_a_path_is_an_error():
    with pytest.raises(TypeError, match=r"weights: expected the list of get_weights\(\) or a path, got NoneType"):
        from_keras(RNN(LSTM(), 3), None)  # pyright: ignore[reportArgumentType]

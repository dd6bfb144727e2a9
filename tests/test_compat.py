"""What `rnnjax/compat.py` takes for granted of other libraries, asked of the libraries themselves."""

import asyncio
import importlib.metadata
import inspect
import io
import os
import re
import struct
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import datasets
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tyro

from rnnjax import compat


def changed(library, what):
    """What a failing test says."""
    return f"{library} {importlib.metadata.version(library)} {what}: mend rnnjax/compat.py"


def raised(function):
    with pytest.raises(Exception) as error:  # noqa: PT011 (the words are what is asked for)
        function()
    return error.value


def test_jax_names_forward_mode():
    @jax.custom_vjp
    def own(x):
        return x

    own.defvjp(lambda x: (x, None), lambda _, gradient: (gradient,))
    error = raised(lambda: jax.jvp(own, (1.0,), (1.0,)))
    assert isinstance(error, TypeError)
    assert compat.is_forward_mode(error), changed("jax", f"refuses forward mode with other words: {error}")
    assert not compat.is_forward_mode(TypeError("expected a function"))


def test_xla_names_exhausted_memory():
    error = raised(lambda: jax.block_until_ready(jnp.zeros(2**55, jnp.int8)))
    assert compat.is_out_of_memory(error), changed("jax", f"has no memory in other words: {error!r}")
    assert compat.is_out_of_memory(MemoryError())
    assert not compat.is_out_of_memory(RuntimeError("INVALID_ARGUMENT: x"))


@pytest.mark.parametrize(
    "words",
    [
        "Gloo all-reduce failed: Connection closed by peer",
        "NCCL operation failed: remote process exited",
        "DEADLINE_EXCEEDED: Barrier timed out",
        "UNAVAILABLE: error reported from coordination service",
    ],
)
def test_a_lost_process(words):
    """One that is killed is in `test_distributed.py`."""
    assert compat.is_lost_process(RuntimeError(words))
    assert not compat.is_lost_process(FileNotFoundError(2, "No such file", "/data/Gloo.csv"))
    assert not compat.is_lost_process(RuntimeError("INVALID_ARGUMENT: shapes"))


def test_asyncio_names_a_closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    error = raised(lambda: loop.call_soon(print))
    assert compat.is_closed_loop(error), f"asyncio has other words: {error!r}: mend rnnjax/compat.py"
    assert not compat.is_closed_loop(RuntimeError("Event loop"))


def empty_csv(path):
    path.write_text("text,label\n")
    return datasets.Dataset.from_csv(str(path), cache_dir=str(path.parent / "cache"), chunksize=10)


def empty_parquet(path):
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    return datasets.Dataset.from_parquet(str(path), cache_dir=str(path.parent / "cache"))


@pytest.mark.parametrize("read", [empty_csv, empty_parquet])
def test_datasets_names_an_empty_file(read, tmp_path):
    error = raised(lambda: read(tmp_path / "data"))
    assert compat.is_empty_table(error), changed("datasets", f"has no rows in other words: {error!r}")
    assert not compat.is_empty_table(ValueError("a column is missing"))


def test_pandas_names_a_ragged_row(tmp_path):
    import pandas as pd

    file = io.StringIO("a,b\n1,2,3\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pd.read_csv(file, index_col=False)
    words = [str(warning.message) for warning in caught]
    assert any(word.startswith(compat.RAGGED_ROW) for word in words), changed("pandas", f"warns otherwise: {words}")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_beside_threads_has_the_words_that_are_left_out():
    """JAX's own warning, of which Ray's start would give one."""
    jnp.zeros(1).block_until_ready()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    words = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert any(re.match(compat.FORKED, word) for word in words), changed("jax", f"warns of a fork otherwise: {words}")


def options(number: int, *, flag: bool = False) -> None:
    """A function whose arguments are options."""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--number", "x"], "--number: "),
        (["--number", "1", "--nothing", "2"], "Unrecognized options: --nothing"),
        ([], "--number"),
    ],
)
def test_tyro_draws_a_box_of_one_message(arguments, words):
    box = io.StringIO()
    with redirect_stderr(box), pytest.raises(SystemExit):
        tyro.cli(options, prog="program", args=arguments)
    line = compat.words_of_box(box.getvalue())
    assert words in line, changed("tyro", f"draws another box:\n{box.getvalue()}")
    assert not set("│─╭╮╰╯\n") & set(line), changed("tyro", f"draws with other lines:\n{box.getvalue()}")
    assert "Error parsing" not in line, changed("tyro", f"names options otherwise:\n{box.getvalue()}")


def test_jax_still_has_its_experimental_parts():
    """What they do is in `test_distributed.py`, `test_sampling.py` and `test_ablations.py`."""
    from jax.experimental import io_callback, multihost_utils
    from jax.experimental.compilation_cache import compilation_cache

    for function, names in (
        (multihost_utils.process_allgather, ["in_tree", "tiled"]),
        (multihost_utils.broadcast_one_to_all, ["in_tree"]),
        (multihost_utils.reached_preemption_sync_point, ["step_id"]),
        (io_callback, ["callback", "result_shape_dtypes", "ordered"]),
        (compilation_cache.reset_cache, []),
    ):
        found = inspect.signature(function).parameters
        missing = [name for name in names if name not in found]
        assert not missing, changed("jax", f"{function.__name__} has no {missing}, but {list(found)}")


def test_one_process_alone_gathers_its_own():
    """Several are in `test_distributed.py`."""
    np.testing.assert_array_equal(compat.broadcast(np.arange(3)), np.arange(3))
    np.testing.assert_array_equal(compat.all_gather(np.arange(3), tiled=True), np.arange(3))


def test_calls_come_in_order():
    heard = []

    @jax.jit
    def loop(numbers):
        return jax.lax.map(
            lambda number: (compat.call_in_order(lambda x: heard.append(int(x)), number), number)[1], numbers
        )

    jax.block_until_ready(loop(jnp.arange(20)))
    jax.effects_barrier()
    assert heard == list(range(20))


def test_a_forgotten_cache_is_not_written_to(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    settings = {
        "jax_compilation_cache_dir": str(first),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for folder in (first, second):
            compat.forget_compilation_cache()
            settings["jax_compilation_cache_dir"] = str(folder)
            for name, value in settings.items():
                jax.config.update(name, value)
            jax.jit(lambda x, name=folder.name: x * len(name) + 17)(jnp.ones(3)).block_until_ready()
            assert any(folder.iterdir()), changed("jax", "writes compiled programs elsewhere after reset_cache")
            settings["jax_compilation_cache_dir"] = None
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compat.forget_compilation_cache()


def test_the_masked_checksum_by_hand():
    """CRC-32C of "123456789" is 0xe3069283 (RFC 3720); masked: rotated right by 15 bits, plus 0xa282ead8."""
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert compat.masked_checksum(b"123456789") == struct.pack("<I", masked), changed("tensorboardX", "has another sum")


def test_orbax_still_has_what_checkpoints_are_written_by(tmp_path):
    """Its first interface (v0), in `rnnjax/runs/arrays.py` alone; what is stored is in `test_checkpoints.py`."""
    import orbax.checkpoint as ocp

    words = changed("orbax-checkpoint", "has another interface").replace("compat.py", "runs/arrays.py")
    wanted = {
        ocp.PyTreeCheckpointHandler: ["multiprocessing_options"],
        ocp.Checkpointer: ["handler", "multiprocessing_options"],
        ocp.options.MultiprocessingOptions: ["primary_host", "active_processes"],
        ocp.args.PyTreeRestore: ["item", "restore_args"],
        ocp.RestoreArgs: ["restore_type"],
    }
    for made, names in wanted.items():
        parameters = inspect.signature(made).parameters
        assert set(names) <= set(parameters) or "kwargs" in parameters, f"{made.__name__}: {words}"
    tree = {"a": np.arange(6.0).reshape(2, 3)}
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        checkpointer.save(tmp_path / "arrays", args=ocp.args.PyTreeSave(tree))
        stored: Any = checkpointer.metadata(tmp_path / "arrays").item_metadata
    (leaf,) = jax.tree.leaves(getattr(stored, "tree", stored))
    assert tuple(leaf.storage.chunk_shape) == (2, 3), words


def test_no_other_file_uses_what_jax_does_not_promise():
    root = Path(__file__).parent.parent
    unpromised = re.compile(
        r"\bjax\.(experimental|_src|interpreters)|from jax import .*\b(experimental|_src|interpreters)\b"
    )
    sources = [path for part in ("rnnjax", "experiments", "benchmarks") for path in (root / part).rglob("*.py")]
    assert len(sources) > 100
    users = {path.relative_to(root).as_posix() for path in sources if unpromised.search(path.read_text())}
    assert users == {"rnnjax/compat.py"}

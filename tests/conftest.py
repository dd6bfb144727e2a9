"""What must hold before a test module is imported, and the measured errors after the last one ran."""

import ctypes
import fnmatch
import gc
import os
import sys

# Keras picks its backend when it is first imported.
os.environ["KERAS_BACKEND"] = "jax"
# Tolerances were measured on a CPU: a GPU multiplies float32 matrices with fewer bits unless told otherwise.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling is most of what the tests cost, and takes a third of the time with XLA's older code generator. What is
# compared
# with the oracles in float32 is compiled as users have it (`tables.run`).
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)

import compiling
import datasets
import datasets.config
import fuzz
import hypothesis
import jax
import jaxtyping
import pytest
import reference

# Only profiles of compiled programs read the source lines of operations, and looking them up slows tracing down.
jax.config.update("jax_traceback_in_locations_limit", 0)
# Tracing makes many small objects that stay: collecting garbage less often makes it faster.
gc.freeze()
gc.set_threshold(100_000, 20, 100)

# Two devices on one host are enough to test what is sharded; this must precede any use of a device.
jax.config.update("jax_num_cpu_devices", 2)

# A quick look at what is random; `--hypothesis-profile=ci` looks at all of it.
hypothesis.settings.register_profile("quick", max_examples=fuzz.QUICK, deadline=None, database=None)
hypothesis.settings.register_profile("ci", max_examples=fuzz.ALL, deadline=None, database=None)
hypothesis.settings.load_profile("quick")

# Annotated shapes and types are checked on every call, in tests only.
jaxtyping.install_import_hook(["rnnjax.cells", "rnnjax.recurrences"], "beartype.beartype")


LIMIT = pytest.StashKey[int]()


@pytest.fixture(scope="module")
def quick_compile():
    """For tests of what surrounds the compiled code: compiling is most of their time."""
    with compiling.quickly():
        yield


def let_go() -> None:
    """Of what was traced and compiled."""
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        # What is freed in small pieces the C library keeps for itself unless told otherwise.
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def memory_maps() -> int:
    try:
        with open("/proc/self/maps", "rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


# Two processes fit into 3 GB if each lets go at this size.
MUCH = 1_300_000_000
# Every program takes a few maps, and XLA ends a process that has none of its 65,530 left.
MANY_MAPS = 20_000


@pytest.fixture(autouse=True)
def little_memory(request):
    """What tests compiled is let go where a process grows, and not before: small programs are those of all files."""
    yield
    if resident() > request.config.stash.get(LIMIT, MUCH):
        let_go()
        # What is left is the imports' and the fixtures': it is looked at again where something came on top of it.
        request.config.stash[LIMIT] = max(MUCH, resident() + 150_000_000)


@pytest.fixture(scope="module", autouse=True)
def few_maps():
    yield
    if memory_maps() > MANY_MAPS:
        let_go()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(request, tmp_path_factory):
    """What one test has compiled no other one compiles again, in whichever process."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        folder = folder.parent  # that of all processes of this session
    settings = {
        "jax_compilation_cache_dir": str(folder / "compiled"),
        # Below that, reading it back takes as long.
        "jax_persistent_cache_min_compile_time_secs": 0.05,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            jax.config.update(name, value)
            patch.setenv(name.upper(), str(value))  # for the programs that tests start
        yield


@pytest.fixture(scope="session", autouse=True)
def datasets_cache(tmp_path_factory):
    """What `datasets` prepares stays out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield


@pytest.fixture
def without_annotation_checks(monkeypatch):
    """A user runs without annotation checks: the library's own messages must appear, not the checker's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(config, items):
    """`quick(*ids)`: cases of a test that are not slow; all its others are. An id may be a pattern of `fnmatch`."""
    whole = not any("[" in arg for arg in config.args)
    left: dict[str, set[str]] = {}  # ids that no case has, for each test
    for item in items:
        if marker := item.get_closest_marker("quick"):
            fitting = {quick for quick in marker.args if fnmatch.fnmatchcase(item.callspec.id, quick)}
            test = item.nodeid.partition("[")[0]
            left[test] = left.get(test, set(marker.args)) - fitting
            if not fitting:
                item.add_marker("slow")
    if wrong := [f"{test}: no case has an id {quick!r}" for test, ids in left.items() for quick in ids if whole]:
        raise pytest.UsageError("\n".join(wrong))


def pytest_sessionfinish(session):
    """A worker process sends its measured errors to the one that reports them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["errors"] = [
            [kind, tolerance, group, error]
            for (kind, tolerance), errors in reference.measured_errors.items()
            for group, error in errors.items()
        ]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for kind, tolerance, group, error in getattr(node, "workeroutput", {}).get("errors", ()):
        errors = reference.measured_errors[kind, tolerance]
        errors[group] = max(error, errors.get(group, 0.0))


def pytest_terminal_summary(terminalreporter):
    for (kind, tolerance), errors in sorted(reference.measured_errors.items()):
        largest = ", ".join(f"{group} {error:.1e}" for group, error in sorted(errors.items()))
        terminalreporter.write_line(f"{kind} error: {largest} (tolerance {tolerance:.0e})")

"""`check_cell` finds no fault in cells that have none, and names each fault of cells that have one."""

import re

import jax.numpy as jnp
import numpy as np
import own_cells
import pytest
from jax.core import Tracer
from tables import CELLS

from rnnjax.cells import GRU, HiddenState
from rnnjax.maps import BlockDiagonal, Conv
from rnnjax.recurrences import Chunked, Scan
from rnnjax.testing import check_cell

pytestmark = pytest.mark.usefixtures("without_annotation_checks")

# Compiling is what a check costs: each of these but the first leaves out what others have.
QUICK = {"recurrences": [Chunked(2, "boundaries")], "dtypes": ["bfloat16"], "transformations": False}
ONE_STEP = {"recurrences": [], "dtypes": [], "transformations": False}


def failures_of(cell, **options):
    """All that `check_cell` finds, a line each."""
    with pytest.raises(AssertionError) as found:
        check_cell(cell, **(ONE_STEP | options))
    head, *lines = str(found.value).splitlines()
    assert head == f"{type(cell).__name__}: {len(lines)} failure{'s' * (len(lines) > 1)}"
    return lines


@pytest.mark.slow
def test_a_cell_without_fault_passes_every_check():
    report = check_cell(CELLS["elman"])
    text = str(report)
    assert text.startswith("Elman: no fault found.\n")
    for words in (
        "hashable, can be pickled, and equal to its copy",
        "pure",
        "rows of the batch are not mixed",
        "elementwise",
        "single steps give the same as a whole run",
        "every parameter has an effect",
        "finite at inputs and states of zeros",
        "central differences",
        "Scan(), Scan(unroll=2), Unrolled(), Chunked(size=2, keep='gates'), Chunked(size=2, keep='boundaries')",
        "float32 agrees with float64",
        "bfloat16 agrees with float64",
        "float16 agrees with float64",
        "grad of lax.scan of vmap, shard_map",
    ):
        assert words in text
    assert 0 < report.errors["gradients in bfloat16"] < 0.03
    assert 0 < report.errors["differences"] < 1e-7
    assert not report.hints


@pytest.mark.slow
@pytest.mark.parametrize("name", ["irnn", "indrnn", "layer_norm_lstm"])
def test_cells_of_the_library_pass(name):
    assert not check_cell(CELLS[name], **QUICK).hints


OTHERS = [own_cells.Counting(), own_cells.Further(), own_cells.Associative()]


@pytest.mark.slow
@pytest.mark.parametrize("cell", OTHERS, ids=lambda cell: type(cell).__name__)
def test_states_of_other_dtypes_further_products_and_outputs_pass(cell):
    assert not check_cell(cell, **QUICK).hints


MAPS = {
    "conv": (GRU(input_map=Conv((3,)), recurrent_map=Conv((3,))), (3, 2), (3, 4)),
    "heads": (GRU(input_map=BlockDiagonal(2), recurrent_map=BlockDiagonal(2)), 4, 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_maps_whose_transpose_is_jaxs_pass_under_transformations_too(name):
    """Inside `jax.shard_map` the gradients of `Chunked` were once those of all devices together."""
    report = check_cell(*MAPS[name], **QUICK | {"dtypes": [], "transformations": True})
    assert "shard_map the gradients are the same as without them" in str(report)


def test_a_plain_cell_passes_and_is_refused_where_only_pointwise_ones_can_run():
    report = check_cell(own_cells.Plain(), dtypes=["float16"])
    refused = [line for line in report.checked if "raises a TypeError for a cell that is not a PointwiseCell" in line]
    assert [line.split(" raises")[0] for line in refused] == [
        "Chunked(size=2, keep='gates')",
        "Chunked(size=2, keep='boundaries')",
    ]


def test_a_cell_that_could_be_declared_elementwise_gets_a_hint():
    (hint,) = check_cell(own_cells.SecretlyElementwise(), **ONE_STEP).hints
    assert "elementwise: ClassVar[bool] = True" in hint


FAULTS = {
    "MixesRows": r"rows of the batch are mixed \(row 0 was changed, .*\): state\.hidden: expected \S+, got \S+ at",
    "ReadsBatchSize": r"step depends on the batch size \(1 row alone, .* among 6\): state\.hidden: expected",
    "Halves": r"update, float64: state\.hidden: expected float64 or wider, got float16",
    "GrowsState": r"step, float64: state\.hidden: expected shape \(6, 4\), as init_state gives, got \(6, 8\)",
    "ComplexState": r"update, float64: state\.hidden: expected float64, as init_state gives, got complex128",
    "NotElementwise": r"elementwise: declared True: .* got unit \(\d,\) of state\.hidden changes unit \(\d,\)",
    "Unhashable": r"hash: expected a hashable cell, got unhashable type: 'list': make the cell a frozen dataclass",
    "Unpicklable": r"pickle: expected a cell that can be pickled, got \w+Error",
    "Unused": r"params\.extras\.unused: expected an effect .* zero everywhere",
    "Counter": r"two calls of step and output .*: state\.hidden: expected .* must be pure: no counter",
    "WrongSize": r"size_of, float64: expected the hidden size \(4,\) of init_state, got \(5,\)",
    "HardCoded": r"update, 6 input and 8 hidden features: .* is a size hard-coded\?",
    "WrongGradient": r"central differences: gradient of params\.input\.kernel along .*: expected \S+, got \S+: error",
    "NaNGradient": r"at inputs and states of zeros: gradient of initial_state\.hidden: .* got nan \(24 of 24\)",
    "SameForEveryKey": r"init_params: expected different numbers for different keys, got the same in every array",
    "OneDtype": r"init_params, float64: params\.kernel: expected float64, got float32",
}
# Faults that show in several arrays or dtypes; of all others one line is all there is.
MANY = ("MixesRows", "ReadsBatchSize", "Counter", "WrongGradient", "NaNGradient", "OneDtype")


@pytest.mark.quick("NotElementwise", "MixesRows", "WrongGradient", "Counter")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name):
    lines = failures_of(getattr(own_cells, name)())
    assert [line for line in lines if re.search(FAULTS[name], line)], lines
    assert len(lines) == 1 or name in MANY, lines


def test_a_surrogate_gradient_may_be_left_out():
    assert "central differences" not in str(check_cell(own_cells.WrongGradient(), differences=False, **ONE_STEP))


def test_all_faults_are_told_and_not_only_the_first():
    lines = failures_of(own_cells.Several())
    for words in (
        "hash: ",
        "expected different numbers for different keys",
        "declared True",
        "depends on the batch size",
    ):
        assert any(words in line for line in lines), words


class Halved(Scan):
    """A recurrence with a fault: an output is not what the cell gives."""

    def run(self, cell, problem, reverse, all_states):
        taken, final = super().run(cell, problem, reverse, all_states)
        return taken._replace(outputs=taken.outputs / 2), final


def test_a_recurrence_with_a_fault_is_named_with_dtype_array_and_error():
    lines = failures_of(CELLS["elman"], recurrences=[Halved()], dtypes=["float32"])
    assert any("Halved(unroll=1), float64, against Scan(): outputs: expected" in line for line in lines)
    assert any("Halved(unroll=1), float32, against float64: gradient of params.input.bias" in line for line in lines)
    assert all("error" in line and "is above" in line for line in lines)


def test_what_a_cell_raises_is_told_with_where():
    lines = failures_of(own_cells.Raises())
    assert lines == ["- step, float64: expected no error, got RuntimeError: not for a narrow mind"]


def test_the_states_that_it_starts_from_are_no_zeros():
    seen = []

    class Watching(own_cells.Plain):
        def step(self, params, inputs, state):
            if not isinstance(state.hidden, Tracer):
                seen.append(np.asarray(state.hidden))
            return HiddenState(jnp.tanh(inputs @ params.kernel + state.hidden @ params.recurrent))

    lines = failures_of(Watching())
    assert len(lines) == 1
    assert "pickle: expected a cell that can be pickled" in lines[0]
    assert seen
    assert all(np.abs(state).min() > 1e-3 for state in seen)

"""PyTorch: `nn.LSTM`, `nn.GRU` and `nn.RNN`, eager, time-major.

Its idle OpenMP threads spin for a while, which slows the next peer. OMP_WAIT_POLICY=PASSIVE would prevent that, but
PyTorch would be slower than for its users: the gradients of an LSTM with (B, T, I, H) = (64, 50, 32, 100) then took
26 ms in place of 9.5. So the comparison waits for the threads before it times the next peer.
"""

import dataclasses
import importlib
from typing import Any

import jax

from benchmarks.peers.peer import Entrant, Problem, TaskName, gradient_answer
from benchmarks.work import LEARNING_RATE
from rnnjax import LSTM, LSTMP, RNN
from rnnjax.interop import from_torch, to_torch

# It is in no extra (see catalogue.py). As Any, types are checked without it.
torch: Any = importlib.import_module("torch")
MODULES = {"lstm": torch.nn.LSTM, "lstmp": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}


def build(problem: Problem, task: TaskName) -> Entrant:
    """The module on a thread for each core, or on the GPU if JAX uses one, with full float32 precision.

    Raises RuntimeError if JAX uses a device that PyTorch cannot use.
    """
    backend = jax.default_backend()
    if backend != "cpu" and not (backend == "gpu" and torch.cuda.is_available()):
        raise RuntimeError(f"expected PyTorch to see the {backend} that JAX computes on, got a CPU only")
    device = "cuda" if backend == "gpu" else "cpu"
    torch.set_num_threads(len(jax.devices("cpu")))
    torch.backends.cudnn.allow_tf32 = False

    # A cell with both of PyTorch's biases, for their separate gradients.
    cell: Any = problem.cell
    ours = RNN(dataclasses.replace(cell, second_bias=True), problem.shape.hidden)
    no_bias = 0 * problem.weights["input"]["bias"]
    weights = {**problem.weights, "recurrent": {"bias": no_bias, **problem.weights["recurrent"]}}
    options = {"proj_size": cell.projection} if isinstance(cell, LSTMP) else {}
    module = MODULES[problem.name](problem.shape.input, problem.shape.hidden, **options)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in to_torch(ours, {"cell": weights}).items()})
    module.to(device)
    inputs = torch.tensor(problem.inputs.swapaxes(0, 1), device=device).contiguous().requires_grad_(task == "train")
    target = torch.tensor(problem.target, device=device)
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)

    def last() -> Any:
        _, state = module(inputs)
        return (state[0] if isinstance(cell, LSTM) else state)[0]

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def infer() -> Any:
        with torch.inference_mode():
            output = last()
        wait()
        return output

    def train() -> None:
        optimizer.zero_grad()
        inputs.grad = None
        loss = 0.5 * ((last() - target) ** 2).sum() / problem.shape.batch
        loss.backward()
        optimizer.step()
        wait()

    if task == "inference":
        return Entrant(infer, {"last": infer().cpu().numpy()}, own_threads=True)
    train()
    assert inputs.grad is not None  # train() has just set it
    gradients = {name: parameter.grad.cpu() for name, parameter in module.named_parameters()}
    answer = gradient_answer(problem, from_torch(ours, gradients)["cell"], inputs.grad.cpu().numpy().swapaxes(0, 1))
    return Entrant(train, answer, own_threads=True)

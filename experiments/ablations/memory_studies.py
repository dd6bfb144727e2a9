"""Studies of memory tasks."""

import dataclasses

from experiments.ablations.study import Study, Variant
from experiments.memory.config import Memory

# Small enough that a hundred of them are an evening on two cores.
QUICK = Memory(hidden=32, batch=32, updates=2_000, block=100, evaluation=500, learning_rate=1e-2)
LENGTHS = (50, 100, 200, 400)


def cells_memory() -> Study:
    """Cells x sequence length."""
    # Ten of eight symbols need more room, more updates and a learning rate that falls.
    tasks = {
        "adding": dataclasses.replace(QUICK, task="adding"),
        "copy": dataclasses.replace(QUICK, task="copy", hidden=64, batch=16, updates=4_000, schedule="linear"),
    }
    cells: dict[str, tuple[str, dict]] = {
        "lstm": ("The base: gates and a cell state", {}),
        "gru": ("Fewer gates, no cell state", {}),
        "elman": ("No gates", {}),
        "irnn": ("No gates, but a start that remembers", {}),
        "mgu": ("One gate", {}),
        "indrnn": ("Each unit reads only itself", {}),
        "irnn-slow": ("A tenth of the learning rate", {"cell": "irnn", "learning_rate": 1e-3}),
        "indrnn-slow": ("A tenth of the learning rate", {"cell": "indrnn", "learning_rate": 1e-3}),
        "lstm-chrono": ("Gates that start for memories of 1 to T steps", {"cell": "lstm", "chrono": True}),
        "gru-chrono": ("The same start, no cell state", {"cell": "gru", "chrono": True}),
    }
    variants = [
        Variant(
            f"{task}-{time}-{name}",
            f"{words}: does it learn {task} at T={time}?",
            dataclasses.replace(base, **{"time": time, "cell": name} | changes),
            None if name == "lstm" else f"{task}-{time}-lstm",
        )
        for task, base in tasks.items()
        for time in LENGTHS
        for name, (words, changes) in cells.items()
    ]
    return Study("Which cell still learns, the longer the sequence?", "score", variants)


def lstm_gates() -> Study:
    """The variants of Greff et al. 2015."""
    base = dataclasses.replace(QUICK, task="adding", time=100, cell="peephole-lstm")
    words = {
        "nig": "What is the input gate worth?",
        "nfg": "What is the forget gate worth?",
        "nog": "What is the output gate worth?",
        "niaf": "Must what is written be squashed?",
        "noaf": "Must what is read be squashed?",
        "cifg": "Is one gate enough to write and to forget?",
        "np": "What are the peepholes worth?",
        "layer-norm-lstm": "Does it help to normalise what the gates read?",
    }
    variants = [
        Variant("peephole-lstm", "The base: the vanilla LSTM of Greff et al.", base),
        *(Variant(cell, words[cell], dataclasses.replace(base, cell=cell), "peephole-lstm") for cell in words),
    ]
    return Study("Which parts of an LSTM does it need?", "share within 0.08", variants, seeds=6)


def init_and_clip() -> Study:
    """How an LSTM and an Elman net start, and what clipping does."""
    lstm = dataclasses.replace(QUICK, task="adding", time=100, cell="lstm")
    elman = dataclasses.replace(lstm, cell="elman")
    changes: dict[str, tuple[Memory, str, dict]] = {
        "lstm-scale-0.5": (lstm, "Is a smaller recurrent kernel at the start enough?", {"recurrent_scale": 0.5}),
        "lstm-scale-1.5": (lstm, "Is a larger one too much?", {"recurrent_scale": 1.5}),
        "lstm-identity": (lstm, "Does an identity do as well as an orthogonal matrix?", {"recurrent_init": "identity"}),
        "lstm-forget-0": (lstm, "What is the forget bias of 1 worth?", {"forget_bias": 0.0}),
        "lstm-forget-2": (lstm, "Is more of it better?", {"forget_bias": 2.0}),
        "lstm-chrono": (lstm, "Or biases spread over the task's lengths?", {"chrono": True}),
        "lstm-no-clip": (lstm, "Does it need clipping?", {"clip": None}),
        "lstm-clip-0.1": (lstm, "Does hard clipping slow it down?", {"clip": 0.1}),
        "elman-scale-0.5": (elman, "Does a smaller recurrent kernel lose the memory?", {"recurrent_scale": 0.5}),
        "elman-scale-1.5": (elman, "Does a larger one explode?", {"recurrent_scale": 1.5}),
        "elman-identity": (elman, "Does an identity help tanh, too?", {"recurrent_init": "identity"}),
        "elman-no-clip": (elman, "Does it need clipping?", {"clip": None}),
    }
    variants = [
        Variant("lstm", "The base: orthogonal start, forget bias 1, clipped at 1.", lstm),
        Variant("elman", "The other base: no gates.", elman),
        *(
            Variant(name, question, dataclasses.replace(base, **change), base.cell)
            for name, (base, question, change) in changes.items()
        ),
    ]
    return Study("What do the start and clipping change?", "share within 0.08", variants, seeds=6)


def smoke() -> Study:
    """Shows that everything runs."""
    base = dataclasses.replace(QUICK, task="recall", time=5, hidden=8, batch=16, updates=60, block=20, evaluation=100)
    variants = [
        Variant("base", "The base.", base),
        Variant(
            "lower",
            "Does it learn less with a smaller learning rate?",
            dataclasses.replace(base, learning_rate=1e-4),
            "base",
        ),
        Variant(
            "diverged",
            "What does a run look like that diverges?",
            dataclasses.replace(base, learning_rate=1e38, clip=None),
            "base",
        ),
    ]
    return Study("Does everything run?", "accuracy", variants, seeds=2)


def recurrence() -> Study:
    """The same training run under every recurrence."""
    base = dataclasses.replace(QUICK, task="adding", time=50, cell="lstm", updates=500, block=50, stop=False)
    variants = [
        Variant("scan", "The base: lax.scan and plain differentiation.", dataclasses.replace(base, recurrence="scan")),
        Variant(
            "unrolled",
            "The same curve, with one part of the graph a step?",
            dataclasses.replace(base, recurrence="unrolled"),
            "scan",
        ),
        Variant(
            "chunked",
            "The same curve, with a backward pass of its own?",
            dataclasses.replace(base, recurrence="chunked"),
            "scan",
        ),
    ]
    question = "Is it the same training under every recurrence, and at what cost?"
    return Study(question, "share within 0.08", variants, seeds=6)

"""Studies of memory tasks."""

import dataclasses

from experiments.ablations.trials import MemoryTrainer
from experiments.memory.config import Memory
from rnnjax.ablations import Study, Variant

TRAINER, WITHIN = MemoryTrainer(), "share within 0.08"
# Small enough to train a hundred of them in some hours on two cores.
QUICK = Memory(hidden=32, batch_size=32, updates=2_000, block=100, evaluation=500, learning_rate=1e-2)
LENGTHS = (50, 100, 200, 400)


def cells_memory() -> Study:
    """Cells x sequence length."""
    # Copying ten of eight symbols needs more hidden units, more updates and a learning rate that decays.
    tasks = {
        "adding": dataclasses.replace(QUICK, task="adding"),
        "copy": dataclasses.replace(QUICK, task="copy", hidden=64, batch_size=16, updates=4_000, schedule="linear"),
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
    return Study("Which cell still learns as the sequence gets longer?", "score", TRAINER, variants)


def lstm_gates() -> Study:
    """The variants of Greff et al. 2015."""
    config = dataclasses.replace(QUICK, task="adding", time=100, cell="peephole-lstm")
    base = Variant("peephole-lstm", "The base: the vanilla LSTM of Greff et al.", config)
    words = {
        "nig": "What is the input gate worth?",
        "nfg": "What is the forget gate worth?",
        "nog": "What is the output gate worth?",
        "niaf": "Is the input activation needed?",
        "noaf": "Is the output activation needed?",
        "cifg": "Is one gate enough to write and to forget?",
        "np": "What are the peepholes worth?",
        "layer-norm-lstm": "Does layer normalisation of both products help?",
    }
    variants = [base, *(base.changed(cell, question, cell=cell) for cell, question in words.items())]
    return Study("Which parts of an LSTM are needed?", WITHIN, TRAINER, variants, seeds=6)


def init_and_clip() -> Study:
    """Initialisation and gradient clipping of an LSTM and an Elman network."""
    config = dataclasses.replace(QUICK, task="adding", time=100, cell="lstm")
    lstm = Variant("lstm", "The base: orthogonal start, forget bias 1, clipped at 1.", config)
    elman = Variant("elman", "The other base: no gates.", dataclasses.replace(config, cell="elman"))
    variants = [
        lstm,
        elman,
        lstm.changed("lstm-scale-0.5", "Is a smaller recurrent kernel at the start enough?", recurrent_scale=0.5),
        lstm.changed("lstm-scale-1.5", "Is a larger one too much?", recurrent_scale=1.5),
        lstm.changed("lstm-identity", "Is an identity as good as an orthogonal matrix?", recurrent_init="identity"),
        lstm.changed("lstm-forget-0", "What is the forget bias of 1 worth?", forget_bias=0.0),
        lstm.changed("lstm-forget-2", "Is a larger one better?", forget_bias=2.0),
        lstm.changed("lstm-chrono", "Or biases spread over the lengths of the task?", chrono=True),
        lstm.changed("lstm-no-clip", "Does it need clipping?", clip=None),
        lstm.changed("lstm-clip-0.1", "Does hard clipping slow it down?", clip=0.1),
        elman.changed("elman-scale-0.5", "Does a smaller recurrent kernel lose the memory?", recurrent_scale=0.5),
        elman.changed("elman-scale-1.5", "Does a larger one explode?", recurrent_scale=1.5),
        elman.changed("elman-identity", "Does an identity help tanh, too?", recurrent_init="identity"),
        elman.changed("elman-no-clip", "Does it need clipping?", clip=None),
    ]
    return Study("What do initialisation and gradient clipping change?", WITHIN, TRAINER, variants, seeds=6)


def smoke() -> Study:
    """A test that everything runs."""
    config = dataclasses.replace(
        QUICK, task="recall", time=5, hidden=8, batch_size=16, updates=60, block=20, evaluation=100
    )
    base = Variant("base", "The base.", config)
    variants = [
        base,
        base.changed("lower", "Does it learn less with a smaller learning rate?", learning_rate=1e-4),
        base.changed("diverged", "What does a run that diverges look like?", learning_rate=1e38, clip=None),
    ]
    return Study("Does everything run?", "accuracy", TRAINER, variants, seeds=2)


def recurrence() -> Study:
    """The same training run under every recurrence."""
    adding = {"task": "adding", "time": 50, "cell": "lstm", "updates": 500, "block": 50, "stop": False}
    config = dataclasses.replace(QUICK, **adding, recurrence="scan")
    scan = Variant("scan", "The base: lax.scan and plain differentiation.", config)
    variants = [
        scan,
        scan.changed("unrolled", "The same curve, with a Python loop over the steps?", recurrence="unrolled"),
        scan.changed("chunked", "The same curve, with a backward pass of its own?", recurrence="chunked"),
    ]
    question = "Is training the same under every recurrence, and what does each cost?"
    return Study(question, WITHIN, TRAINER, variants, seeds=6)

"""What a study of labelled texts can be told, and the network that follows from it."""

import dataclasses
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rnnjax import RNN, Bidirectional, Chunked, Scan, SequenceClassifier, StackedRNN, Unrolled
from rnnjax.cells.names import known_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data.sequences import Order
from rnnjax.fields import check_fields
from rnnjax.models import logits_of as logits_of
from rnnjax.runs.execution import Execution
from rnnjax.training import Optimizer, TrainState
from rnnjax.training.capacity import check_capacity, check_layers, tree_bytes

RECURRENCES = {"scan": Scan(), "unrolled": Unrolled(), "chunked": Chunked()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassification(Optimizer):
    """Train a text classifier."""

    source: str = "reviews"
    """ "reviews" (installed package), "imdb" (hub), a CSV, TSV, JSON, JSON Lines or Parquet file, a .txt file of
    lines text<TAB>label, or a folder of train.*, validation.*, test.*."""
    text_column: str = "text"
    """Column of the texts, in files."""
    label_column: str = "label"
    """Column of the labels, in files: integers from 0 or names."""
    hold_out: float = 0.1
    """Share held out for validation, where the source has no validation part."""
    rows: int | None = None
    """Take only this many training rows, drawn at random."""
    vocabulary: int = 20_000
    """Words known, padding and the unknown word included."""
    longest: int = 400
    """Words read of each text."""
    cut: Literal["start", "end"] = "start"
    """Which end of a longer text is cut off."""
    pad: Literal["start", "end"] = "end"
    """Which end of a shorter text is padded; padding at the start is read like words."""
    word_order: Order = "true"
    """In which order the words that are read follow one another."""
    embedding: int = 64
    """Features of a word."""
    cell: CellOption = "lstm"
    """What happens at one step: a cell of the library, or your own. irnn has ReLU and an identity start; nig to np are
    a peephole-lstm without one part."""
    hidden: int = 64
    """Hidden features of each layer and direction."""
    layers: int = 1
    """Recurrent layers, one on the other; with 0 of them a text is the bag of its words."""
    bidirectional: bool = True
    """Run each layer in both directions."""
    pooling: Literal["last", "mean", "max"] = "max"
    """How the steps' outputs become one vector."""
    dense: tuple[int, ...] = ()
    """Sizes of dense layers with ReLU between the pooling and the head."""
    class_weights: tuple[float, ...] = ()
    """Weight of each class in the training loss, in the order of the classes; 1 each, unless given."""
    balanced: bool = False
    """Weight each class by rows / (classes * rows of the class) instead."""
    word_dropout: float = 0.0
    """Share of words dropped."""
    input_dropout: float = 0.0
    """Share of embedding features dropped, the same ones at every step of a text."""
    dropout: float = 0.0
    """Share of pooled features dropped."""
    state_dropout: float = 0.0
    """Share of hidden features dropped where a layer reads its own state, the same ones at every step of a text."""
    weight_dropout: float = 0.0
    """Share of recurrent weights dropped, the same ones for all texts of a batch."""
    zoneout: float = 0.0
    """Share of state units that keep their value from one step to the next."""
    recurrence: Literal["scan", "unrolled", "chunked"] = "chunked"
    """How steps are run over time."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What is computed in; parameters are float32."""
    epochs: int = 3
    """Times that the training part is read."""
    patience: int | None = None
    """Stop after so many epochs without a better validation accuracy."""
    batch_size: int = 64
    """Texts a step."""
    buckets: int = 5
    """Batch widths; each is compiled once for training and once for evaluation."""
    seed: int = 0
    """Seeds the hold-out, the parameters, the order of batches and dropout."""
    data_seed: int | None = None
    """Seeds the hold-out, and which batch width comes when, in place of `seed`: for seeds that are to be compared."""
    execution: Execution = dataclasses.field(default_factory=Execution)
    """How the run is carried out."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=(
                *("rows", "longest", "embedding", "hidden", "dense", "epochs", "batch_size", "buckets"),
                "patience",
            ),
            shares=(
                "word_dropout",
                "input_dropout",
                "dropout",
                "state_dropout",
                "weight_dropout",
                "zoneout",
            ),
        )
        known_cell(self.cell)
        if self.balanced and self.class_weights:
            raise ValueError("class_weights: expected none with balanced, got some")
        if self.layers < 0:
            raise ValueError(f"layers: expected at least 0, got {self.layers}")
        if not self.layers and self.pooling == "last":
            raise ValueError("pooling: expected max or mean of a bag of words, which has no last step, got last")
        if not 0 < self.hold_out < 1:
            raise ValueError(f"hold_out: expected a share between 0 and 1, got {self.hold_out}")
        if not 0 <= self.seed_of_data < 2**32:
            raise ValueError(f"data_seed: expected 0 to {2**32 - 1}, got {self.data_seed}")

    @property
    def seed_of_data(self) -> int:
        """Seeds the hold-out."""
        return self.seed if self.data_seed is None else self.data_seed


def build_model(config: TextClassification, vocabulary: int, classes: int) -> SequenceClassifier:
    """The network of a config."""
    dtype = jnp.dtype(config.dtype)

    def layer() -> RNN:
        return RNN(
            known_cell(config.cell),
            config.hidden,
            RECURRENCES[config.recurrence],
            dtype=dtype,
            state_dropout=config.state_dropout,
            weight_dropout=config.weight_dropout,
            zoneout=config.zoneout,
        )

    check_layers(config.layers, config.hidden)
    layers = [Bidirectional(layer(), layer()) if config.bidirectional else layer() for _ in range(config.layers)]
    return SequenceClassifier(
        vocabulary_size=vocabulary,
        embedding_size=config.embedding,
        recurrent=None if not layers else layers[0] if len(layers) == 1 else StackedRNN(layers),
        logits=1 if classes == 2 else classes,
        pooling=config.pooling,
        dense=config.dense,
        word_dropout=config.word_dropout,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
        dtype=dtype,
    )


def first_state(
    model: nn.Module, optimizer: optax.GradientTransformation, seed: int, averaged: bool = False
) -> TrainState:
    """The state before the first step. Raises as `init_params`."""
    init_key, state_key = jax.random.split(jax.random.key(seed))
    return TrainState.create(init_params(model, init_key), optimizer, state_key, averaged=averaged)


def init_params(model: nn.Module, key: jax.Array) -> Any:
    """The model's first parameters. Raises as `param_shapes`, before there are any."""
    param_shapes(model)
    return _init(model, key)


def param_shapes(model: nn.Module) -> Any:
    """The shapes of the model's parameters. Raises ValueError where they exceed this machine's memory."""
    shapes = jax.eval_shape(lambda: _init(model, jax.random.key(0)))
    check_capacity("parameters", tree_bytes(shapes))
    return shapes


def _init(model: nn.Module, key: jax.Array) -> Any:
    return model.init(key, jnp.zeros((1, 1), jnp.int32))["params"]

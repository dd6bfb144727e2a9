"""The config of a text classifier, and its network."""

import dataclasses
from typing import TYPE_CHECKING, Literal

import tyro

from rnnjax.cell_names import RecurrenceName, check_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data import TextFormat
from rnnjax.data.sequences import Order
from rnnjax.data.splitting import Kind
from rnnjax.fields import check_fields
from rnnjax.runs import RunConfig, RunPlace

if TYPE_CHECKING:
    import flax.linen as nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassification(RunConfig, TextFormat):
    """Train a text classifier."""

    source: str = "reviews"
    """The data: "reviews" (an installed package), "imdb" or hf://OWNER/NAME/CONFIGURATION:SPLIT (from the hub), a CSV,
    TSV, JSON, JSON Lines, Parquet or Arrow file, also in .gz, .bz2, .xz, .zst or .zip, a .txt file with lines
    text<TAB>label, a folder with train.*, validation.*, test.*, or one that `save_to_disk` of datasets wrote."""
    text_column: str = "text"
    """Name of the column with the texts."""
    label_column: str = "label"
    """Name of the column with the labels: names or numbers, compared by value."""
    hold_out: float = 0.1
    """Fraction of the training rows held out for validation, if the source has no validation part."""
    min_class_rows: int = 0
    """Leave out the classes with fewer training rows than this."""
    rows: int | None = None
    """Number of training rows to use, drawn at random; default: all."""
    tokens: Kind = "words"
    """Tokens: words (each emoji, and each letter of Chinese, Japanese, Thai, Lao, Khmer and Burmese, is one), or
    sub-words of bytes learnt from the training texts (bpe), of which none is unknown."""
    lowercase: bool = True
    """Lower-case the texts."""
    vocabulary: int = 20_000
    """Vocabulary size, including padding and the unknown word."""
    longest: int = 400
    """Maximum number of words of a text."""
    cut: Literal["start", "end"] = "start"
    """Where longer texts are truncated."""
    pad: Literal["start", "end"] = "end"
    """Where shorter texts are padded. The network reads padding at the start like words, and skips it at the end."""
    word_order: Order = "true"
    """Order of the words of a text."""
    ngrams: int = 0
    """Longest n-gram, in words, of a linear model whose log-odds the network corrects. Beside the embedding of a word,
    the network reads what the n-grams that end at it add to these log-odds; 0: no linear model."""
    ngram_texts: int = 3
    """Number of training texts that an n-gram must be in."""
    baseline: bool = False
    """Also fit the baseline, a logistic regression on word n-grams (about a minute for 25,000 reviews)."""
    embedding: int = 64
    """Embedding size."""
    cell: CellOption = "lstm"
    """Recurrent cell: a name from the library, or your own as module:Name. irnn has ReLU and an identity
    initialization; nig to np are peephole-lstm without one part."""
    hidden: int = 64
    """Hidden units of each layer and direction."""
    layers: int = 1
    """Number of recurrent layers; 0: a bag of words."""
    bidirectional: bool = True
    """Use bidirectional layers."""
    pooling: Literal["last", "mean", "max", "mean-max"] = "max"
    """Pooling of the outputs over time."""
    dense: tuple[int, ...] = ()
    """Sizes of dense layers with ReLU between the pooling and the head."""
    class_weights: tuple[float, ...] = ()
    """Weight of each class in the training loss, in the order of the classes; default: 1 each."""
    balanced: bool = False
    """Set the class weights to rows / (classes * rows of the class)."""
    word_dropout: float = 0.0
    """Dropout rate of whole words."""
    input_dropout: float = 0.0
    """Dropout rate of the embeddings, with the same mask at every step of a text."""
    dropout: float = 0.0
    """Dropout rate of the pooled features."""
    state_dropout: float = 0.0
    """Dropout rate of the recurrent inputs, with the same mask at every step of a text."""
    weight_dropout: float = 0.0
    """Dropout rate of the recurrent weights, with the same mask for all texts of a batch."""
    zoneout: float = 0.0
    """Zoneout rate: the probability that a state unit keeps its previous value."""
    recurrence: RecurrenceName = "chunked"
    """Implementation of the loop over time; the results are the same. associative: linear cells only."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Dtype of the computation; the parameters are float32."""
    buckets: int = 5
    """Number of bucket widths for batches; each is compiled once for training and once for evaluation."""
    data_seed: int | None = None
    """Seed of the hold-out and of the order of bucket widths, to compare seeds on the same data; default: the seed."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=("rows", "longest", "ngram_texts", "embedding", "hidden", "dense", "buckets"),
            shares=("word_dropout", "input_dropout", "dropout", "state_dropout", "weight_dropout", "zoneout"),
        )
        self.check()
        check_cell(self.cell, self.recurrence)
        if self.min_class_rows < 0:
            raise ValueError(f"min_class_rows: expected at least 0, got {self.min_class_rows}")
        if self.balanced and self.class_weights:
            raise ValueError("class_weights: expected none with balanced, got some")
        if self.ngrams < 0:
            raise ValueError(f"ngrams: expected at least 0, got {self.ngrams}")
        if self.ngrams and self.pad == "start":
            raise ValueError("pad: expected end with ngrams, got start")
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
        """The seed of the hold-out."""
        return self.seed if self.data_seed is None else self.data_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Average several runs: the log-probabilities of their classes, with weights chosen on their common hold-out.

    The result is a run folder for predict and evaluate. It names the run folders, which must stay where they are.
    """

    runs: tyro.conf.Positional[tuple[str, ...]]
    """The run folders. All must have the same hold-out: train them with the same --data-seed."""
    baseline: bool = False
    """Also include the baseline, a logistic regression on word n-grams."""
    equal: bool = False
    """Give all members the same weight."""
    cell: str | None = None
    """The cell of the runs, if it is your own, as module:Name."""
    execution: RunPlace = dataclasses.field(default_factory=RunPlace)
    """Run folder, and devices."""

    def __post_init__(self):
        check_fields(self)
        if len(self.runs) + self.baseline < 2 or not self.runs:
            raise ValueError(f"runs: expected at least two, or one and the baseline, got {len(self.runs)}")


def build_model(config: TextClassification, vocabulary: int, classes: int) -> "nn.Module":
    """The network of a config."""
    # Not at the top: `--help` reads the options without JAX.
    import jax.numpy as jnp

    from experiments.sentiment.evidence import Corrected, kinds_of
    from rnnjax import RNN, Bidirectional, RecurrentBlock, SequenceClassifier, StackedRNN
    from rnnjax.cells.names import known_cell
    from rnnjax.layers import layer_of
    from rnnjax.recurrences.names import RECURRENCES
    from rnnjax.training.capacity import check_layers

    dtype = jnp.dtype(config.dtype)

    def layer() -> RNN | RecurrentBlock:
        return layer_of(
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
    kinds = kinds_of(classes)
    network = SequenceClassifier(
        vocabulary_size=vocabulary,
        embedding_size=config.embedding,
        recurrent=None if not layers else layers[0] if len(layers) == 1 else StackedRNN(layers),
        logits=kinds,
        pooling=config.pooling,
        dense=config.dense,
        word_dropout=config.word_dropout,
        input_dropout=config.input_dropout,
        dropout=config.dropout,
        features=config.ngrams * kinds,
        dtype=dtype,
    )
    return Corrected(network) if config.ngrams else network

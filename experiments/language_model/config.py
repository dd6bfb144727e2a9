"""The config of a language model, and its network."""

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

from rnnjax.cell_names import check_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data import TextFormat
from rnnjax.data.tokens import Level
from rnnjax.fields import check_fields
from rnnjax.runs import RunConfig
from rnnjax.training.optimizers import Schedule

if TYPE_CHECKING:
    from rnnjax import LanguageModel

Documents = Literal["none", "line", "blank-line"]
PYTHON = "python"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Language(RunConfig, TextFormat):
    """Train a language model."""

    source: str | None = None
    """The data: a text file (UTF-8, perhaps gzipped; its end is held out), a folder with *train.txt, *valid.txt and
    *test.txt (or .tokens, .raw) such as the Penn Treebank, a source of the sentiment study ("reviews", "imdb", a CSV,
    TSV, JSON, JSON Lines or Parquet file, or a folder of those), where each text is a document, or "python", the help
    texts of Python."""
    text_column: str = "text"
    """Name of the column with the texts."""
    level: Level = "word"
    """Tokens: words, split at white space, with <eos> at the end of each line; sub-words of bytes, learnt from the
    training text; or characters."""
    plain: bool = False
    """Use lower-case words without punctuation and line ends."""
    documents: Documents = "none"
    """Where a new document begins, at which the state is reset: nowhere, at each line, or after blank lines."""
    vocabulary: int = 10_000
    """Vocabulary size: the most frequent tokens are kept, all others become <unk>; of sub-words, at least 256."""
    hold_out: float = 0.1
    """Fraction of a text held out for validation, and the same for the test part, if the source has no such parts."""
    limit: int | None = None
    """Use only the first tokens (of sub-words: characters) of the training text, up to this number; applied before
    anything is held out."""
    cell: CellOption = "lstm"
    """Recurrent cell: a name from the library, or your own as module:Name. irnn has ReLU and an identity
    initialization; nig to np are peephole-lstm without one part."""
    embedding: int = 200
    """Embedding size."""
    hidden: int = 200
    """Hidden units of each layer."""
    layers: int = 2
    """Number of recurrent layers."""
    tied: bool = True
    """Tie the weights of the head to the embedding."""
    dropout: float = 0.0
    """Dropout rate before, between and after the layers, with the same mask at every step of a window."""
    input_dropout: float | None = None
    """Dropout rate before the first layer, as above. Default: that of dropout."""
    embedding_dropout: float = 0.0
    """Dropout rate of whole words, each wherever it occurs in a batch."""
    state_dropout: float = 0.0
    """Dropout rate of the recurrent inputs, with the same mask at every step of a window."""
    weight_dropout: float = 0.0
    """Dropout rate of the recurrent weights, with the same mask for a whole window."""
    zoneout: float = 0.0
    """Zoneout rate: the probability that a state unit keeps its previous value."""
    activation_penalty: float = 0.0
    """Weight of the mean square of the last layer's outputs in the training loss."""
    temporal_penalty: float = 0.0
    """Weight of the mean squared change of the last layer's outputs from step to step in the training loss."""
    softmax_samples: int | None = None
    """Number of words in the softmax of a training step on each device: half are the most frequent words, the others
    the targets and words drawn from the rest. Default: the whole vocabulary, which scores always use."""
    steps: int = 20
    """Window length in tokens: gradients are truncated there; the state is carried into the next window."""
    batch_size: int = 20
    """Number of pieces of the text that are read in parallel."""
    learning_rate: float = 2e-3
    """Initial learning rate."""
    schedule: Schedule = "linear"
    """Learning rate schedule: linear and cosine fall to 0 at the last update, step falls after each epoch."""
    constant_epochs: int = 4
    """Epochs before the learning rate falls, with the schedule step."""
    clip: float | None = 1.0
    """Maximum global norm of the gradient."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=("limit", "embedding", "hidden", "layers", "steps", "softmax_samples"),
            shares=("dropout", "input_dropout", "embedding_dropout", "state_dropout", "weight_dropout", "zoneout"),
            above_zero=("hold_out",),
        )
        self.check()
        check_cell(self.cell)
        for name in ("activation_penalty", "temporal_penalty"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a number of at least 0, got {getattr(self, name)}")
        if self.hold_out >= 0.5:
            raise ValueError(f"hold_out: expected less than half, got {self.hold_out}")
        if self.plain and (self.level, self.documents) != ("word", "none"):
            raise ValueError(f"plain: expected level word and documents none, got {self.level}, {self.documents}")

    def network(self, vocabulary: int) -> "LanguageModel":
        """The network for a vocabulary of this size. Raises ValueError for dropout that the cell does not support."""
        # Not at the top: `--help` reads the options without JAX.
        from rnnjax import LanguageModel, StackedRNN
        from rnnjax.cells.names import known_cell
        from rnnjax.layers import layer_of
        from rnnjax.training.capacity import check_layers

        check_layers(self.layers, self.hidden)
        layers = [
            layer_of(
                known_cell(self.cell),
                self.hidden,
                # The model itself applies dropout to the input of the first layer and to the output of the last.
                output_dropout=self.dropout if layer + 1 < self.layers else 0.0,
                state_dropout=self.state_dropout,
                weight_dropout=self.weight_dropout,
                zoneout=self.zoneout,
            )
            for layer in range(self.layers)
        ]
        return LanguageModel(
            vocabulary,
            self.embedding,
            StackedRNN(layers),
            dropout=self.dropout,
            tied=self.tied,
            input_dropout=self.dropout if self.input_dropout is None else self.input_dropout,
            embedding_dropout=self.embedding_dropout,
        )

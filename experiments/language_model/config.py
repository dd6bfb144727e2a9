"""What a language model's training can be told, and the network and optimizer that follow from it."""

import dataclasses
from typing import Literal

from rnnjax import RNN, LanguageModel, StackedRNN
from rnnjax.cells.names import known_cell
from rnnjax.commands.cells import CellOption
from rnnjax.data.tokens import Level
from rnnjax.fields import check_fields
from rnnjax.runs import RunConfig
from rnnjax.training.capacity import check_layers
from rnnjax.training.optimizers import Schedule

Documents = Literal["none", "line", "blank-line"]
PYTHON = "python"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Language(RunConfig):
    """Train a language model."""

    source: str | None = None
    """A text file (UTF-8; its end is validation and test), a folder of *train.txt, *valid.txt and *test.txt such as the
    Penn Treebank's, texts as the sentiment study takes them ("reviews", "imdb", a CSV, TSV, JSON,
    JSON Lines or Parquet file, a folder of those), each of them a document, or "python", the help that Python has."""
    text_column: str = "text"
    """Column of the texts, in files that have columns."""
    level: Level = "word"
    """What is read and predicted: words, split at white space, with <eos> at each line's end; or characters."""
    documents: Documents = "none"
    """Where a document begins, which is read without what was before it: nowhere, at each line, after blank lines."""
    vocabulary: int = 10_000
    """Tokens known, the most frequent ones; where there are more, the others are <unk>."""
    hold_out: float = 0.1
    """Share of a text without a validation part that is one, and as much after it the test part."""
    limit: int | None = None
    """Take only so many tokens of the training part, the first ones, before anything is held out."""
    cell: CellOption = "lstm"
    """What happens at one step: a cell of the library, or your own. irnn has ReLU and an identity start; nig to np are
    a peephole-lstm without one part."""
    embedding: int = 200
    """Features of a token."""
    hidden: int = 200
    """Hidden features of each layer."""
    layers: int = 2
    """Recurrent layers, one on the other."""
    tied: bool = True
    """The head's kernel is the embedding."""
    dropout: float = 0.0
    """Share of features dropped before, between and behind the layers, the same ones at every step of a window."""
    state_dropout: float = 0.0
    """Share of hidden features dropped where a layer reads its own state, the same ones at every step of a window."""
    weight_dropout: float = 0.0
    """Share of recurrent weights dropped, the same ones for a whole window."""
    zoneout: float = 0.0
    """Share of state units that keep their value from one step to the next."""
    steps: int = 20
    """Tokens of a window, through which gradients go back; the state goes on from window to window."""
    batch_size: int = 20
    """Pieces of the text that are read side by side."""
    learning_rate: float = 2e-3
    """Step size at first."""
    schedule: Schedule = "linear"
    """How the learning rate falls: linear and cosine down to 0 at the last update, step from epoch to epoch."""
    constant_epochs: int = 4
    """Epochs before the learning rate of the schedule step falls."""
    clip: float | None = 1.0
    """Largest global norm of the gradient."""
    seed: int = 0
    """Seeds the parameters, dropout, and which documents of a source without held-out parts are held out."""

    def __post_init__(self):
        super().__post_init__()
        check_fields(
            self,
            at_least_one=(*("limit", "embedding", "hidden", "layers", "steps"),),
            shares=("dropout", "state_dropout", "weight_dropout", "zoneout"),
            above_zero=("hold_out",),
        )
        known_cell(self.cell)
        if self.hold_out >= 0.5:
            raise ValueError(f"hold_out: expected less than half, got {self.hold_out}")

    def network(self, vocabulary: int) -> LanguageModel:
        """The network for so many tokens. Raises as its cell does where that has no such dropout."""
        check_layers(self.layers, self.hidden)
        layers = [
            RNN(
                known_cell(self.cell),
                self.hidden,
                # What comes out of the last layer is dropped by the model, as is what comes into the first one.
                output_dropout=self.dropout if layer + 1 < self.layers else 0.0,
                state_dropout=self.state_dropout,
                weight_dropout=self.weight_dropout,
                zoneout=self.zoneout,
            )
            for layer in range(self.layers)
        ]
        return LanguageModel(vocabulary, self.embedding, StackedRNN(layers), dropout=self.dropout, tied=self.tied)

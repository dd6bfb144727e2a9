"""Studies of language models. The score is the perplexity of the validation part."""

from experiments.ablations.language_trials import LanguageTrainer
from experiments.language_model.config import Language
from rnnjax.ablations import Study, Variant

# Few tokens, so that a network that is not regularised overfits within minutes on two cores.
SMALL = Language(
    source="reviews",
    limit=200_000,
    embedding=128,
    hidden=128,
    epochs=8,
    learning_rate=4e-3,
    schedule="cosine",
    steps=32,
    batch_size=32,
    input_dropout=0.0,
)


def lm_regularisation() -> Study:
    """The regularisers of a language model, one at a time without dropout, and added to dropout."""
    none = Variant("none", "The base: two layers of LSTM-128, tied, no regularisation.", SMALL)
    base = none.changed("dropout", "What is dropout between and after the layers worth?", dropout=0.4)
    variants = [
        none,
        base,
        none.changed("averaging-alone", "Or only an average of the parameters along the way?", averaging=0.998),
        base.changed("less-dropout", "Is less dropout enough?", dropout=0.2),
        base.changed("more-dropout", "Is more dropout better?", dropout=0.6),
        base.changed("input-dropout", "What does dropout of the inputs add?", input_dropout=0.3),
        base.changed("embedding-dropout", "Or that of whole words?", embedding_dropout=0.1),
        base.changed("weight-dropout", "Or that of recurrent weights?", weight_dropout=0.3),
        base.changed("state-dropout", "Or that of the state?", state_dropout=0.2),
        base.changed("zoneout", "Or zoneout?", zoneout=0.1),
        base.changed("averaging", "Or an average of the parameters along the way?", averaging=0.998),
        base.changed("averaging-late", "And one that begins when validation stops?", averaging=1.0, average_after=1),
        base.changed("activation", "Or a penalty of large activations?", activation_penalty=0.02),
        base.changed("temporal", "Or of activations that change fast?", temporal_penalty=0.02),
        base.changed("l2", "Or of large weights?", l2=1e-6),
        base.changed("untied", "What are tied weights worth?", tied=False),
        base.changed("samples", "Does a softmax over a sample of the words lose anything?", softmax_samples=1024),
    ]
    return Study("What keeps a language model from overfitting?", "validation perplexity", LanguageTrainer(), variants)

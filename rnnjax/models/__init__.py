"""Whole networks, from sequences to logits."""

from rnnjax.models.attention import Attention as Attention
from rnnjax.models.classifier import SequenceClassifier as SequenceClassifier
from rnnjax.models.encoder_decoder import Encoded as Encoded
from rnnjax.models.encoder_decoder import EncoderDecoder as EncoderDecoder
from rnnjax.models.functional import logits_of as logits_of
from rnnjax.models.head import Head as Head
from rnnjax.models.language_model import LanguageModel as LanguageModel
from rnnjax.models.tagger import SequenceTagger as SequenceTagger

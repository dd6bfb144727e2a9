"""Data: labelled texts, vocabularies, and length-bucketed batches."""

from typing import TYPE_CHECKING

from rnnjax.lazy import lazily

if TYPE_CHECKING:
    from rnnjax.data.batching import Batch as Batch
    from rnnjax.data.batching import Plan as Plan
    from rnnjax.data.batching import bucket_widths as bucket_widths
    from rnnjax.data.batching import collate as collate
    from rnnjax.data.batching import plan_epoch as plan_epoch
    from rnnjax.data.batching import share_of as share_of
    from rnnjax.data.labelled_texts import LabelledTexts as LabelledTexts
    from rnnjax.data.sequence_batches import Batches as Batches
    from rnnjax.data.sequence_batches import PairBatch as PairBatch
    from rnnjax.data.sequence_batches import batches as batches
    from rnnjax.data.sequence_batches import cut_batches as cut_batches
    from rnnjax.data.sequences import Sequences as Sequences
    from rnnjax.data.sources import SOURCES as SOURCES
    from rnnjax.data.sources import Source as Source
    from rnnjax.data.sources import load_part as load_part
    from rnnjax.data.sources import load_source as load_source
    from rnnjax.data.sources import load_texts as load_texts
    from rnnjax.data.splits import hold_out as hold_out
    from rnnjax.data.splits import without as without
    from rnnjax.data.splits import without_rare as without_rare
    from rnnjax.data.stored_texts import StoredTexts as StoredTexts
    from rnnjax.data.streams import Stream as Stream
    from rnnjax.data.streams import Window as Window
    from rnnjax.data.text import encode as encode
    from rnnjax.data.text import learn_vocabulary as learn_vocabulary
    from rnnjax.data.text import load_vocabulary as load_vocabulary
    from rnnjax.data.text_format import TextFormat as TextFormat
    from rnnjax.data.tokens import TokenVocabulary as TokenVocabulary
    from rnnjax.data.tokens import split_text as split_text

__getattr__, __dir__, __all__ = lazily(__name__)

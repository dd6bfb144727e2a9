"""What the studies `tagging`, `reversal` and `ctc` share: made data, one way to train, scores by edit distance."""

"""The next word, by hand and in a text: what `experiments.next_word` is made of."""

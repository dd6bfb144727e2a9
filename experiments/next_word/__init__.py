"""The study `next_word`: next-word prediction by hand and in a text."""

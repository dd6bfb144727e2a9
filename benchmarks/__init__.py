"""Measurements of speed: every figure is a ratio within one run, on work that was checked first."""

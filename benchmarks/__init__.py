"""Measurements of speed: every figure is a ratio within one run, on work that was checked first."""

# What must come before all other imports there must here, too.
import experiments as _  # noqa: F401

"""Ablations: named variants of one config, each with several seeds, and an honest table of what they reach."""

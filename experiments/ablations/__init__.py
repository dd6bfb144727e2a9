"""Ablations: the command, the shipped studies, and how their variants are trained."""

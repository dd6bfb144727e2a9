"""The study `sentiment`: text classification."""

"""The restaurant study."""

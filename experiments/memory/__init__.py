"""Trains recurrent networks on memory tasks, many seeds at once."""

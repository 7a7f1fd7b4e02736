"""Measurements: each a ratio of ours to a named peer or floor, both measured in the same run. Nothing asserts a time."""

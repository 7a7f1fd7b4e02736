"""Runs public suites with us and without, and compares what became of each test."""

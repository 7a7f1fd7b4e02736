"""Handling what others made: files and names that are hostile, texts that hide a secret, a test's patched world.

Every room may come in; it needs none but the errors.
"""

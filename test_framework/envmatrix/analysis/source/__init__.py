"""One file of Python read as facts, without importing it: names, fixtures, shapes, reads, smells, secrets.

The index puts the facts of many files together; the cache keeps them by the digest of the file.
"""

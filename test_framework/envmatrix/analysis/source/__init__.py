"""One Python file read as facts, without importing it: names, fixtures, shapes, reads, smells and hosts.

The commands load files by `load`, with the `cache`; the index combines the facts of many files.
"""

"""A test suite's source, read without importing or running it: `index` is built of `source` and `project`.

`audit` and `impact` ask the index; the commands of these names come in there, `fixtures` comes in by `index.registry`.
"""

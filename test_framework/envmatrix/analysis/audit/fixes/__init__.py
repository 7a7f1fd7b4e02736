"""The fixes of the audit's findings: a fixture moved or imported, a read rewritten, a comment `# noqa` taken out.

`envmatrix audit --fix` comes in by `fixes` and `edits`.
"""

"""Parts of a file: what of it can differ, and be used, by itself.

`parse` and the impact of a change come in by `parsing`.
"""

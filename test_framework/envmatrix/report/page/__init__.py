"""The HTML report: one page with everything in it, that opens from disk.

`overview`, `grid`, `details` and `timeline` make the parts of `data`; `html` packs them into the built page.
"""

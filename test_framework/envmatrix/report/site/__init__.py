"""A static site of all runs: an index, a page for each environment, a page for each matrix.

`facts` is what the pages show, `charts` their pictures, `pages` fills the templates.
"""

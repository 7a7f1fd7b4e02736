"""The report of a comparison of two matrices, a module per format.

`envmatrix compare` comes in here.
"""

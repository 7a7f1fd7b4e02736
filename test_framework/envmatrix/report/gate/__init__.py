"""The report of the gate's decision and of a promotion, a module per format.

`envmatrix gate` and `envmatrix promote` come in here.
"""

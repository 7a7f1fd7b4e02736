"""The report of a validation: declared, observed and exercised, a module per format.

`envmatrix validate` comes in here.
"""

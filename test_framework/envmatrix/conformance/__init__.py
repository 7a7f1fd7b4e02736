"""The conformance suite: is the contract of `real_services` and `real_llm` true in an environment, row by row?

It ships with the package and knows no product: whatever it asks for stands in the declaration. Run it against your own:

    pytest --pyargs envmatrix.conformance --matrix-environment NAME
"""

"""A static site of all runs: an index and a page for each environment. A matrix's page is the HTML report.

`facts` is what the pages show, `charts` their pictures, `pages` fills the templates.
"""

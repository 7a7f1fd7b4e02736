"""A project as pytest sees it: settings, files, modules, plugins and installed packages. Nothing of it is run.

The index comes in here; `audit --fix` and `fixtures` ask for the settings.
"""

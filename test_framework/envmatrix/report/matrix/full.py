"""The matrix on a terminal with nothing left out: every file of tests, and every reason to skip one."""

from functools import partial

from envmatrix.report.matrix import terminal

render = partial(terminal.render, full=True)

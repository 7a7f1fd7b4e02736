"""A pytest plugin that writes every report's outcome as a line of JSON: pytest's own record, which knows nothing of us."""

import json
import os
from pathlib import Path


class OwnRecord:
    """Writes in the process that has all reports: the controller, or the only one."""

    def __init__(self, path):
        self._file = Path(path).open("w", encoding="utf-8", errors="surrogatepass")  # noqa: SIM115  closed at the end of the run

    def pytest_runtest_logreport(self, report):
        """Write one report."""
        if hasattr(report, "context"):  # a subtest's: the test has reports of its own
            return
        line = report.nodeid, report.when, report.outcome, hasattr(report, "wasxfail")
        self._file.write(json.dumps(line) + "\n")

    def pytest_unconfigure(self):
        """Close the file."""
        self._file.close()


def pytest_configure(config):
    """Register the writer."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(OwnRecord(os.environ["OWN_RECORD"]))

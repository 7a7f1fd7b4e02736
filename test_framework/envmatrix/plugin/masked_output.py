"""Masks what pytest itself prints and writes, in the process that knows the secrets: the controller may know none."""

from __future__ import annotations

import functools
import inspect
import linecache
import logging
import os
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest

from envmatrix.masking import MASKER
from envmatrix.plugin.note import is_subtest
from envmatrix.safety.unpatched import text_of

WRITES_TO_JUNIT = frozenset({"record_testsuite_property", "record_xml_attribute"})
"""pytest's fixtures whose values go into JUnit XML without a report."""

_PARAMETERS = type(pytest.param())


def mask_report(report: Any) -> None:
    """Mask what a report shows."""
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        file, line, reason = report.longrepr
        report.longrepr = (file, line, MASKER.mask(text_of(reason)))
    elif (text := MASKER.mask(report.longreprtext)) != report.longreprtext:
        report.longrepr = text  # plain and masked beats coloured and told
    if hasattr(report, "wasxfail"):
        report.wasxfail = MASKER.mask(text_of(report.wasxfail))


def mask_additions(report: Any) -> None:
    """Mask what tests add to a report, passed or not: output, logs, properties."""
    if report.sections:
        report.sections = [(name, MASKER.mask(text)) for name, text in report.sections]
    if properties := getattr(report, "user_properties", None):
        report.user_properties = [(name, _masked(value)) for name, value in properties]


def mask_writer(fixturedef: pytest.FixtureDef[Any], record: Any) -> Any:
    """Have what a test writes straight into JUnit XML masked; return the fixture's new value."""
    masked = functools.partial(_record, record)
    if fixturedef.cached_result is not None:
        fixturedef.cached_result = (masked, *fixturedef.cached_result[1:])
    return masked


class MaskedOutput:
    """Masks node ids, reports of collection and of subtests, warnings, errors, log files, and properties in JUnit XML."""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Mask log records on their way to a file or to the terminal, not those that tests look at."""
        plugin = session.config.pluginmanager.get_plugin("logging-plugin")
        for name in ("log_file_handler", "log_cli_handler"):
            handler = getattr(plugin, name, None)
            if handler is not None and getattr(handler, "baseFilename", "") != os.devnull:
                handler.setFormatter(_MaskingFormatter(handler.formatter))

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Mask ids of parameters where they are made, so that every report and cache has the same node ids."""
        if MASKER.knows_secrets:
            parametrize = functools.partial(_parametrize, metafunc.parametrize)
            metafunc.parametrize = parametrize  # type: ignore[method-assign]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_parametrize_id(self, val: object) -> Generator[None, str | None, str | None]:
        """Mask the id that pytest or a plugin makes of a value."""
        name = yield
        if name is None and not isinstance(val, str | bytes):
            return None
        shown = name if name is not None else val if isinstance(val, str) else repr(val)[2:-1]
        masked = MASKER.mask_known(shown)
        return masked if masked != shown else name

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Mask why a module could not be collected, and what it printed."""
        report = yield
        if not report.passed:
            mask_report(report)
        mask_additions(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Mask a subtest's message and values; what it printed is added after its report was made."""
        if is_subtest(report):
            context = report.context
            kwargs = {name: _masked(value) for name, value in context.kwargs.items()}
            message = _masked(context.msg)
            if (message, kwargs) != (context.msg, context.kwargs):  # a new context shows each value as its repr
                report.context = type(context)(msg=message, kwargs=kwargs)
            mask_additions(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Mask a warning and the line of source that pytest shows below it."""
        warning_message.message = _masked(warning_message.message)
        line = warning_message.line or linecache.getline(warning_message.filename, warning_message.lineno)
        if (masked := MASKER.mask(line)) != line:
            warning_message.line = masked

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Mask what pytest prints of an error of its own or of a plugin's hook; a worker sends it as it is printed here."""
        text = text_of(excrepr)
        if (masked := MASKER.mask(text)) != text:
            excrepr.toterminal = lambda writer: writer.line(masked)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Mask the reason that `pytest.exit` was given."""
        excinfo.value.args = tuple(map(_masked, excinfo.value.args))


class _MaskingFormatter(logging.Formatter):
    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return MASKER.mask(self._inner.format(record))


def _parametrize(original: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Call `metafunc.parametrize` with masked ids."""
    __tracebackhide__ = True
    call = inspect.signature(original).bind(*args, **kwargs)
    values, ids = call.arguments["argvalues"], call.arguments.get("ids")
    if callable(ids):
        call.arguments["ids"] = functools.partial(_call_masked, ids)
    elif ids is not None:  # without a length it may be without an end
        call.arguments["ids"] = [*map(_masked_id, ids)] if hasattr(ids, "__len__") else map(_masked_id, ids)
    call.arguments["argvalues"] = [
        each._replace(id=_masked_id(each.id)) if isinstance(each, _PARAMETERS) else each for each in values
    ]
    original(*call.args, **call.kwargs)


def _call_masked(make: Callable[[object], object], value: object) -> object:
    return _masked_id(make(value))


def _masked_id(name: Any) -> Any:
    return MASKER.mask_known(name) if isinstance(name, str) else name


def _record(record: Callable[[str, object], None], name: str, value: object) -> None:
    """Record a property or an attribute, masked."""
    record(name, _masked(value))


def _masked(value: Any) -> Any:
    """Return a value as it is, or as masked text where its text holds a secret."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001  a test's own value: pytest copes with it in its way
        return value
    masked = MASKER.mask(text)
    return masked if masked != text else value

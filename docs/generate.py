"""Write `docs/reference.md`, `docs/fixtures.md` and the words of `docs/how-to/query.md` from the code: `python -m docs.generate`.

A test fails while they differ.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, get_args

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from envmatrix import exceptions, gate, plugin
from envmatrix.__main__ import app
from envmatrix.analysis.audit.rules.catalog import ALL as AUDIT_RULES
from envmatrix.analysis.index.build import index_of
from envmatrix.analysis.index.registry import Registry
from envmatrix.causes import HARNESS_RULES, RULES
from envmatrix.contracts import FINDING_RULES, Contract, RealLLM, RealServices, meaning_of
from envmatrix.environments import (
    GLOBAL_FIELDS,
    REFERENCE_FIELDS,
    Account,
    AuditPolicy,
    CanaryRoute,
    CanarySocket,
    Compose,
    ContractTable,
    Csrf,
    Environment,
    Fault,
    GatePolicy,
    Maintenance,
    Project,
    PytestTable,
    ServiceSpec,
    Source,
    Twin,
    UserRoutes,
    Variant,
)
from envmatrix.environments.auth import Auth
from envmatrix.environments.declaration import Inheritance
from envmatrix.environments.explain import FILLED_IN_BY_US
from envmatrix.environments.used_keys import KINDS, kinds_with, sources_with
from envmatrix.gate.waivers import Waiver
from envmatrix.matrix.compare import ChangeKind
from envmatrix.matrix.query_grammar import CHANGES, FLAGS, KEYS, OTHER_FORMS
from envmatrix.plugin import fixtures, hookspecs
from envmatrix.report.registry import as_markdown, as_mermaid
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.samples import Metric
from envmatrix.services.health import HealthStatus
from envmatrix.validation import VALIDATION_RULES

FILE = Path(__file__).resolve().with_name("reference.md")
FIXTURES = FILE.with_name("fixtures.md")
QUERY = FILE.with_name("how-to") / "query.md"

_TOML_TYPES = {
    "Annotated[int, Field(gt=0, le=366)]": "days",
    "Annotated[int, Field(ge=1)]": "number",
    "Annotated[tuple[str, ...], AfterValidator(_in_time)]": "list of texts",
    "Annotated[str, AfterValidator(_link)]": "link",
    "Annotated[tuple[str, ...], Field(min_length=1)]": "list of texts",
    "Any": "anything",
    "Auth": "table",
    "HeaderName": "name of a header",
    "HeaderValue": "text",
    "HttpUrl": "URL",
    "TokenUrl": "path of a URL, or a URL",
    "dict[HeaderName, HeaderValue]": "table of texts",
    "ByteSize": "text, or bytes",
    "AwareDatetime": "time with its zone",
    "Cause": "cause",
    "Count": "number",
    "Csrf": "table",
    "Literal['json', 'form']": "`json` or `form`",
    "dict[Literal['email', 'password'], str]": "table of texts",
    "tuple[Account, ...]": "list of tables",
    "Days": "days",
    "Path": "path",
    "Mapping[str, Fault]": "table of tables",
    "PositiveFloat": "number",
    "PositiveInt": "number",
    "SecretStr": "text",
    "Share": "share, 0 to 1",
    "Seconds": "seconds",
    "Status": "number, 500 to 599",
    "UrlPath": "path of a URL",
    "HealthPath": "path of a URL, or false",
    "bool": "true or false",
    "date": "date",
    "dict[str, Any]": "table",
    "dict[str, SecretStr]": "table of texts",
    "dict[str, Driver]": "table of texts",
    "dict[str, str]": "table of texts",
    "dict[str, str | int]": "table of texts or numbers",
    "dict[str, tuple[str, ...]]": "table of lists of texts",
    "str": "text",
    "tuple[Excusable, ...]": "list of outcomes",
    "tuple[StatusCode, ...]": "status, or list of them",
    "tuple[UrlPath, ...]": "list of paths of a URL",
    "tuple[str, ...]": "list of texts",
}


def render() -> str:
    """Return the whole reference."""
    parts = [
        "# Reference",
        "Made from the code by `python -m docs.generate`: change it there.",
        *_declarations(),
        *_commands(),
        *_pytest(),
        *_contracts(),
        *_outcomes(),
        *_codes(),
        *_metrics(),
        *_exit_codes(),
    ]
    return "\n\n".join(parts) + "\n"


def _declarations() -> Iterator[str]:
    yield "## `environments/NAME.toml`"
    yield "The top of the file:"
    yield _table(
        ("key", "type", "default", "meaning"),
        [
            *_keys(Inheritance),
            *_keys(
                Environment,
                leave_out={
                    *Inheritance.model_fields,
                    "services",
                    "compose",
                    "users",
                    "contract",
                    "pytest",
                    "canary",
                    "maintenance",
                    "twin",
                    "variants",
                },
            ),
        ],
    )
    yield "### `[services.NAME]`"
    yield "A key that the service's kind or source does not use is refused."
    head = ("key", "type", "default", "kinds", "sources", "meaning")
    yield _table(head, map(_with_users, _keys(ServiceSpec)))
    yield "Sources:"
    yield _table(("source", "meaning"), _members(Source))
    yield "### `auth` of a service"
    yield "Each request proves who asks in one of these ways."
    for model in get_args(get_args(Auth)[0]):
        yield from _described(model, leave_out={"type"})
    yield from _described(Compose, "[compose]")
    yield from _described(UserRoutes, "[users]")
    yield from _described(Csrf)
    yield from _described(Account)
    yield from _described(ContractTable, "[contract]")
    yield from _described(PytestTable, "[pytest]")
    yield from _described(CanaryRoute, "[[canary.http]]")
    yield from _described(CanarySocket, "[canary.websocket]")
    yield from _described(Variant, "[variants.NAME]")
    yield from _described(Fault)
    yield from _described(Maintenance, "[[maintenance]]")
    yield from _described(Twin, "[twin]")
    yield "### Blanks"
    references = ", ".join(f"`{{NAME.{name}}}`" for name in sorted(REFERENCE_FIELDS))
    alone = ", ".join(f"`{{{name}}}`" for name in sorted(GLOBAL_FIELDS))
    yield (
        "In every text, `${VARIABLE}` is filled in from the process's environment or the file given by `--env-file`, and "
        "`${VARIABLE:-text}` has a default for one that is unset or empty. "
        f"In `command` and `env`, so are a service's {references}, and {alone}; a service that another one references "
        "starts first. In `identity`, `{environment}` is."
    )
    yield "## `[tool.envmatrix]` in `pyproject.toml`"
    yield _table(("key", "type", "default", "meaning"), _keys(Project, leave_out={"audit", "gate"}))
    yield "### `[tool.envmatrix.gate]`"
    yield _prose(GatePolicy.__doc__)
    yield _table(("key", "type", "default", "meaning"), _keys(GatePolicy))
    yield "### `[tool.envmatrix.audit]`"
    yield _prose(AuditPolicy.__doc__)
    yield _table(("key", "type", "default", "meaning"), _keys(AuditPolicy))
    yield "## `envmatrix-waivers.toml`"
    yield "Each `[[waiver]]` is one. It must fit failures that there are, and hold until its day."
    yield _table(("key", "type", "default", "meaning"), _keys(Waiver))


def _described(model: type[BaseModel], table: str = "", leave_out: Iterable[str] = ()) -> Iterator[str]:
    """Yield the part about one table of a declaration, under a heading of its own if it has one."""
    if table:
        yield f"### `{table}`"
    yield _prose(model.__doc__)
    yield _table(("key", "type", "default", "meaning"), _keys(model, leave_out))


def _commands() -> Iterator[str]:
    yield "## Commands"
    group: Any = typer.main.get_command(app)
    for name, command in sorted(_leaves(group)):
        yield f"### `envmatrix {name}`"
        yield _prose(command.help)
        rows = [(_spelled(parameter), _sentence(parameter.help)) for parameter in command.params]
        yield _table(("argument or option", "meaning"), rows)


def _leaves(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its whole name: `baseline update` too. One that may be left out has its group's name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}".removesuffix(f" {getattr(group, 'default', '')}"), command


def _spelled(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    metavar = "" if parameter.is_flag else f" {parameter.metavar}"
    return ", ".join(f"`{word}{metavar}`" for word in parameter.opts)


def _pytest() -> Iterator[str]:
    parser = _Options()
    plugin.pytest_addoption(parser)  # type: ignore[arg-type]  # as much of a parser as the plugin asks for
    yield "## pytest"
    yield "### Options"
    yield _table(("option", "meaning"), parser.options)
    yield "Settings of pytest's own configuration file:"
    yield _table(("setting", "meaning"), parser.settings)
    yield "### Markers"
    yield _table(("marker", "meaning"), [(f"`{name}`", _sentence(text)) for name, text in plugin.MARKERS.items()])
    yield "### Fixtures"
    yield _table(("fixture", "meaning"), _fixtures())
    yield "### Hooks"
    hooks = inspect.getmembers(hookspecs, inspect.isfunction)
    yield _table(("hook", "meaning"), [(f"`{name}`", _prose(hook.__doc__)) for name, hook in hooks])


@dataclass
class _Options:
    """Stands in for pytest's parser, and notes what it is told."""

    options: list[tuple[str, str]] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)

    def getgroup(self, *_: str) -> _Options:
        return self

    def addoption(self, name: str, *, help: str, metavar: str = "", **_: Any) -> None:  # noqa: A002  pytest's word
        self.options.append((f"`{f'{name} {metavar}'.strip()}`", _sentence(help)))

    def addini(self, name: str, help: str, **_: Any) -> None:  # noqa: A002  pytest's word
        self.settings.append((f"`{name}`", _sentence(help)))


def _fixtures() -> Iterator[tuple[str, str]]:
    for node in ast.parse(inspect.getsource(fixtures)).body:
        if isinstance(node, ast.FunctionDef) and any("fixture" in ast.unparse(each) for each in node.decorator_list):
            yield f"`{node.name}`", _prose(ast.get_docstring(node))


def _contracts() -> Iterator[str]:
    yield "## Contracts"
    for fixture, contract in (("real_services", RealServices), ("real_llm", RealLLM)):
        yield f"### `{fixture}`"
        yield _table(("field", "type", "what must be true"), _contract_fields(contract))


def _contract_fields(contract: type[Contract]) -> Iterator[tuple[str, str, str]]:
    types = {name: hint for base in reversed(contract.__mro__) for name, hint in _annotations(base).items()}
    for name in contract.model_fields:
        hint = re.sub(r"^Annotated\[(.*), Meaning\(.*", r"\1", types[name], flags=re.DOTALL)
        yield f"`{name}`", f"`{hint}`", meaning_of(contract, name).truth


def _outcomes() -> Iterator[str]:
    yield "## Outcomes"
    yield _table(("outcome", "meaning"), _members(Outcome))
    yield "## Causes"
    yield _table(("cause", "meaning"), _members(Cause))
    yield "## Verdicts"
    yield _table(("verdict", "meaning"), _members(gate.Answer))
    yield "The codes of their reasons:"
    yield _table(("code", "meaning"), _members(gate.Code))


def _codes() -> Iterator[str]:
    yield "## Rules"
    yield "What decides the cause of a failure; the first that matches. Each has a page."
    rules = [
        (_page(rule.code), rule.cause.value, f"{_sentence(rule.title)} {rule.meaning} {rule.remedy}".rstrip())
        for rule in (*RULES, *HARNESS_RULES)
    ]
    yield _table(("code", "cause", "meaning"), rules)
    yield "What a contract check finds:"
    yield _table(("code", "meaning"), [(_page(code), _sentence(text)) for code, text in FINDING_RULES.items()])
    yield "What `envmatrix validate` finds where declared, observed and exercised differ:"
    yield _table(("code", "meaning"), [(_page(code), _sentence(text)) for code, text in VALIDATION_RULES.items()])
    yield "What `envmatrix audit` finds in the source:"
    audited = [
        (
            _page(each.code),
            each.name,
            each.summary,
            "yes" if each.is_fixable else "",
            "opt-in" if each.is_opt_in else "",
        )
        for each in AUDIT_RULES
    ]
    yield _table(("code", "name", "meaning", "`--fix`", "on"), audited)


def _page(code: str) -> str:
    return f"[`{code}`](rules/{code}.md)"


def _metrics() -> Iterator[str]:
    yield "## Metrics"
    yield "What `--sample` and `envmatrix monitor` record."
    yield _table(("metric", "meaning"), _members(Metric))


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    meanings = {answer.exit_code: f"every verdict: {answer.value}" for answer in gate.Answer}
    meanings[1] = "incompatible: a contract is broken, or a test failed on healthy services"
    meanings[2] = "usage or configuration: nothing was run"
    meanings[3] = "unknown: an outage, a run cut short, or nothing that could have passed"
    yield _table(("code", "meaning"), [(f"{code}", _sentence(text)) for code, text in sorted(meanings.items())])
    health = ", ".join(f"{status.exit_code} {status}" for status in list(HealthStatus)[:4])
    yield f"`envmatrix health` has those of monitoring plug-ins: {health}; usage is 2 as well."
    yield "pytest's own are pytest's; ended by SIGTERM it exits with 143, its services stopped and its run file closed."
    yield "## Errors"
    errors = [
        (f"`{name}`", _prose(error.__doc__), f"{error.exit_code}")
        for name, error in vars(exceptions).items()
        if inspect.isclass(error) and issubclass(error, exceptions.EnvmatrixError)
    ]
    yield _table(("error", "meaning", "exit code"), errors[1:])


def _keys(model: type[BaseModel], leave_out: Iterable[str] = ()) -> Iterator[tuple[str, str, str, str]]:
    """Yield what a table of a TOML file may say.

    Raises:
        LookupError: a key has no text.
    """
    texts, types = _texts(model), _annotations(model)
    for name, info in model.model_fields.items():
        if name in FILLED_IN_BY_US or name in leave_out:
            continue
        if name not in texts:
            raise LookupError(f"{model.__name__}.{name} has no docstring")
        yield f"`{name}`", _toml_type(types[name], info.annotation), _default(info), texts[name]


def _with_users(row: tuple[str, str, str, str]) -> tuple[str, ...]:
    """Return the row of a service's key, with the kinds and sources that use the key."""
    key = row[0].strip("`")
    kinds, sources = kinds_with(key), sources_with(key)
    shown = ", ".join(f"`{kind}`" for kind in kinds) or "plugged-in ones"
    places = ", ".join(f"`{source.value}`" for source in sources)
    return (
        *row[:3],
        "all" if len(kinds) == len(KINDS) else shown,
        "all" if len(sources) == len(Source) else places,
        row[3],
    )


def _toml_type(written: str, annotation: Any) -> str:
    written = written.removesuffix(" | None")
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if literal := re.fullmatch(r"Literal\[(.*)\]", written):
        return ", ".join(f"`{value.strip(chr(39))}`" for value in literal[1].split(", "))
    if number := re.match(r"Annotated\[float\b", written):
        return "seconds" if number else written
    return _TOML_TYPES[written]


def _default(info: Any) -> str:
    if info.is_required():
        return "required"
    if info.default is PydanticUndefined or info.default in (None, "", ()) or isinstance(info.default, BaseModel):
        return ""
    shown = str(info.default).lower() if isinstance(info.default, bool) else info.default
    if isinstance(shown, tuple):
        return ", ".join(f"`{each}`" for each in shown)
    return f"`{shown:g}`" if isinstance(shown, float) else f"`{shown}`"


def _members(kind: type[enum.Enum]) -> Iterator[tuple[str, str]]:
    """Yield every member of an enumeration with its text.

    Raises:
        LookupError: a member has none.
    """
    texts = _texts(kind)
    for member in kind:
        if member.name not in texts:
            raise LookupError(f"{kind.__name__}.{member.name} has no docstring")
        yield f"`{member.value}`", texts[member.name]


def _body(kind: type) -> list[ast.stmt]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return []
    (definition,) = tree.body
    return definition.body if isinstance(definition, ast.ClassDef) else []


def _texts(kind: type) -> Mapping[str, str]:
    """Return the string that follows each attribute in a class's source."""
    body = _body(kind)
    found = {}
    for statement, after in pairwise(body):
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            if isinstance(statement, ast.AnnAssign):
                found[ast.unparse(statement.target)] = _prose(after.value.value)
            elif isinstance(statement, ast.Assign):
                found[ast.unparse(statement.targets[0])] = _prose(after.value.value)
    return found


def _annotations(kind: type) -> Mapping[str, str]:
    """Return each attribute's type as the class's source spells it."""
    statements = [statement for statement in _body(kind) if isinstance(statement, ast.AnnAssign)]
    return {ast.unparse(statement.target): ast.unparse(statement.annotation) for statement in statements}


def _prose(text: str | None) -> str:
    """Return a docstring on one line, up to its sections."""
    return " ".join(inspect.cleandoc(text or "").partition("\n\nRaises:")[0].split())


def _sentence(text: str | None) -> str:
    text = _prose(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def fixtures_page() -> str:
    """Return the page of this repository's own fixtures: those that more than one file can ask for."""
    every = Registry.of(index_of(FIXTURES.parents[1]))
    shared = tuple(
        each
        for each in every.own.providers
        if len(each.visible) > 1 or not PurePath(each.visible[0].partition("::")[0]).suffix
    )
    registry = Registry(shared)
    about = (
        "Made from the source by `python -m docs.generate`, without running any of it. `envmatrix fixtures` lists yours, "
        "with the tests that use each; `envmatrix fixtures NAME` tells all about one, and `--format mermaid` draws it."
    )
    legend = (
        "Each is made of those to its left. A rectangle is made once a test, one with round corners once a class, module "
        "or package, a pill once a session. What needs none of the others and serves none is in the table alone."
    )
    parts = [
        "# The fixtures of this repository",
        about,
        "Here are those that more than one file can ask for. A test module's own are its own business.",
        legend,
        f"```mermaid\n{as_mermaid(registry)}```",
        as_markdown(registry, is_page=True),
    ]
    return "\n\n".join(parts)


def query_page() -> str:
    """Return the page of the query language, with the words that the code knows in the table under their heading."""
    outcomes = [(word, f"outcome: {_begun(text)}") for word, text in _members(Outcome)]
    changes = [(word, f"change: {_begun(text)}") for word, text in _members(ChangeKind) if word.strip("`") in CHANGES]
    forms = [(_code(form.syntax), form.meaning) for form in (*FLAGS.values(), *KEYS.values(), *OTHER_FORMS)]
    table = _table(("word", "meaning"), [(word, _sentence(text)) for word, text in (*outcomes, *changes, *forms)])
    page = QUERY.read_text(encoding="utf-8")
    return re.sub(r"(?<=\n## Words\n\n).*?(?=\n\n## )", lambda _: table, page, flags=re.DOTALL)


def _begun(sentence: str) -> str:
    """Return a sentence as it goes on behind a colon."""
    return sentence[:1].lower() + sentence[1:]


def _code(forms: str) -> str:
    """Return several ways to write one thing, each as code."""
    return ", ".join(f"`{form}`" for form in forms.split(", "))


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
    FIXTURES.write_text(fixtures_page(), encoding="utf-8")
    QUERY.write_text(query_page(), encoding="utf-8")

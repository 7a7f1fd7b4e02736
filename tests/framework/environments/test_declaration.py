"""Declarations that extend others, and what the command line sets in them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from envmatrix.environments import Environment, declared_names, load_environment, load_file
from envmatrix.environments.declaration import read_declaration
from envmatrix.exceptions import EnvmatrixError, ReferenceCycleError, UsageError
from envmatrix.masking import MASKER
from tests.framework.environments.declare import declare, load, refusal

BASE = """
    description = "What is common"

    [services.backend]
    kind = "http"
    source = "process"
    command = ["shop", "--port", "{backend.port}"]
    env = { LEVEL = "debug", MODE = "fast" }
    identity = { service = "backend", environment = "{environment}" }
    capabilities = ["orders", "returns"]

    [services.redis]
    kind = "redis"
    source = "embedded"

    [variants.slow]
    services.redis.fault = "latency"
"""


def overridden(directory: Path, *overrides: str, name: str = "local", **variables: str) -> Environment:
    """Load a declaration with values of `--set`."""
    return load_environment(name, directory, variables=variables, overrides=overrides)


def refused(directory: Path, *overrides: str) -> str:
    """Return the one line that refuses some overrides, with the directory left out."""
    with pytest.raises(EnvmatrixError) as caught:
        overridden(directory, *overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{directory}/", "")


def test_tables_merge_lists_replace_and_files_chain(tmp_path: Path) -> None:
    """The nearest file wins key by key; a list is a value as a whole."""
    declare(tmp_path, BASE, "_base")
    declare(tmp_path, "extends = '_base.toml'\n[services.backend]\nenv.MODE = 'slow'\nenv.MORE = 'x'", "_middle")
    declare(tmp_path, "extends = '_middle.toml'\n[services.backend]\ncapabilities = ['carts']\nenv.MORE = 'y'")
    environment = load(tmp_path)
    backend = environment.services["backend"]
    assert {name: value.get_secret_value() for name, value in backend.env.items()} == {
        "LEVEL": "debug",
        "MODE": "slow",
        "MORE": "y",
    }
    assert backend.capabilities == ("carts",)
    assert environment.description == "What is common"
    assert environment.bases == (tmp_path / "_middle.toml", tmp_path / "_base.toml")
    assert list(environment.variants) == ["slow"]


def test_what_is_removed_is_not_inherited(tmp_path: Path) -> None:
    """Keys and whole tables; what the file itself says for them holds."""
    declare(tmp_path, BASE, "_base")
    declare(
        tmp_path,
        """
        extends = "_base.toml"
        remove = ["services.backend.env.LEVEL", "services.backend.capabilities", "services.redis", "variants"]
        [services.redis]
        kind = "redis"
        source = "absent"
        """,
    )
    environment = load(tmp_path)
    assert environment.services["backend"].env.keys() == {"MODE"}
    assert environment.services["backend"].capabilities == ()
    assert environment.services["redis"].source == "absent"
    assert not environment.variants


def test_an_identity_can_name_the_environment(tmp_path: Path) -> None:
    """`{environment}` is the name of the file that was loaded, not of the one in which it stands."""
    declare(tmp_path, BASE, "_base")
    declare(tmp_path, "extends = '_base.toml'", "staging")
    assert load(tmp_path, "staging").services["backend"].identity["environment"] == "staging"


@pytest.mark.fault("typo-environment")
def test_a_name_that_begins_with_an_underscore_is_no_environment(tmp_path: Path) -> None:
    """Such a file is there to be extended: no command runs it, and a matrix has no column of it."""
    declare(tmp_path, BASE, "_base")
    declare(tmp_path, "extends = '_base.toml'")
    assert declared_names(tmp_path) == ("local",)
    with pytest.raises(EnvmatrixError, match=r"no environment '_base' in .*Known here: local"):
        load(tmp_path, "_base")


@pytest.mark.fault("unknown-key", "unset-variable")
@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("[services.backend]\nheath = '/h'", "3: unknown key 'heath' in services.backend. Did you mean 'health'?"),
        ("[services.backend]\napi_key = 'x'", "3: 'api_key' does nothing for a service of kind = 'http'. Did you"),
        ("[services.backend]\nhealth = '${NOPE}'", "3: variable NOPE is not set."),
        ("[services.backend.env]\nA = '{redsi.url}'", "3: {redsi.url} names no service. Did you mean 'redis'?"),
        ("[services.backend]\nhealth = 3", "3: services.backend.health is a text. Write it in quotes"),
        ("[services.backend.identity]\na = '{commit}'", "2: {commit} in identity: only {environment} is filled in"),
        ("remove = 'x'", '2: remove is a list. Write ["…"]'),
        (
            "remove = ['services.bakend.env']",
            "2: removes 'services.bakend.env', which it does not inherit. Did you mean 'services.backend'?",
        ),
        ("remove = ['description.x']", "2: removes 'description.x', which it does not inherit"),
        ("exten = 'x'", "2: unknown key 'exten' in the file. Did you mean 'extends'?"),
        ("[variants.slow]\nservices.none.fault = 'down'", "2: local+slow degrades 'none'"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, wrong: str, line: str) -> None:
    """The error names the extended file and its line, not the environment's own."""
    declare(tmp_path, BASE, "_common")
    declare(tmp_path, f"extends = '_common.toml'\n{wrong}", "_base")
    assert refusal(tmp_path, "extends = '_base.toml'").startswith(f"_base.toml:{line}")


def test_a_key_of_another_source_is_refused_with_what_removes_it(tmp_path: Path) -> None:
    """Who changes the source of an inherited service is told all keys that go with the old one."""
    declare(tmp_path, BASE, "_base")
    text = "extends = '_base.toml'\n[services.backend]\nsource = 'remote'\nurl = 'https://x'"
    assert refusal(tmp_path, text) == (
        "_base.toml:6: 'command' does nothing for a service of source = 'remote'. "
        'What inherits it can write remove = ["services.backend.command", "services.backend.env"]'
    )


@pytest.mark.fault("reference-cycle")
@pytest.mark.parametrize(
    ("chain", "way"),
    [(["local"], "local.toml → local.toml"), (["_a", "_b", "_a"], "_a.toml → _b.toml → _a.toml")],
    ids=["itself", "two"],
)
def test_files_that_extend_each_other_are_refused(tmp_path: Path, chain: list[str], way: str) -> None:
    """The error shows the way round, and the line that closes it."""
    for name, base in pairwise(chain):
        declare(tmp_path, f"description = 'x'\nextends = '{base}.toml'", name)
    declare(tmp_path, f"extends = './{chain[0]}.toml'")
    with pytest.raises(ReferenceCycleError) as caught:
        load(tmp_path)
    assert str(caught.value).endswith(f"files extend each other: {way}. Drop one extends")
    assert caught.value.line in {1, 2}


@pytest.mark.parametrize(
    ("extends", "line"),
    [
        ("bsae.toml", "local.toml:1: extends 'bsae.toml', and there is no such file. Did you mean 'base.toml'?"),
        ("no/base.toml", "local.toml:1: extends 'no/base.toml', and there is no such file"),
        (".", "local.toml:1: extends '.', and there is no such file"),
        ("bin.toml", "bin.toml:1: is not UTF-8. Save it as UTF-8 text"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, extends: str, line: str) -> None:
    """A file that is not there comes with the nearest name beside it; one that cannot be read with its own line."""
    declare(tmp_path, BASE, "base")
    declare(tmp_path, b"\xff\n", "bin")
    assert refusal(tmp_path, f"extends = '{extends}'").startswith(line)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("description=staging", "staging"),
        ("description=", ""),
        ("description=a = b", "a = b"),
        ('description="3"', "3"),
        ("description=1\nproduction = true", "1\nproduction = true"),
        ("description=" + "9" * 5000, "9" * 5000),
        ("description=${HOST}", "shop.example"),
    ],
    ids=["text", "empty", "equals", "quoted", "newline", "digits", "variable"],
)
def test_a_value_that_is_no_toml_is_a_text(tmp_path: Path, text: str, value: str) -> None:
    """Whatever is written after the first `=` is one value, variables in it are filled in, and nothing else is set."""
    declare(tmp_path, BASE)
    environment = overridden(tmp_path, text, HOST="shop.example")
    assert environment.description == value
    assert not environment.production


def test_an_override_is_typed_and_the_last_one_wins(tmp_path: Path) -> None:
    """Numbers, lists and tables as in the file; tables are merged, and `remove` removes."""
    declare(tmp_path, BASE)
    environment = overridden(
        tmp_path,
        "services.backend.ping_deadline=3",
        "services.backend.ping_deadline=4.5",
        'services.backend.capabilities=["carts"]',
        'services.backend.env={ MODE = "slow" }',
        'services."redis".required=false',
        'remove=["services.backend.env.LEVEL"]',
    )
    backend = environment.services["backend"]
    assert (backend.ping_deadline, backend.capabilities, backend.env.keys()) == (4.5, ("carts",), {"MODE"})
    assert not environment.services["redis"].required


@pytest.mark.fault("unknown-key", "unset-variable", "hostile-test-name")
@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "services.bakend.url=x",
            "--set services.bakend.url: no service 'bakend' is declared. Did you mean 'backend'?",
        ),
        ("services.backend.heath=/h", "--set services.backend.heath: unknown key 'heath' in services.backend. Did you"),
        ("services.backend.health=${NOPE}", "--set services.backend.health: variable NOPE is not set"),
        (
            "services.backend.api_key=x",
            "--set services.backend.api_key: 'api_key' does nothing for a service of kind = 'http'. Did you mean 'api'?",
        ),
        (
            "services.backend.env.LEVEL=3",
            "--set services.backend.env.LEVEL: services.backend.env.LEVEL is a text. Write it",
        ),
        ("services.backend=3", "--set services.backend: services are tables"),
        ("services=3", "--set services: services are tables"),
        ("production", "--set 'production' is not KEY=VALUE. Such as --set services.backend.url=https://…"),
        ("=x", "--set '' is not KEY=VALUE"),
        ("a b=x", "--set 'a b' is not KEY=VALUE"),
        ("a\nb=x", "--set 'a\\nb' is not KEY=VALUE"),
        (".".join("a" * 5000) + "=x", "--set 'a.a."),
        ("extends=other.toml", "--set extends: only a file can extend another"),
        (
            "remove=['services.bakend']",
            "--set remove: removes 'services.bakend', which it does not inherit. Did you mean",
        ),
    ],
    ids=lambda text: text[:12],
)
def test_a_wrong_override_is_refused_by_its_own_words(tmp_path: Path, override: str, line: str) -> None:
    """One line that begins with the option and the key: no file is to blame."""
    declare(tmp_path, BASE)
    assert refused(tmp_path, override).startswith(line)


@pytest.mark.fault("canary-secret")
def test_a_secret_of_an_override_shows_nowhere(tmp_path: Path) -> None:
    """By the name of its key, or as the password of a URL, it is masked like one of the file."""
    declare(tmp_path, BASE)
    environment = overridden(
        tmp_path, "services.backend.env.DB_PASSWORD=k4nary-of-set", "services.redis.settings.password=k4nary-setting"
    )
    assert "k4nary-of-set" not in repr(environment) + environment.model_dump_json() + str(environment.masked())
    assert "k4nary" not in MASKER.mask(str(environment.overrides))
    assert "k4nary" not in refused(tmp_path, "services.backend.max_rss=postgres://u:k4nary-two@h/")


def test_a_run_can_have_another_name_than_its_environment(tmp_path: Path) -> None:
    """Reports show the alias; services, files and references know the environment by its own name."""
    declare(tmp_path, BASE)
    environment = load_environment("local", tmp_path, variables={}, alias="pr-123")
    assert (environment.name, environment.declared_name) == ("local", "local")
    assert (environment.run_name, environment.label) == ("pr-123", "pr-123")
    assert load_environment("local+slow", tmp_path, variables={}, alias="pr-123").name == "local+slow"


@pytest.mark.fault("name-as-path", "typo-environment")
@pytest.mark.parametrize("alias", ["../x", "a/b", "a+b", "local", "\x1b[31m", "x" * 101])
def test_an_alias_is_a_name_of_its_own(tmp_path: Path, alias: str) -> None:
    """It becomes a file's name, so it is no path; and it never passes for another declared environment."""
    declare(tmp_path, BASE)
    with pytest.raises(UsageError, match="--as "):
        load_environment("local", tmp_path, variables={}, alias=alias)


def test_an_inherited_twin_is_found_from_where_it_stands(tmp_path: Path) -> None:
    """Its path is relative to the file that names it, as `extends` is."""
    (tmp_path / "common").mkdir()
    declare(tmp_path / "common", "[services]\n[twin]\nenvironment = 'twin.toml'\nvariables = { A = 'x' }", "base")
    declare(tmp_path, "extends = 'common/base.toml'")
    twin = load_file(tmp_path / "local.toml", {}).twin
    assert twin is not None
    assert tmp_path / twin.environment == tmp_path / "common/twin.toml"


def test_the_place_of_a_value_is_in_the_layer_that_decides_it(tmp_path: Path) -> None:
    """`--set` before the file, the file before what it extends; a removed key is nowhere."""
    declare(tmp_path, BASE, "_base")
    path = declare(tmp_path, "extends = '_base.toml'\n[services.backend]\nenv.MODE = 'slow'")
    declaration = read_declaration(path, ["services.backend.health=/h"])
    backend = ("services", "backend")
    assert declaration.place_of((*backend, "health"))[0] == Path("--set services.backend.health")
    assert declaration.place_of((*backend, "env", "MODE")) == (path, 3)
    assert declaration.place_of((*backend, "env", "LEVEL")) == (tmp_path / "_base.toml", 7)
    twice = read_declaration(path, ["services.backend.health=/h", "services.backend={ health = '/i' }"])
    assert twice.place_of((*backend, "health"))[0] == Path("--set services.backend")
    assert declaration.place_of((*backend, "nothing")) == (Path("--set services.backend.health"), 0)

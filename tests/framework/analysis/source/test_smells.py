"""What is said of single functions, before anybody knows whether they are tests; the suites' rules add who they are."""

import ast
from textwrap import dedent

import pytest

from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.smells.functions import function_notes
from envmatrix.analysis.source.smells.statements import all_statements


def notes_of(
    node: ast.FunctionDef | ast.AsyncFunctionDef, source: str, *, is_fixture: bool = False
) -> tuple[Note, ...]:
    """Return the notes on a function of a source."""
    return function_notes(
        node, all_statements(node.body), is_fixture=is_fixture, has_word=lambda word: word.decode() in source
    )


def codes(source: str, *, is_fixture: bool = False) -> list[str]:
    """Return `code:line` of each note on the last function of a source."""
    node = ast.parse(dedent(source).strip()).body[-1]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return [f"{note.code}:{note.line}" for note in notes_of(node, source, is_fixture=is_fixture)]


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "...",
        '"""Text."""',
        "assert True",
        'assert "yes"',
        "return",
        "return None",
        "x = 1",
        '"""Text."""\n    pass',
    ],
)
def test_a_test_without_a_call_or_an_assertion_cannot_fail(body: str) -> None:
    """Whatever stands in its body instead."""
    assert codes(f"def test():\n    {body}") == ["EM308:1"]


@pytest.mark.parametrize(
    "source",
    [
        "def test():\n    run()",
        "def test():\n    import shop",
        "def test():\n    shop.price",
        "def test():\n    raise NotImplementedError",
        "def test():\n    assert False",
        "@image_comparison\ndef test():\n    pass",
    ],
)
def test_a_test_that_runs_anything_may_fail(source: str) -> None:
    """Calling the code under test is a test: it may raise. A decorator may do the checking."""
    assert codes(source) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [("pass", "it calls nothing and asserts nothing"), ("assert True", "what it asserts is always true")],
)
def test_why_a_test_cannot_fail_is_said(body: str, said: str) -> None:
    """A test that asserts `True` asserts something."""
    (function,) = ast.parse(f"def test():\n    {body}").body
    assert isinstance(function, ast.FunctionDef)
    (note,) = notes_of(function, body)
    assert note.message == f"test cannot fail: {said}"


def test_an_assertion_of_a_tuple_cannot_fail() -> None:
    """The second part was meant to be its message."""
    assert codes('def test():\n    x = run()\n    assert (x, "no")') == ["EM308:3"]


@pytest.mark.parametrize(
    "body",
    [
        "r = get()\n    if r.ok:\n        assert r.text",
        "r = client.get()\n    if r.ok:\n        assert r.text\n    elif r.late:\n        assert r.when",
        "r = await_it()\n    if not r:\n        return\n    assert r.text",
        "with client:\n        r = client.get()\n        if r.ok:\n            assert r.text",
        'if services["redis_available"]:\n        assert services.redis',
        "r = client.get()\n    client.close()\n    if r.ok:\n        assert r.text",
    ],
)
def test_assertions_only_under_what_was_seen_are_found(body: str) -> None:
    """The test passes without one as soon as the product answers something else."""
    (found,) = codes(f"def test(client, services):\n    {body}")
    assert found.startswith("EM306:")


@pytest.mark.parametrize(
    "source",
    [
        "def test(c):\n    r = get()\n    assert r\n    if r.ok:\n        assert r.text",
        "def test(c):\n    r = get()\n    if r.ok:\n        assert r.text\n    else:\n        assert r.error",
        "def test(c):\n    r = get()\n    if r.ok:\n        assert r.text\n    else:\n        pytest.skip('why')",
        "def test(c):\n    r = get()\n    check(r)\n    if r.ok:\n        assert r.text",
        "def test(c):\n    r = get()\n    r.assert_called()\n    if r.ok:\n        assert r.text",
        "def test(c):\n    r = get()\n    with pytest.raises(ValueError):\n        r.go()\n    if r.ok:\n        assert r.text",
        "def test(c):\n    if c == 'a':\n        assert get()",
        "def test(c):\n    if sys.platform == 'linux':\n        assert get()",
        "def test(c):\n    v = os.environ.get('V')\n    if v:\n        v = v.strip()\n        assert get() == v",
        "def test(c):\n    has = hasattr(c, 'x')\n    if has:\n        assert c.x",
        "def test(c):\n    r = get()\n    if r:\n        if late():\n            pytest.skip('late')\n        assert r.text",
        "def test(c):\n    option = getattr(socket, 'KEEP', None)\n    if option is not None:\n        assert get(option)",
        "def test(c):\n    memory = read()\n    if 'free' in memory:\n        assert memory['free']",
        "def test(c):\n    r = get()\n    if r.status == 426:\n        pass\n    else:\n        assert r.status == 400",
        "def test(c):\n    dialect = get_dialect()\n    if dialect == 'sqlite':\n        return\n    assert get()",
        "@pytest.mark.parametrize('x', 'ab')\ndef test(c):\n    dialect = dialect_of(c)\n    if dialect.a:\n        assert c",
        "@pytest.mark.parametrize('c', 'ab')\ndef test(c):\n    kind = kind_of(c)\n    if kind.a:\n        assert get()",
        "@given(text())\ndef test(c):\n    r = read(c)\n    if r is not None:\n        assert r.text",
        "def test(c):\n    r = get()\n    if r != one:\n        assert r == other",
        "def test(c):\n    r = get()\n    if isinstance(r, A):\n        assert r.a\n    elif isinstance(r, B):\n        assert r.b",
        "def test(c):\n    for r in get():\n        if r.ok:\n            assert r.text",
        "def test(c):\n    r = get()\n    if r.ok:\n        r.close()",
    ],
)
def test_a_choice_between_cases_and_a_second_check_are_fine(source: str) -> None:
    """Parameters and platforms choose; what else is checked, by a helper too, is checked on every way."""
    assert codes(source) == []


@pytest.mark.parametrize(
    "body",
    [
        "try:\n        assert run()\n    except AssertionError:\n        pass",
        "try:\n        assert run()\n    except:\n        return",
        "try:\n        assert run()\n    except (ValueError, Exception):\n        print('no')",
        "try:\n        if run():\n            assert run()\n    except BaseException:\n        ...",
        "with suppress(Exception):\n        assert run()",
    ],
)
def test_an_assertion_whose_failure_is_dropped_is_found(body: str) -> None:
    """`AssertionError` is an exception like others."""
    assert [found.partition(":")[0] for found in codes(f"def test():\n    {body}")] == ["EM307"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n        assert run()\n    except ValueError:\n        pass",
        "try:\n        assert run()\n    except Exception:\n        raise",
        "try:\n        assert run()\n    except Exception as error:\n        errors.append(error)",
        "try:\n        assert run()\n    except Exception:\n        pytest.fail('no')",
        "try:\n        run()\n    except Exception:\n        pass\n    assert run()",
        "for _ in range(3):\n        try:\n            assert run()\n            break\n        except AssertionError:\n            pass",
        "try:\n        def later():\n            assert run()\n    except Exception:\n        pass",
    ],
)
def test_a_failure_that_somebody_may_still_see_is_fine(body: str) -> None:
    """It is raised again, kept, or tried again until it holds."""
    assert codes(f"def test():\n    {body}") == []


@pytest.mark.parametrize(
    "body",
    [
        "try:\n        c = connect()\n    except Exception:\n        return None\n    return c",
        "try:\n        start()\n    except:\n        pass\n    yield",
        "with place():\n        try:\n            start()\n        except:\n            pass\n        yield",
        "try:\n        return connect()\n    except (OSError, Exception):\n        log.info('no')",
        "try:\n        c = connect()\n        c.flush()\n    except Exception:\n        pass\n    yield c",
    ],
)
def test_a_fixture_that_goes_on_without_its_provider_is_found(body: str) -> None:
    """Tests then fail far from where the fault is."""
    assert [found.partition(":")[0] for found in codes(f"def one():\n    {body}", is_fixture=True)] == ["EM304"]


@pytest.mark.parametrize(
    "body",
    [
        "c = connect()\n    yield c\n    try:\n        c.flush_all()\n        c.send('bye')\n    except Exception:\n        pass",
        "try:\n        drop('x')\n    except Exception:\n        pass\n    yield make()",
        "try:\n        import uvloop\n    except Exception:\n        pass\n    yield",
        "try:\n        old = find('x')\n        old.remove()\n    except Exception:\n        pass\n    yield make()",
        "def tidy():\n        try:\n            c.ping()\n        except Exception:\n            pass\n    c = connect()\n    yield c",
        "try:\n        c = up()\n    except Exception:\n        try:\n            bye()\n        except Exception:\n            pass\n        raise\n    yield",
        "try:\n        yield connect()\n    except Exception:\n        pass",
        "try:\n        ping()\n    except Exception:\n        pass\n    else:\n        pytest.fail('up')\n    yield",
        "try:\n        return connect()\n    except KeyError:\n        return None",
        "try:\n        ping()\n    except Exception:\n        up = False\n    else:\n        up = True\n    return up",
        "try:\n        return connect()\n    except Exception as error:\n        raise Missing from error",
    ],
)
def test_tidying_up_and_looking_are_fine(body: str) -> None:
    """What was left over may be gone, what is optional may be missing, a look may see nothing."""
    assert codes(f"def one():\n    {body}", is_fixture=True) == []


@pytest.mark.parametrize(
    "body",
    [
        "try:\n        connect()\n    except ConnectionError:\n        pytest.skip('no')",
        "try:\n        redis.ping()\n    except Exception as e:\n        pytest.skip(str(e))",
        "try:\n        c.get('/')\n    except httpx.ConnectTimeout:\n        pytest.skip('slow')",
        "if not services['database_available']:\n        pytest.skip('no')",
        "if not services.get('redis_available'):\n        skip('no')",
        "if not up():\n        pytest.skip('the backend is not reachable')",
        "if not up():\n        pytest.skip(f'redis at {url} is not running')",
    ],
)
def test_a_skip_in_place_of_a_failure_is_found(body: str) -> None:
    """In a fixture and in a test."""
    for is_fixture in (True, False):
        found = codes(f"def test(services):\n    {body}", is_fixture=is_fixture)
        assert [code.partition(":")[0] for code in found] == ["EM305"]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n        import numpy\n    except ImportError:\n        pytest.skip('no numpy')",
        "try:\n        os.symlink(a, b)\n    except OSError:\n        pytest.skip('no links here')",
        "try:\n        big()\n    except MemoryError:\n        pytest.skip('too small')",
        "if sys.platform == 'win32':\n        pytest.skip('not available here')",
        "if method not in methods:\n        pytest.skip('forkserver contexts are not available')",
        "if services['redis_available']:\n        pytest.skip('about what happens without it')",
        "if not real_llm.is_real:\n        pytest.skip('needs the real one')",
    ],
)
def test_a_skip_for_what_cannot_be_here_is_fine(body: str) -> None:
    """A library, a system, a size, the other case."""
    assert codes(f"def test(services):\n    {body}\n    run()") == []


def test_a_helper_is_nobodys_test() -> None:
    """A private name is collected neither as a test nor, without the decorator, as a fixture."""
    assert codes("def _helper():\n    pass") == []


def test_a_test_may_stand_in_its_docstring() -> None:
    """A plugin for doctests runs it."""
    for prompt in (">>>", "In [1]:"):
        assert codes(f"def test():\n    '''\n    {prompt} run()\n    '''") == []


def test_a_key_that_is_not_set_is_no_outage() -> None:
    """It says what the environment has, and no service was asked."""
    skip = "def test():\n    if not KEY:\n        pytest.skip('{} not available')"
    assert codes(skip.format("API key")) == []
    assert codes(skip.format("API")) == ["EM305:3"]

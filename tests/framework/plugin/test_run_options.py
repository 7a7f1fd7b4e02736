"""The options that a run leaves in its header, for whoever runs one of its tests again."""

import pytest

from envmatrix.masking import MASK
from tests.framework.project import Project


def test_a_run_says_how_its_tests_can_be_run_again(project: Project) -> None:
    """Where its declarations and variables came from, and how pytest ran; neither which tests, nor where results went."""
    project.write("test_a.py", "def test_a(): pass\n")
    project.write("other/tiny.toml", "[services.redis]\nkind = 'redis'\nsource = 'absent'\n")
    project.write("my.env", "A=1\n")
    options = ["--matrix-environments=other", "--matrix-env-file", "my.env", "--matrix-test-deadline=9"]
    project.pytest(*options, "-k", "test_a", "-m", "not slow", "-p", "no:cacheprovider", "--runxfail", "test_a.py")
    header = project.run.header
    assert header.run_options == ("--environments", "other", "--env-file", "my.env", "--test-deadline", "9")
    kept = ("-m", "not slow", "-p", "no:cacheprovider", "--runxfail")
    assert header.pytest_options[-len(kept) :] == kept
    assert not {"-k", "test_a", "test_a.py", "my.env"} & set(header.pytest_options)


@pytest.mark.fault("canary-secret")
def test_a_run_with_overrides_and_another_name_says_both(project: Project) -> None:
    """The header has the alias and its environment, and the words to give again, a secret among them masked."""
    project.write("test_a.py", "def test_a(): pass\n")
    project.write("environments/_base.toml", "[services.redis]\nkind = 'redis'\nsource = 'absent'\n")
    project.write("environments/shop.toml", "extends = '_base.toml'\n")
    url = "redis://:k4nary-of-set@127.0.0.1:1/0"
    project.pytest(
        f"--matrix-set=services.redis.url={url}",
        "--matrix-set",
        "description=a b",
        "--matrix-as=pr-123",
        environment="shop",
    )
    header = project.run.header
    assert (header.environment, header.label, header.base, header.judged_as) == ("pr-123", "pr-123", "shop", "shop")
    masked = f"services.redis.url={url.replace('k4nary-of-set', MASK)}"
    assert header.run_options == ("--set", masked, "--set", "description=a b", "--as", "pr-123")
    assert {"environments/shop.toml", "environments/_base.toml"} <= header.files.keys()
    assert "k4nary" not in project.run_file.read_text()


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--matrix-set=services.nothing.url=x", "--set services.nothing.url: no service 'nothing' is declared"),
        ("--matrix-as=a/b", "--as 'a/b' is no name"),
    ],
)
def test_a_wrong_option_is_a_usage_error(project: Project, option: str, line: str) -> None:
    """The run ends before it collects, with our one line."""
    project.write("test_a.py", "def test_a(): pass\n")
    result = project.pytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert line in "\n".join(result.errlines)

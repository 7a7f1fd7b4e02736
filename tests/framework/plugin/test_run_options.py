"""The options that a run leaves in its header, for whoever runs one of its tests again."""

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

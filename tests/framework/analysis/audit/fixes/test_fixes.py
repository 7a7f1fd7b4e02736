"""What the audit mends: fixtures brought into sight, comments that suppress nothing; all else stays as it was."""

from pathlib import Path
from textwrap import dedent

import pytest

from envmatrix.analysis.audit.audit import AuditResult, audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.fixes.edits import restore, write
from envmatrix.analysis.audit.fixes.fixes import Fixes, compute_fixes
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.index.build import index_of
from envmatrix.exceptions import CannotFixError
from tests.framework.analysis.trees import read_once


def written(root: Path, files: dict[str, str]) -> None:
    """Write the files of a tree, in which only pytest's own plugins are there."""
    (root / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text).lstrip())


def audited(root: Path) -> tuple[AuditResult, Fixes]:
    """Return what is found, and how it is mended."""
    index = index_of(root, load_modules=read_once)
    done = audit(index, RuleSelection(select=("EM101", "EM199", "EM209")), AuditBaseline.empty())
    return done, compute_fixes(index, done.findings)


OUT_OF_SIGHT = {
    "tests/staging/conftest.py": '''
        """The staging deployment."""

        from pathlib import Path
        import os

        import pytest

        HOME = Path.home()


        @pytest.fixture
        def url() -> str:
            return os.environ["URL"]


        # Everything that the tests talk to.
        @pytest.fixture(scope="function")
        def real_services(url, tmp_path):
            """The services."""
            return {"url": url, "path": Path(tmp_path)}  # as a dict


        @pytest.fixture
        def home():
            return HOME
    ''',
    "tests/staging/test_s.py": "def test_s(real_services, home): ...\n",
    "tests/e2e/test_e.py": "def test_e(real_services): ...\n",
}


def test_a_fixture_out_of_sight_is_moved_with_what_it_asks_for_and_imports(tmp_path: Path) -> None:
    """Comments and formatting go with it; what others use of the file stays there."""
    written(tmp_path, OUT_OF_SIGHT)
    done, plan = audited(tmp_path)
    assert [finding.path for finding in done.findings] == ["tests/e2e/test_e.py"]
    assert [edit.path for edit in plan.edits] == ["tests/conftest.py", "tests/staging/conftest.py"]
    made, left = plan.edits
    assert (
        made.after
        == dedent('''
        """Fixtures that the tests of this directory and below share."""

        import os
        from pathlib import Path

        import pytest


        # Everything that the tests talk to.
        @pytest.fixture(scope="function")
        def real_services(url, tmp_path):
            """The services."""
            return {"url": url, "path": Path(tmp_path)}  # as a dict


        @pytest.fixture
        def url() -> str:
            return os.environ["URL"]
    ''').lstrip()
    )
    assert (
        left.after
        == dedent('''
        """The staging deployment."""

        from pathlib import Path

        import pytest

        HOME = Path.home()


        @pytest.fixture
        def home():
            return HOME
    ''').lstrip()
    )
    write(tmp_path, plan.edits)
    assert audited(tmp_path)[0].findings == ()
    restore(tmp_path, plan.edits)
    assert not (tmp_path / "tests/conftest.py").exists()
    assert len(audited(tmp_path)[0].findings) == 1


def test_a_fixture_of_a_helper_module_is_imported(tmp_path: Path) -> None:
    """A module that pytest does not collect is left alone; the nearest conftest imports the fixture from it."""
    written(
        tmp_path,
        {
            "helpers.py": "import pytest\n@pytest.fixture\ndef db(): ...\n",
            "tests/conftest.py": '"""Ours."""\n\nimport os\n\nX = os.sep\n',
            "tests/test_a.py": "def test_a(db): ...\n",
        },
    )
    assert "put it on pythonpath" in audited(tmp_path)[1].refused[0][1]  # `python -m pytest` alone would find it
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --disable-plugin-autoload\n")
    _, plan = audited(tmp_path)
    assert [(edit.path, edit.after) for edit in plan.edits] == [
        ("tests/conftest.py", '"""Ours."""\n\nimport os\n\nfrom helpers import db  # noqa: F401\n\nX = os.sep\n')
    ]
    write(tmp_path, plan.edits)
    assert audited(tmp_path)[0].findings == ()


def test_a_fixture_that_many_places_miss_is_moved_once_to_where_all_see_it(tmp_path: Path) -> None:
    """Not to the directory of whoever is looked at first."""
    written(
        tmp_path,
        {
            "a/b/conftest.py": "import pytest\n@pytest.fixture\ndef db(): ...\n",
            "a/c/test_c.py": "def test_c(db): ...\n",
            "d/test_d.py": "def test_d(db): ...\ndef test_e(db): ...\n",
        },
    )
    done, plan = audited(tmp_path)
    assert len(done.findings) == len(plan.fixed) == 3
    assert [edit.path for edit in plan.edits] == ["a/b/conftest.py", "conftest.py"]


_FIXTURE = "import pytest\n@pytest.fixture\ndef db():\n    "


@pytest.mark.parametrize(
    ("conftest", "why"),
    [
        ("URL = 'x'\n" + _FIXTURE + "return URL\n", "uses URL"),
        ("if 1:\n    import os\n" + _FIXTURE + "return os\n", "uses os"),
        ("from os.path import *\n" + _FIXTURE + "return join('a', 'b')\n", "uses join"),
        ("from codecs import open\nopen = open\n" + _FIXTURE + "return open('a')\n", "uses open"),
        (_FIXTURE + "return __file__\n", "uses __file__"),
        (_FIXTURE + "global N\n    N = 1\n", "uses N"),
        (
            "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a import T\n"
            + _FIXTURE.replace("()", "() -> T")
            + "...",
            "uses T",
        ),
        ("import pytest\ndb = pytest.fixture(lambda: 1)\n", "no plain fixture at the top level"),
        ("import pytest\nif True:\n    @pytest.fixture\n    def db(): ...\n", "no plain fixture at the top level"),
        (_FIXTURE.replace("fixture", "fixture(autouse=True)") + "...\n", "is autouse"),
        (_FIXTURE + "...\nother = db\n", "used by its name"),
        ("import pytest\nimport gone\n" + _FIXTURE + "return gone.db()\n", "may not find gone"),
        ("from .gone import x\n" + _FIXTURE + "return x\n", "may not find .gone"),
        ("from near import x\n" + _FIXTURE + "return x\n", "may not find near"),
        ("from lib import traced\n" + _FIXTURE.replace("\ndef", "\n@traced\ndef") + "...\n", "no plain fixture"),
        ("from lib import fixture\n" + _FIXTURE.replace("pytest.", "") + "...\n", "no plain fixture"),
        ("from unittest.mock import Mock\n" + _FIXTURE + "return Mock()\n", "gives a mock"),
        (_FIXTURE.replace("()", "() -> str") + "...\n", "gives no T"),
        ('__all__ = ["db"]\n' + _FIXTURE + "...\n", "used by its name"),
    ],
)
def test_what_is_not_safe_is_refused_with_the_reason(tmp_path: Path, conftest: str, why: str) -> None:
    """What means something else elsewhere, what others use by its name, and what is no plain function stays where it is."""
    written(tmp_path, {"a/conftest.py": conftest, "a/near.py": "x = 1\n", "b/test_b.py": "def test_b(db: T): ...\n"})
    _, plan = audited(tmp_path)
    assert plan.edits == ()
    assert why in plan.refused[0][1]


@pytest.mark.parametrize(
    "files",
    [
        {"a/conftest.py": _FIXTURE + "...\n", "c/conftest.py": _FIXTURE + "return 1\n"},
        {"a/conftest.py": _FIXTURE + "...\n" + _FIXTURE + "return 1\n"},
        {"a/conftest.py": _FIXTURE + "...\n", "a/b/conftest.py": _FIXTURE + "...\n"},
        {"a/test_a.py": _FIXTURE + "...\n"},
        {"a/test_a.py": "import pytest\nclass TestA:\n    @pytest.fixture\n    def db(self): ...\n"},
    ],
)
def test_which_of_several_is_meant_and_whether_a_tests_own_is_only_a_person_knows(
    tmp_path: Path, files: dict[str, str]
) -> None:
    """Nothing is changed, and there is nothing to say beside the finding's advice."""
    written(tmp_path, {**files, "b/test_b.py": "def test_b(db): ...\n"})
    done, plan = audited(tmp_path)
    assert "a/" in done.findings[0].hint
    assert (plan.edits, plan.fixed, plan.refused) == ((), (), ())


@pytest.mark.parametrize(
    ("gives", "asked"),
    [("", ": int"), (" -> 'Iterator[Shop]'", ": 'lib.Shop | None'"), (" -> 'Shop'", ": 'Any'"), (" -> 'Shop'", "")],
)
def test_an_annotation_that_fits_or_is_not_there_is_no_reason_to_refuse(tmp_path: Path, gives: str, asked: str) -> None:
    """One name in both is enough: what is yielded, what may be None."""
    conftest = _FIXTURE.replace("()", f"(){gives}") + "...\n"
    written(tmp_path, {"a/conftest.py": conftest, "b/test_b.py": f"def test_b(db{asked}): ...\n"})
    assert [edit.path for edit in audited(tmp_path)[1].edits] == ["a/conftest.py", "conftest.py"]


def test_a_name_of_its_own_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """It is the function's, though the module has one that is called the same."""
    conftest = "data = 1\n" + _FIXTURE + "data = 2\n    return [data for data in (data,)]\n"
    written(tmp_path, {"a/conftest.py": conftest, "b/test_b.py": "def test_b(db): ...\n"})
    assert [edit.path for edit in audited(tmp_path)[1].edits] == ["a/conftest.py", "conftest.py"]


def test_annotations_that_are_not_evaluated_stay_so(tmp_path: Path) -> None:
    """A new file gets what the old one begins with; to one that has other rules, nothing is moved."""
    lazy = "from __future__ import annotations\nfrom os import PathLike\n"
    conftest = lazy + _FIXTURE.replace("()", "() -> PathLike[str]") + "...\n"
    written(tmp_path, {"a/conftest.py": conftest, "b/test_b.py": "def test_b(db): ...\n"})
    made = audited(tmp_path)[1].edits[-1]
    assert made.after.splitlines()[2:7] == [
        "from __future__ import annotations",
        "",
        "from os import PathLike",
        "",
        "import pytest",
    ]
    (tmp_path / "conftest.py").write_text("import os\n")
    assert "from __future__" in audited(tmp_path)[1].refused[0][1]


def test_what_surrounds_a_change_stays_as_it_is(tmp_path: Path) -> None:
    """Line ends, a byte order mark, the line behind the docstring; a function is indented as its file is."""
    written(tmp_path, {"b/test_b.py": "def test_b(db): ...\n", "a/b.py": ""})
    conftest = '"""Ours."""\n\nimport os\n\nimport pytest\n\n\n@pytest.fixture\ndef db():\n\treturn os'
    (tmp_path / "a/conftest.py").write_bytes(("\ufeff" + conftest.replace("\n", "\r\n")).encode())
    (tmp_path / "conftest.py").write_bytes("\ufeffimport sys\nimport b.c\n\nX = sys".encode())
    made, target = audited(tmp_path)[1].edits
    assert made.after == '\ufeff"""Ours."""\r\n'
    assert target.after == (
        "\ufeffimport os\nimport sys\nimport b.c\nimport pytest\n\nX = sys\n"
        "\n\n@pytest.fixture\ndef db():\n    return os\n"
    )


@pytest.mark.fault("not-utf8")
def test_a_file_of_another_encoding_is_left_alone(tmp_path: Path) -> None:
    """It is read like any other, but what is written is UTF-8."""
    written(tmp_path, {"b/test_b.py": "def test_b(db): ...\n", "a/conftest.py": ""})
    text = "# coding: latin-1\nimport pytest\n@pytest.fixture\ndef db():\n    return 'é'\n"
    (tmp_path / "a/conftest.py").write_bytes(text.encode("latin-1"))
    _, plan = audited(tmp_path)
    assert plan.edits == ()
    assert plan.refused[0][1] == "a/conftest.py is not UTF-8: mend it by hand"


GIVES_DICT = "import pytest\n@pytest.fixture\ndef real_llm():\n    return {'model': 'm', 'provider': 'p'}\n"
GIVES_OBJECT = "import pytest, types\n@pytest.fixture\ndef real_llm():\n    return types.SimpleNamespace(model='m')\n"


@pytest.mark.parametrize(
    ("conftest", "before", "after"),
    [
        (GIVES_DICT, "real_llm.model, real_llm.provider", 'real_llm["model"], real_llm["provider"]'),
        (GIVES_OBJECT, "real_llm['model']", "real_llm.model"),
    ],
)
def test_a_read_is_written_as_what_is_given_takes_it(tmp_path: Path, conftest: str, before: str, after: str) -> None:
    """A dict by its keys, an object by its attributes: several in one line, too."""
    written(tmp_path, {"conftest.py": conftest, "test_a.py": f"def test_a(real_llm):\n    assert {before}\n"})
    done, plan = audited(tmp_path)
    assert {finding.code for finding in done.findings} == {"EM209"}
    assert (plan.refused, len(plan.fixed)) == ((), len(done.findings))
    assert [edit.after for edit in plan.edits] == [f"def test_a(real_llm):\n    assert {after}\n"]
    write(tmp_path, plan.edits)
    assert audited(tmp_path)[0].findings == ()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            {"a/conftest.py": GIVES_OBJECT, "a/test_b.py": "from test_a import TestA"},
            "not surely given 'model' by a dict",
        ),
        (
            {
                "a/test_b.py": "import pytest, test_a\n@pytest.mark.parametrize('real_llm', [1])\nclass TestB(test_a.TestA): ..."
            },
            "may be given 'real_llm' otherwise",
        ),
        (
            {"a/test_b.py": "import lib, test_a\n@lib.given\nclass TestB(test_a.TestA): ..."},
            "may be given 'real_llm' otherwise",
        ),
        (
            {"conftest.py": "import pytest\nif X:\n    @pytest.fixture\n    def real_llm(): return {'model': 1}"},
            "not surely",
        ),
        ({"conftest.py": GIVES_DICT.replace("'model'", "'modle'")}, "not surely given 'model' by a dict"),
    ],
)
def test_a_read_that_may_be_right_for_some_is_left(tmp_path: Path, files: dict[str, str], why: str) -> None:
    """A test that is collected again elsewhere may be given another kind there, or a value; and a key may not be there."""
    test = "class TestA:\n    def test_a(self, real_llm):\n        assert real_llm.model\n"
    ini = "[pytest]\npythonpath = .\naddopts = --disable-plugin-autoload\n"
    written(tmp_path, {"conftest.py": GIVES_DICT, "test_a.py": test, **files})
    (tmp_path / "pytest.ini").write_text(ini)
    done, plan = audited(tmp_path)
    assert [finding.code for finding in done.findings] == ["EM209"]
    assert plan.edits == ()
    assert why in plan.refused[0][1]


def test_a_read_of_a_fixture_or_with_a_default_is_left(tmp_path: Path) -> None:
    """Whoever asks for the fixture may bring another provider; and what `get` falls back on would be gone."""
    reads = "@pytest.fixture\ndef model(real_llm): return real_llm['model']\n"
    test = "def test_a(real_llm, model): assert real_llm.get('model', 1)\n"
    written(tmp_path, {"conftest.py": GIVES_OBJECT + reads, "test_a.py": test})
    _, plan = audited(tmp_path)
    assert plan.edits == ()
    assert {why.partition(":")[0] for _, why in plan.refused} == {
        "it is not read by a test itself, and others may be given something else",
        "get may fall back on something",
    }


def test_a_comment_that_suppresses_nothing_is_taken_out(tmp_path: Path) -> None:
    """Only the code in question; what another tool reads stays."""
    written(tmp_path, {"test_a.py": "def test_a(): ...  # noqa: EM101, E501\ndef test_b(): ...  # noqa: EM101\n"})
    _, plan = audited(tmp_path)
    assert plan.edits[0].after == "def test_a(): ...  # noqa: E501\ndef test_b(): ...\n"


def test_a_form_feed_ends_no_line(tmp_path: Path) -> None:
    """Python counts none there, and neither does who takes a comment out."""
    written(tmp_path, {"test_a.py": "A = 1\n\f\nB = '\x85'\ndef test_a(): ...  # noqa: EM101\n"})
    assert audited(tmp_path)[1].edits[0].after == "A = 1\n\f\nB = '\x85'\ndef test_a(): ...\n"


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody saved it between the look and the change: nothing is written at all."""
    written(tmp_path, OUT_OF_SIGHT)
    _, plan = audited(tmp_path)
    (tmp_path / "tests/staging/conftest.py").write_text("# new\n")
    with pytest.raises(CannotFixError, match="changed meanwhile"):
        write(tmp_path, plan.edits)
    assert not (tmp_path / "tests/conftest.py").exists()

"""The built page, as it ships: a place for the data, and a policy that fits what it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from tests.framework.docs_pages import ROOT

TEMPLATE = resources.files("envmatrix.report").joinpath("page/page.html").read_text(encoding="utf-8")


def test_the_place_of_the_data_is_there_once_before_the_script() -> None:
    """The script runs when the data has been read."""
    assert TEMPLATE.count("<!--chunks-->") == 1
    assert TEMPLATE.index("<!--chunks-->") < TEMPLATE.index("<script")


def test_the_policy_names_the_script_and_the_styles_by_hash() -> None:
    """Whoever edits the built page by hand gets an empty one."""
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", TEMPLATE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in TEMPLATE


def test_our_own_code_sets_no_markup() -> None:
    """What a test or a log says is text; a library's way to set markup is not taken, and the policy would refuse it."""
    sources = [path.read_text() for path in (ROOT / "page/src").rglob("*.ts*")]
    assert sources
    assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document.write", "".join(sources))
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in TEMPLATE

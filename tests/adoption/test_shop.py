"""A product with an API, a database, migrations and a form as login: its suite takes the API's address by a variable."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from tests.adoption.adopted import Adopted


def test_a_product_with_migrations_and_a_form_as_login(
    adopt: Callable[[str], Adopted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds with one worker and with two; where a migration is missing, the tests of the new column fail, and no other."""
    monkeypatch.setenv("SECRET_KEY", "signs-for-all-workers")
    project = adopt("shop")
    project.by_hand(
        "local",
        """
        [services.backend]
        health = "/api/v1/utils/health-check/"
        protected = "/api/v1/users/me"
        [users]
        service = "backend"
        signup = "/api/v1/users/signup"
        login = "/api/v1/login/access-token"
        encoding = "form"
        fields = { email = "username" }
        """,
    )
    project.by_hand(
        "staging",
        """
        extends = "local.toml"
        services.backend.env.WEB_CONCURRENCY = "2"
        """,
    )
    project.holds(local=5, staging=5)

    project.by_hand("staging", 'services.release.env.MIGRATE_TO = "0001"')
    logic = (Outcome.FAILED, Cause.LOGIC, RuleCode.FAILED_ON_HEALTHY)
    assert project.breaks() == {
        ("staging", "tests/test_items.py::test_nothing_at_first"): logic,
        ("staging", "tests/test_items.py::test_an_item_keeps_its_price"): logic,
    }

"""EM302: tokens and keys of services in the text of tests and conftests, by the patterns of detect-secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.exceptions import DeclarationError, MissingExtraError
from envmatrix.safety.input_files import read_bytes

RULES = (AuditRule("EM302", "token-in-source", "A token of a service stands in the source of a test.", is_opt_in=True),)

_HINT = "Revoke it, then read it from the environment: git keeps what was once committed"
_EXAMPLE = "EXAMPLE"
"""Part of the keys in the documentation of AWS."""


def findings(index: Index, survey: Survey) -> Iterator[AuditFinding]:  # noqa: ARG001 -- every family is called so
    """Yield the tokens in a tree's tests and conftests; the message says of which kind they are, never the token.

    Raises:
        MissingExtraError: detect-secrets is not installed.
    """
    patterns = tuple(_patterns())
    for path in {path for project in index.projects for path in (*project.conftests, *project.test_files)}:
        with suppress(DeclarationError):  # gone meanwhile, or too large: no test
            text = read_bytes(index.root / path).decode(errors="replace")
            for kind, pattern in patterns:
                for match in pattern.finditer(text):
                    if _EXAMPLE not in match[0]:
                        start = match.start()
                        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
                        yield AuditFinding(path, line, column, "EM302", f"{kind} in the source", _HINT)


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Yield each kind of token and a pattern: those with a form of their own, that hardly anything else has."""
    try:
        from detect_secrets.plugins import (
            aws,
            discord,
            github_token,
            mailchimp,
            npm,
            sendgrid,
            slack,
            square_oauth,
            stripe,
        )
    except ModuleNotFoundError:
        raise MissingExtraError("detect_secrets", "secrets") from None
    for detector in (
        aws.AWSKeyDetector,
        discord.DiscordBotTokenDetector,
        github_token.GitHubTokenDetector,
        mailchimp.MailchimpDetector,
        npm.NpmDetector,
        sendgrid.SendGridDetector,
        slack.SlackDetector,
        square_oauth.SquareOAuthDetector,
        stripe.StripeDetector,
    ):
        for pattern in detector.denylist:
            yield detector.secret_type, pattern

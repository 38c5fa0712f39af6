"""All answers of this run against the daemon's own document and, optionally, another one (see schemas.py)."""

import pytest

import schemas

# Of the operations of FLORIN_OPENAPI, how many are answered with success in a whole run, at least.
OPERATIONS_MIN = 112


def test_answers_have_the_documented_shapes():
    assert schemas.checked
    lines = [f"{count} times: {finding}" for finding, count in sorted(schemas.findings.items())]
    assert not lines, "\n".join(lines)


def test_every_operation_of_the_daemon_was_answered_with_success():
    _, missing = schemas.coverage(schemas.OWN)

    assert missing == []


def test_enough_operations_are_covered():
    if not schemas.enabled():
        pytest.skip("FLORIN_OPENAPI names no OpenAPI document")

    count, missing = schemas.coverage("")

    assert count >= OPERATIONS_MIN, missing

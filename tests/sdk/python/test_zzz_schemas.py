"""Optional: all answers of this run against an OpenAPI document (see schemas.py)."""

import pytest

import schemas


def test_answers_have_the_documented_shapes():
    if not schemas.enabled():
        pytest.skip("FLORIN_OPENAPI names no OpenAPI document")

    assert schemas.checked > 0
    lines = [f"{count} times: {finding}" for finding, count in sorted(schemas.findings.items())]
    assert not lines, "\n".join(lines)

"""Every answer is checked against what the daemon says of itself, and, where FLORIN_OPENAPI names an OpenAPI document,
against that one's schemas too.

The findings are kept until the end, so that a wrong shape is reported once by test_zzz_schemas.py and does not
hide what a test is about.
"""

import json
import os
import re
from urllib.parse import urlsplit

import stripe
from jsonschema import Draft4Validator

DOCUMENT = os.environ.get("FLORIN_OPENAPI", "")

# "GET /v1/charges 200: data.0.amount: …" to how often it was seen.
findings = {}
# Answers that were checked, by document.
checked = {}
# Operations, as (method, path), that were answered with success at least once: of FLORIN_OPENAPI under "", and of the
# daemon's own document under its name.
covered = {}
OWN = "the daemon's own document"
_checks = None


def enabled() -> bool:
    return bool(DOCUMENT) and os.path.exists(DOCUMENT)


def http_client():
    return CheckingClient()


def check(method, path, status, body):
    """Checks an answer, however it was asked for."""
    global _checks
    if _checks is None:
        from support import request_unchecked

        own = json.loads(request_unchecked("GET", "/florin/openapi.json", key=None).body)
        _checks = [Schemas(own, OWN)]
        if enabled():
            with open(DOCUMENT, encoding="utf-8") as file:
                _checks.append(Schemas(amended(json.load(file)), ""))
    for schemas in _checks:
        schemas.check(method, path, status, body)


def coverage(name):
    """How many operations of a document were answered with success, and those that never were."""
    known = {(route[1], route[3]) for schemas in _checks or [] if schemas.name == name for route in schemas.routes}
    done = covered.get(name, set())
    return len(done), sorted(known - done, key=lambda operation: (operation[1], operation[0]))


class CheckingClient(stripe.RequestsClient):
    """The SDK's own client, with a look at each answer in passing."""

    def request(self, method, url, headers, post_data=None):
        body, status, answer_headers = super().request(method, url, headers, post_data)
        check(method, urlsplit(url).path, status, body)
        return body, status, answer_headers


class Schemas:
    def __init__(self, document, name):
        self.name = name
        document = admit_null(document)
        self.routes = []
        # Templates without operations stand for what the document does not know.
        self.unknown = {template for template, operations in document["paths"].items() if not operations}
        for template, operations in document["paths"].items():
            pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template) + "$")
            for method, operation in operations.items():
                validators = {}
                for status, response in operation.get("responses", {}).items():
                    schema = response.get("content", {}).get("application/json", {}).get("schema")
                    if schema is not None:
                        rooted = {**schema, "components": document["components"]}
                        validators[status] = Draft4Validator(rooted)
                # Literal routes come before those with a parameter: /v1/charges/search is no charge.
                self.routes.append((template.count("{"), method.upper(), pattern, template, validators))
        self.routes.sort(key=lambda route: route[0])

    def check(self, method, path, status, body):
        if path in self.unknown:
            return
        for _, route_method, pattern, template, validators in self.routes:
            if route_method != method.upper() or not pattern.match(path):
                continue
            validator = validators.get(str(status), validators.get("default"))
            if 200 <= status < 300:
                covered.setdefault(self.name, set()).add((route_method, template))
            if validator is not None:
                checked[self.name] = checked.get(self.name, 0) + 1
                for error in validator.iter_errors(json.loads(body)):
                    place = ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path)
                    finding = f"{method.upper()} {template} {status}: {place}: {error.message[:160]} {self.name}"
                    findings[finding] = findings.get(finding, 0) + 1
            return
        if self.name and 200 <= status < 300:
            finding = f"{method.upper()} {path} {status}: not in {self.name}"
            findings[finding] = findings.get(finding, 0) + 1


def amended(document):
    """The compatible API's document, where it is known to be narrower than the answers of that API."""
    schemas = document["components"]["schemas"]
    # Sent for a transfer's arrival on a connected account, though the document does not list it.
    schemas["Event"]["properties"]["type"]["enum"].append("payment.created")
    # Not in the document, whose template of one customer would take it for one.
    document["paths"]["/v1/customers/search"] = {}
    # Rates have decimals.
    schemas["ExchangeRate"]["properties"]["rates"]["additionalProperties"] = {"type": "number"}
    return document


def admit_null(node):
    """OpenAPI 3.0 writes `nullable`; JSON Schema wants null among the types."""
    if isinstance(node, list):
        return [admit_null(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    schema = {name: admit_null(value) for name, value in node.items()}
    if schema.pop("nullable", False) is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema

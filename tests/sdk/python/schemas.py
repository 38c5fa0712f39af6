"""Optional: every answer the SDK receives is checked against an OpenAPI document named by FLORIN_OPENAPI.

The findings are kept until the end, so that a wrong shape is reported once by test_zzz_schemas.py and does not
hide what a test is about.
"""

import json
import os
import re
from urllib.parse import urlsplit

import stripe

DOCUMENT = os.environ.get("FLORIN_OPENAPI", "")

# "GET /v1/charges 200: data.0.amount: …" to how often it was seen.
findings = {}
checked = 0


def enabled() -> bool:
    return bool(DOCUMENT) and os.path.exists(DOCUMENT)


def http_client():
    """None (the SDK then makes its own client) unless answers are to be checked."""
    return CheckingClient(Schemas(DOCUMENT)) if enabled() else None


class CheckingClient(stripe.RequestsClient):
    """The SDK's own client, with a look at each answer in passing."""

    def __init__(self, schemas):
        super().__init__()
        self._schemas = schemas

    def request(self, method, url, headers, post_data=None):
        body, status, answer_headers = super().request(method, url, headers, post_data)
        self._schemas.check(method, urlsplit(url).path, status, body)
        return body, status, answer_headers


class Schemas:
    def __init__(self, path):
        from jsonschema import Draft4Validator

        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        document = admit_null(document)
        # Sent for a transfer's arrival on a connected account, though the document does not list it.
        document["components"]["schemas"]["Event"]["properties"]["type"]["enum"].append("payment.created")
        self.routes = []
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
        global checked
        for _, route_method, pattern, template, validators in self.routes:
            if route_method != method.upper() or not pattern.match(path):
                continue
            validator = validators.get(str(status), validators.get("default"))
            if validator is not None:
                checked += 1
                for error in validator.iter_errors(json.loads(body)):
                    place = ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path)
                    finding = f"{method.upper()} {template} {status}: {place}: {error.message[:160]}"
                    findings[finding] = findings.get(finding, 0) + 1
            return


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

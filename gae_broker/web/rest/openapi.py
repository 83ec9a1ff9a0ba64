"""The API as an OpenAPI 3.1 description."""

from __future__ import annotations

from typing import Any

from gae_broker import __version__
from gae_broker.web.rest.methods import BASE_PATH, COMMON, METHODS, SCHEMAS, Method, Parameter

PATH = "/openapi.json"
_JSON = "application/json"
_REFERENCE = "#/components/schemas/"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "errors"],
            "properties": {
                "code": {"type": "integer", "description": "The status again."},
                "message": {"type": "string", "description": "What is wrong, and what to do about it."},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["domain", "reason", "message"],
                        "properties": {
                            "domain": {"type": "string"},
                            "reason": {"type": "string", "description": "A word for programs, like notFound."},
                            "message": {"type": "string"},
                            "location": {"type": "string", "description": "The parameter or header concerned."},
                            "locationType": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
}
_PROBE = {
    "type": "object",
    "required": ["ok"],
    "properties": {"ok": {"type": "boolean"}},
}


def document() -> dict[str, Any]:
    """The description."""
    paths: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        paths.setdefault(BASE_PATH + method.path, {})[method.http.lower()] = _operation(method)
    paths["/healthz"] = {"get": _probe("healthz", "Whether the process works.")}
    paths["/readyz"] = {"get": _probe("readyz", "Whether broker, ledger and queue.yaml can be used, check by check.")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Task Queue API v1beta2",
            "description": "App Engine's pull queues over REST, as `gae-broker serve` offers them.",
            "version": __version__,
        },
        "paths": paths,
        "components": {
            "schemas": {**{name: _referring(schema) for name, schema in SCHEMAS.items()}, "Error": _ERROR},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of GAE_BROKER_SERVE_TOKENS; on loopback none is needed while none is set.",
                }
            },
            "responses": {
                "Error": {
                    "description": "It was not done.",
                    "content": {_JSON: {"schema": {"$ref": f"{_REFERENCE}Error"}}},
                }
            },
        },
    }


def _operation(method: Method) -> dict[str, Any]:
    done: dict[str, Any] = {"204": {"description": "Done."}}
    if method.response:
        schema = {"$ref": _REFERENCE + method.response}
        done = {"200": {"description": "Done.", "content": {_JSON: {"schema": schema}}}}
    operation: dict[str, Any] = {
        "operationId": method.id,
        "description": method.description,
        "parameters": [_parameter(parameter) for parameter in (*method.parameters, *COMMON)],
        "responses": {**done, "default": {"$ref": "#/components/responses/Error"}},
        "security": [{"token": []}],
    }
    if method.request:
        content = {_JSON: {"schema": {"$ref": _REFERENCE + method.request}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = dict(parameter.schema)
    if parameter.minimum is not None:
        schema |= {"minimum": parameter.minimum, "maximum": parameter.maximum}
    if parameter.pattern:
        schema["pattern"] = parameter.pattern
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": "path" if parameter.in_path else "query",
        "description": parameter.description,
        "required": parameter.required,
        "schema": schema,
    }


def _referring(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A schema whose references are OpenAPI's."""
    if isinstance(schema, list):
        return [_referring(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _REFERENCE + value if key == "$ref" else _referring(value) for key, value in schema.items()}


def _probe(name: str, description: str) -> dict[str, Any]:
    answer = {"content": {_JSON: {"schema": _PROBE}}}
    return {
        "operationId": name,
        "description": description,
        "responses": {"200": {"description": "Yes.", **answer}, "503": {"description": "No.", **answer}},
        "security": [],
    }

"""The API as a discovery document, from which Google's client libraries make a client at run time."""

from __future__ import annotations

from typing import Any

from gae_broker.web.rest.methods import BASE_PATH, COMMON, METHODS, NAME, SCHEMAS, VERSION, Method, Parameter

REVISION = "20130318"
"""Google's, which this is made after."""
PATH = f"/discovery/v1/apis/{NAME}/{VERSION}/rest"
SCOPES = {
    "https://www.googleapis.com/auth/taskqueue": "Use task queues.",
    "https://www.googleapis.com/auth/taskqueue.consumer": "Lease tasks and delete them.",
}
"""Named for clients that ask for them; here a token is what it is, whatever scope it was asked for."""


def document(root_url: str) -> dict[str, Any]:
    """The document of the API at this server.

    Args:
        root_url: ``http://127.0.0.1:8090/``.
    """
    resources: dict[str, dict[str, Any]] = {}
    for method in METHODS:
        resources.setdefault(method.resource, {"methods": {}})["methods"][method.name] = _method(method)
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"{NAME}:{VERSION}",
        "name": NAME,
        "version": VERSION,
        "revision": REVISION,
        "title": "TaskQueue API",
        "description": "App Engine's pull queues over REST.",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": BASE_PATH.lstrip("/"),
        "baseUrl": root_url + BASE_PATH.lstrip("/"),
        "basePath": BASE_PATH,
        "parameters": {parameter.name: _parameter(parameter) for parameter in COMMON},
        "auth": {"oauth2": {"scopes": {scope: {"description": text} for scope, text in SCOPES.items()}}},
        "schemas": {name: {"id": name, **schema} for name, schema in SCHEMAS.items()},
        "resources": resources,
    }


def _method(method: Method) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": method.id,
        "path": method.path,
        "httpMethod": method.http,
        "description": method.description,
        "parameters": {parameter.name: _parameter(parameter) for parameter in method.parameters},
        "parameterOrder": [parameter.name for parameter in method.parameters if parameter.required],
        "scopes": list(SCOPES),
    }
    if method.request:
        described["request"] = {"$ref": method.request}
    if method.response:
        described["response"] = {"$ref": method.response}
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {**parameter.schema, "description": parameter.description}
    described["location"] = "path" if parameter.in_path else "query"
    if parameter.required:
        described["required"] = True
    if parameter.minimum is not None:
        described |= {"minimum": str(parameter.minimum), "maximum": str(parameter.maximum)}
    if parameter.choices:
        described |= {"enum": list(parameter.choices)}
    if parameter.default:
        described["default"] = parameter.default
    return described

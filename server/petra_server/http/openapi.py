"""The OpenAPI document, made from the table of endpoints and the types of bodies, so that it says what is so. Pure."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus
from typing import Any

import msgspec

from petra_server import __version__
from petra_server.http import bodies
from petra_server.http.endpoints import ENDPOINTS, Endpoint
from petra_server.http.incoming import (
    MAX_REQUEST_ID_CHARACTERS,
    MAX_TIMEOUT_MS,
    MIN_TIMEOUT_MS,
    REQUEST_ID_HEADER,
    TIMEOUT_HEADER,
)
from petra_server.http.status import STATUS_OF_REASON, AnyReason

# Of JSON, whose shape is what this module is about.
_Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
# What the HTTP server itself answers to what is no HTTP, and to more connections than it takes.
_BY_THE_SERVER = {HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE}
_TEXT: _Json = {"text/plain": {"schema": {"type": "string"}}}
# They have no handler that reads their parameters.
_PAGES: _Json = {
    "/metrics": {
        "get": {
            "operationId": "metrics",
            "tags": ["operation"],
            "summary": "What the server counts, for Prometheus",
            "responses": {
                "200": {
                    "description": "The text format of Prometheus, or OpenMetrics for who accepts that.",
                    "content": {**_TEXT, "application/openmetrics-text": {"schema": {"type": "string"}}},
                }
            },
        }
    },
    "/openapi.json": {
        "get": {
            "operationId": "openapi",
            "tags": ["operation"],
            "summary": "This document",
            "responses": {
                "200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}
            },
        }
    },
}


def document() -> _Json:
    """The whole document."""
    kinds = [endpoint.answer for endpoint in ENDPOINTS]
    kinds_of_bodies = [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]
    _, components = msgspec.json.schema_components(
        [*dict.fromkeys([*kinds, *kinds_of_bodies, bodies.FailureAnswer])], ref_template=_REFERENCE
    )
    paths: defaultdict[str, _Json] = defaultdict(dict)
    for endpoint in ENDPOINTS:
        paths[endpoint.path][endpoint.verb.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Petra",
            "version": __version__,
            "description": "Keys, values and SQL over HTTP. docs/http.md of the project has the whole story.",
        },
        "paths": {**paths, **_PAGES},
        "components": {"schemas": {name: _strict(schema) for name, schema in components.items()}},
    }


def _operation(endpoint: Endpoint) -> _Json:
    operation: _Json = {
        "operationId": endpoint.operation_id or endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": not endpoint.body_optional,
            "content": {"application/json": {"schema": _reference(endpoint.body)}},
        }
    return operation


def _parameters(endpoint: Endpoint) -> list[_Json]:
    parameters: list[_Json] = []
    if endpoint.in_path:
        name, meaning = endpoint.in_path
        # An empty one would be another path.
        schema = {"type": "string", "minLength": 1}
        parameters.append({"name": name, "in": "path", "required": True, "description": meaning, "schema": schema})
    (_, components) = msgspec.json.schema_components([endpoint.query], ref_template=_REFERENCE)
    query = components[endpoint.query.__name__]
    for name, schema in query["properties"].items():
        about = dict(schema)
        parameter = {"name": name, "in": "query", "required": name in query["required"]}
        if "description" in about:
            parameter["description"] = about.pop("description")
        parameters.append({**parameter, "schema": about})
    if endpoint.tag != "operation":
        timeout = {"type": "integer", "minimum": MIN_TIMEOUT_MS, "maximum": MAX_TIMEOUT_MS}
        parameters.append(_header(TIMEOUT_HEADER, "How long the client waits.", timeout))
    if endpoint.once:
        key = {"type": "string", "minLength": 1, "maxLength": MAX_REQUEST_ID_CHARACTERS}
        parameters.append(_header(REQUEST_ID_HEADER, "Makes it safe to send the request again.", key))
    return parameters


def _header(name: str, meaning: str, schema: _Json) -> _Json:
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": schema}


def _responses(endpoint: Endpoint) -> _Json:
    reasons: defaultdict[HTTPStatus, list[AnyReason]] = defaultdict(list)
    for reason in sorted(endpoint.reasons):
        reasons[STATUS_OF_REASON[reason]].append(reason)
    responses: _Json = {"200": {"description": "Done.", "content": _json(_reference(endpoint.answer))}}
    for status, each in sorted(reasons.items()):
        codes = {"properties": {"error": {"properties": {"code": {"enum": [reason.value for reason in each]}}}}}
        content = _json({"allOf": [_reference(bodies.FailureAnswer), codes]})
        if status in _BY_THE_SERVER:
            content |= _TEXT
        responses[str(int(status))] = {"description": ", ".join(reason.value for reason in each), "content": content}
        if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE):
            retry = {"description": "Seconds, when it is known.", "schema": {"type": "integer", "minimum": 1}}
            responses[str(int(status))]["headers"] = {"Retry-After": retry}
    return responses


def _json(schema: _Json) -> _Json:
    return {"application/json": {"schema": schema}}


def _reference(kind: type) -> _Json:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _strict(schema: _Json) -> _Json:
    """What the server answers always has `success`, and nothing else than what is said."""
    if "success" in schema.get("properties", {}):
        return {**schema, "required": ["success", *schema["required"]], "additionalProperties": False}
    return schema

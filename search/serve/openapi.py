"""The web API of a model in OpenAPI 3.1: what it takes and gives, with examples, made from its signature."""

from __future__ import annotations

from typing import Any, Final

from search import __version__
from search.bundle.signature import Input, Kind, Signature
from search.serve.backend import Served
from search.serve.examples import example_columns, example_row
from search.serve.limits import Limits
from search.serve.values import bound_of, takes_truth

_ERRORS: Final = {
    "400": "This is no HTTP request, or its body is no JSON.",
    "401": "The token is missing or wrong.",
    "403": "A page of another origin asks.",
    "404": "There is nothing of this name yet.",
    "408": "The body came too slowly.",
    "413": "There are more bytes or rows than a request may have.",
    "415": "The body is not application/json, or compressed.",
    "421": "The server is not known under this Host.",
    "422": "A row is not what the model takes; the answer names row and column.",
    "429": "The client asks too often; Retry-After says when to come again.",
    "500": "A fault of the server.",
    "503": "Too much is being predicted; send it again.",
    "504": "The prediction took too long.",
    "507": "The disk is full; nothing of the request is stored.",
}
_ALWAYS: Final = ("400", "403", "421", "500")


def describe(served: Served, limits: Limits, *, secured: bool) -> dict[str, Any]:
    """Return the description of an API.

    Args:
        served: The model that answers.
        limits: Of a request.
        secured: Whether requests bring a token.
    """
    signature = served.bundle.signature
    security: list[dict[str, list[str]]] = [{"token": []}] if secured else []
    predict = ("408", "413", "415", "422", "429", "503", "504", *(("401",) if secured else ()))
    asked = ("429", *(("401",) if secured else ()))
    components: dict[str, Any] = {"schemas": shapes(signature, limits)}
    if secured:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    text = {"text/markdown": {"schema": {"type": "string"}}}
    told = {"application/json": {"schema": {"type": "object", "required": ["model", "digest", "signature"]}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": served.label,
            "version": str(served.version or __version__),
            "description": f"Predicts {signature.target or 'a target'} ({signature.task}).",
        },
        "paths": {
            "/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": "Predict one row, or several.",
                    "security": security,
                    "parameters": [_request_id()],
                    "requestBody": _body(signature),
                    "responses": _responses(ref("Predictions", "PredictedColumns"), predict),
                }
            },
            "/model": {
                "get": {
                    "operationId": "model",
                    "summary": "The card, signature and hashes of the model; as Markdown the card alone.",
                    "security": security,
                    "responses": answers({**told, **text}, asked),
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Counts for Prometheus.",
                    "security": security,
                    "responses": answers({"text/plain": {"schema": {"type": "string"}}}, asked),
                }
            },
            "/health": {"get": _status("health", "It answers.", "ok", ())},
            "/ready": {"get": _status("ready", "Its model predicts.", "ready", ("503",))},
        },
        "components": components,
    }


def shapes(signature: Signature, limits: Limits) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of all that is sent and answered, by name."""
    return {
        "Row": _row(signature),
        "Rows": _rows(limits),
        "Columns": _columns(signature, limits),
        "Predictions": _predictions(signature),
        "PredictedColumns": _predicted_columns(signature),
        "Error": _error(),
    }


def _value(given: Input) -> dict[str, Any]:
    if not given.used:
        return {"description": "The model does not read it; it may be there."}
    if given.kind is Kind.IMAGE:
        return _image(given)
    if given.kind is Kind.TEXT:
        shown = ", ".join(repr(one) for one in given.levels[:10])
        more = ", ..." if len(given.levels) > 10 else ""
        told: dict[str, Any] = {"type": ["string", "null"]}
        said = f"Training had {shown[:300]}{more}." if shown else "A text."
    else:
        most = bound_of(given)
        told = {"type": ["number", "null"], "minimum": -most, "exclusiveMaximum": most}
        said = "A number." if given.low is None else f"Training had {given.low:g} to {given.high:g}."
        if takes_truth(given):
            told["type"] = ["number", "boolean", "null"]
    return {**told, "description": f"{said} null: no value."}


def _image(given: Input) -> dict[str, Any]:
    channels, height, width = given.shape
    size = channels * height * width
    plane: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}
    for length in (width, height):
        plane = {"type": "array", "items": plane, "minItems": length, "maxItems": length}
    whole = {"type": "array", "items": plane, "minItems": channels, "maxItems": channels}
    characters = 4 * -(-size // 3)
    padding = "=" * (-size % 3)
    text = {
        "type": "string",
        "contentEncoding": "base64",
        "minLength": characters,
        "maxLength": characters,
        "pattern": f"^[A-Za-z0-9+/]{{{characters - len(padding)}}}{padding}$",
    }
    return {
        "anyOf": [text, whole, *([plane] if channels == 1 else [])],
        "description": f"Numbers from 0 to 1 as lists of {channels} x {height} x {width}, or base64 of {size} bytes.",
    }


def _row(signature: Signature) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {one.name: _value(one) for one in signature.inputs},
        "required": [one.name for one in signature.inputs if one.used],
        "additionalProperties": False,
    }


def _rows(limits: Limits) -> dict[str, Any]:
    """Return the shape of a batch. That its rows are too many is told by 413, so it is no part of the shape."""
    items = {"type": "array", "items": ref("Row"), "minItems": 1, "description": f"At most {limits.rows} rows."}
    return closed({"rows": items})


def _columns(signature: Signature, limits: Limits) -> dict[str, Any]:
    columns = {
        "type": "object",
        "description": f"Lists of one length, of at most {limits.rows} values.",
        "properties": {one.name: {"type": "array", "items": _value(one), "minItems": 1} for one in signature.inputs},
        "required": [one.name for one in signature.inputs if one.used],
        "additionalProperties": False,
    }
    return closed({"columns": columns})


def _body(signature: Signature) -> dict[str, Any]:
    row = example_row(signature)
    examples = {
        "row": {"summary": "One row", "value": row},
        "rows": {"summary": "Several rows", "value": {"rows": [row, row]}},
        "columns": {"summary": "Columns", "value": {"columns": example_columns(row)}},
    }
    content = {"schema": ref("Row", "Rows", "Columns"), "examples": examples}
    return {"required": True, "content": {"application/json": content}}


def _label(signature: Signature) -> dict[str, Any]:
    return {"enum": [*signature.classes, None]}


def _predictions(signature: Signature) -> dict[str, Any]:
    number = {"type": ["number", "null"]}
    if signature.is_classification:
        probabilities = closed(dict.fromkeys(signature.classes, number))
        one = closed({"label": _label(signature), "probabilities": probabilities})
    else:
        one = closed({"value": number})
    return closed({"model": {"type": "string"}, "predictions": {"type": "array", "items": one}})


def _predicted_columns(signature: Signature) -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": ["number", "null"]}}
    if not signature.is_classification:
        return closed({"model": {"type": "string"}, "value": numbers})
    labels = {"type": "array", "items": _label(signature)}
    probabilities = closed(dict.fromkeys(signature.classes, numbers))
    return closed({"model": {"type": "string"}, "label": labels, "probabilities": probabilities})


def _error() -> dict[str, Any]:
    text = {"type": "string"}
    of_row = closed({"row": {"type": ["integer", "null"]}, "column": {"type": ["string", "null"]}, "message": text})
    inner = closed({"code": {"type": "integer"}, "field": text, "message": text, "hint": text})
    inner["properties"]["errors"] = {"type": "array", "items": of_row, "maxItems": 20}
    return closed({"error": inner})


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has these properties, all of them, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def ref(*names: str) -> dict[str, Any]:
    """Return the schema of one of these shapes."""
    found = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _responses(schema: dict[str, Any], statuses: tuple[str, ...]) -> dict[str, Any]:
    return answers({"application/json": {"schema": schema}}, statuses)


def answers(content: dict[str, Any], statuses: tuple[str, ...]) -> dict[str, Any]:
    """Return the answers of an operation: 200 with a content, and errors, of which every operation has some."""
    headers = {"X-Request-ID": {"required": True, "schema": {"type": "string"}}}
    error = {"application/json": {"schema": ref("Error")}}
    errors = {code: {"description": _ERRORS[code], "content": error} for code in sorted({*_ALWAYS, *statuses})}
    return {"200": {"description": "Done.", "headers": headers, "content": content}, **errors}


def _status(name: str, summary: str, word: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"status": {"const": word}}, "required": ["status"]}
    return {"operationId": name, "summary": summary, "security": [], "responses": _responses(schema, statuses)}


def _request_id() -> dict[str, Any]:
    said = "Of up to 128 letters, digits and . _ : / + = -, it comes back with the answer; else one is made."
    schema = {"type": "string"}
    return {"name": "X-Request-ID", "in": "header", "required": False, "schema": schema, "description": said}

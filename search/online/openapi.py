"""What `sweep online` adds to the description of a model's web API: ids, `/feedback`, `/admin`, `/online.json`."""

from __future__ import annotations

from typing import Any, Final

from search.bundle.signature import Signature
from search.online.admin import ACTIONS
from search.online.tokens import Tokens
from search.serve.openapi import answers, closed, ref

_ID: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_COUNT: Final = {"type": "integer", "minimum": 0}
_JSON: Final = "application/json"


def extend(told: dict[str, Any], signature: Signature, tokens: Tokens, *, loopback: bool) -> dict[str, Any]:
    """Return the description of `sweep serve`, with what is more here.

    Args:
        told: From `search.serve.openapi.describe`.
        signature: Of the model.
        tokens: Of the server.
        loopback: Whether only this machine can connect.
    """
    schemas, paths = told["components"]["schemas"], told["paths"]
    for name in ("Predictions", "PredictedColumns"):
        schemas[name]["properties"] |= {
            "id": {"type": "string", "description": "Of the row, where there is one."},
            "ids": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Of the rows, for their labels; missing where the log could not be written.",
            },
        }
    schemas |= _shapes(signature)
    if tokens.any:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    secured: list[dict[str, list[str]]] = [{"token": []}]
    posted = ("408", "413", "415", "422", "429", "503", "507")
    label, admin = bool(tokens.label) or tokens.predict is not None, tokens.any or not loopback
    paths["/feedback"] = {
        "post": {
            "operationId": "feedback",
            "summary": "Tell what was true of rows that were predicted, or of other rows.",
            "description": "Acknowledged when it is on the disk. A label that comes again counts once.",
            "security": secured if label else [],
            "parameters": [_idempotency_key()],
            "requestBody": _body(ref("Label", "Labels", "LabelledRows")),
            "responses": {
                **answers({_JSON: {"schema": ref("Taken")}}, (*posted, *(("401",) if label else ()))),
                "422": {
                    "description": "Nothing of it was taken.",
                    "content": {_JSON: {"schema": ref("Error", "TakenNothing")}},
                },
            },
        }
    }
    paths["/admin"] = {
        "post": {
            "operationId": "admin",
            "summary": "Pause or resume learning, learn what was put aside, begin again from the champion.",
            "security": secured if admin else [],
            "requestBody": _body(ref("Order")),
            "responses": answers({_JSON: {"schema": ref("Ordered")}}, (*posted, *(("401",) if admin else ()))),
        }
    }
    paths["/online.json"] = {
        "get": {
            "operationId": "online",
            "summary": "How the model learns: champion, challenger, drift; /online shows it.",
            "security": secured if tokens.predict is not None else [],
            "responses": answers({_JSON: {"schema": {"type": "object"}}}, ("401", "404", "429")),
        }
    }
    paths["/health"]["get"]["responses"]["200"]["content"][_JSON]["schema"] = {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "trouble"]}, "trouble": {"type": "string"}},
        "required": ["status"],
    }
    return told


def _shapes(signature: Signature) -> dict[str, Any]:
    label: dict[str, Any] = {"type": "number"}
    if signature.is_classification:
        label = {"type": ["string", "number", "boolean"], "description": f"{', '.join(signature.classes)[:500]}"}
    one = closed({"id": _ID, "label": {}})
    refused = closed({"place": {"type": "string"}, "id": {"type": ["string", "null"]}, "message": {"type": "string"}})
    taken = {
        "accepted": _COUNT,
        "repeated": _COUNT,
        "unknown": {"type": "array", "items": {"type": "string"}},
        "refused": {"type": "array", "items": refused},
    }
    rows = closed(
        {
            "rows": {"type": "array", "items": {"type": "object"}, "minItems": 1},
            "labels": {"type": "array", "items": {}, "minItems": 1},
            "ids": {"type": "array", "items": _ID, "minItems": 1},
        }
    )
    rows["required"] = ["rows", "labels"]
    for shape in (one["properties"], rows["properties"]["labels"]):
        shape["label" if "label" in shape else "items"] = label
    return {
        "Label": one,
        "Labels": closed({"labels": {"type": "array", "items": ref("Label"), "minItems": 1}}),
        "LabelledRows": rows,
        "Taken": closed(taken),
        "TakenNothing": closed({"error": {"type": "object"}, **taken}),
        "Order": {
            **closed({"action": {"enum": [*ACTIONS]}, "why": {"type": "string", "maxLength": 500}}),
            "required": ["action"],
        },
        "Ordered": closed({"action": {"type": "string"}, "sequence": _COUNT}),
    }


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {"schema": schema}}}


def _idempotency_key() -> dict[str, Any]:
    said = "Rows without ids that come again under the same key count once."
    schema = {"type": "string", "maxLength": 150, "pattern": "^[!-~]([ -~]*[!-~])?$"}
    return {"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema, "description": said}

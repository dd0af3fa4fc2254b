"""The rows of a collection as JSON Schema, for the page that describes its API."""

from __future__ import annotations

from typing import Any, Final

from search.data.collect.rows import describe
from search.data.collect.schema import Column, Schema

_TYPES: Final = {"number": "number", "integer": "integer", "text": "string", "boolean": "boolean", "datetime": "string"}


def rows_shape(schema: Schema, most: int) -> dict[str, Any]:
    """Return the `requestBody` of an OpenAPI description: one row, or `{"rows": [...]}` with at most so many."""
    row = {
        "type": "object",
        "properties": {column.name: _value(column) for column in schema.columns},
        "required": [column.name for column in schema.columns if column.required],
        "additionalProperties": False,
    }
    batch = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": row, "maxItems": most}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    return {"required": True, "content": {"application/json": {"schema": {"anyOf": [row, batch]}}}}


def _value(column: Column) -> dict[str, Any]:
    told: dict[str, Any] = {"type": _TYPES[column.type], "description": describe(column)}
    if column.type == "datetime":
        return {**told, "format": "date-time"}
    if column.choices:
        told["enum"] = list(column.choices)
    for name, value in (("minimum", column.min), ("maximum", column.max), ("maxLength", column.max_length)):
        if value is not None:
            told[name] = value
    return told

"""A serialized ONNX graph, looked through before any library loads it: what it takes and gives, the `Graph`.

A graph can name files beside it, or operators of a library of its own. onnxruntime follows the first, so both are
refused here, in subgraphs too. The walk knows the wire format of protobuf and the fields of onnx.proto that hold
graphs, nodes and tensors; what it does not know it refuses, since onnxruntime may.

    wire format: protobuf.dev/programming-guides/encoding
    fields: github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

DOMAINS: Final = ("", "ai.onnx.ml")
"""Whose operators every onnxruntime has."""

DEEPEST: Final = 24
"""Messages within each other; a subgraph takes three."""

FLOAT: Final = 1
STRING: Final = 8
"""Types of tensors, as onnx.proto counts them."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_NUMBERS: Final = frozenset({_VARINT, _EIGHT, _BYTES, _FOUR})


class Other(ValueError):
    """A file is no graph that we load; the text says why."""


@dataclass(slots=True)
class Graph:
    """What a graph takes and gives.

    Attributes:
        inputs: Type of each tensor that it takes, by name.
        outputs: Type of each that it gives.
    """

    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)


class _Part(NamedTuple):
    """A message of onnx.proto: the fields that hold messages, those that hold something else, and runs of numbers."""

    inner: Mapping[int, str]
    plain: frozenset[int]
    runs: re.Pattern[bytes] | None = None


# Attributes are not packed: a forest has millions of fields `floats`, `ints` and `strings`, of which the usual ones are
# passed over many at a time.
_RUNS: Final = re.compile(rb"(?:\x3d[\x00-\xff]{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x4a(?:\x0aBRANCH_LEQ|\x04LEAF))++")

_PARTS: Final[Mapping[str, _Part]] = {
    "model": _Part({7: "graph", 8: "opset"}, frozenset({1, 2, 3, 4, 5, 6, 14})),
    "opset": _Part({}, frozenset({1, 2})),
    "graph": _Part({1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"}, frozenset({2, 10, 13, 14, 16})),
    "node": _Part({5: "attribute"}, frozenset({1, 2, 3, 4, 6, 7, 8, 9})),
    "attribute": _Part(
        {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        frozenset({1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21}),
        _RUNS,
    ),
    "tensor": _Part({}, frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16})),
    "sparse": _Part({1: "tensor", 2: "tensor"}, frozenset({3})),
    "value": _Part({2: "type"}, frozenset({1, 3, 4})),
    "type": _Part({1: "of_tensor"}, frozenset({6})),
    "of_tensor": _Part({}, frozenset({1, 2})),
}


class _Piece(NamedTuple):
    """A message that is still to be looked through."""

    part: str
    start: int
    end: int
    depth: int
    role: int = 0
    name: str = ""


def look_through(content: bytes) -> Graph:
    """Return what a graph takes and gives.

    Args:
        content: Of the file.

    Raises:
        Other: It names files beside it or operators of others, holds functions, or cannot be read.
    """
    if content[4:8] == b"ORTM":
        raise Other("it is in onnxruntime's own format, which is loaded without a look at its nodes")
    graph, seen = Graph(), 0
    waiting = [_Piece("model", 0, len(content), 0)]
    while waiting:
        piece = waiting.pop()
        if piece.depth > DEEPEST:
            raise Other("its subgraphs are nested too deep")
        seen += piece.part == "graph"
        waiting += _inside(content, piece, graph)
    if not seen:
        raise Other("it holds no graph")
    return graph


def _inside(content: bytes, piece: _Piece, graph: Graph) -> list[_Piece]:
    """Return the messages in a message, after a look at its own fields."""
    part, found, name, kind = _PARTS[piece.part], [], piece.name, 0
    for number, wire, value, end in _fields(content, piece, part.runs):
        if number in part.inner:
            if wire != _BYTES:
                _unknown(piece.part, number)
            found.append(_Piece(part.inner[number], value, end, piece.depth + 1, number, name))
            continue
        if number not in part.plain:
            _unknown(piece.part, number)
        if (piece.part, number) in (("opset", 1), ("node", 7)):
            _check_domain(content[value:end] if wire == _BYTES else b"?")
        elif (piece.part, number) == ("tensor", 14) and (wire != _VARINT or value):
            raise Other("its numbers are kept in another file")
        elif (piece.part, number) == ("value", 1):
            name = _text(content[value:end]) if wire == _BYTES else ""
        elif (piece.part, number) == ("of_tensor", 1) and wire == _VARINT:
            kind = value
    if piece.part == "graph" and piece.depth > 1:  # what a subgraph takes and gives is its own matter
        return [one for one in found if one.part != "value"]
    if piece.part in ("value", "type"):
        return [one._replace(role=piece.role, name=name) for one in found]
    if piece.part == "of_tensor":
        (graph.inputs if piece.role == 11 else graph.outputs)[name] = kind
    return found


def _fields(content: bytes, piece: _Piece, runs: re.Pattern[bytes] | None) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, and the value, or start and end, of each field of a message."""
    at, end = piece.start, piece.end
    while at < end:
        if runs is not None and (run := runs.match(content, at, end)):
            at = run.end()
            continue
        tag, at = _varint(content, at, end)
        number, wire = tag >> 3, tag & 7
        if tag >= 2**32 or not number or wire not in _NUMBERS:
            raise Other("it is damaged, or no ONNX at all")
        if wire == _VARINT:
            value, at = _varint(content, at, end)
            yield number, wire, value, at
            continue
        size, at = _varint(content, at, end) if wire == _BYTES else (8 if wire == _EIGHT else 4, at)
        if size > end - at:
            raise Other("it is cut off, or no ONNX at all")
        yield number, wire, at, at + size
        at += size


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise Other("it is cut off, or no ONNX at all")


def _check_domain(content: bytes) -> None:
    domain = _text(content)
    if domain not in DOMAINS:
        raise Other(f"it needs operators of {domain[:40]!r}, which onnxruntime has not of its own")


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Other("a name in it is no UTF-8") from error


def _unknown(part: str, number: int) -> NoReturn:
    told = {("model", 20): "it holds a training", ("model", 25): "it holds functions of its own"}
    if (part, number) == ("tensor", 13):
        raise Other("its numbers are kept in another file")
    raise Other(told.get((part, number), f"field {number} of a {part.removeprefix('of_')} is not known"))

"""Preparation and model in one graph: raw columns in, prediction out; several models vote in the same graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.signature import LABEL, PROBABILITIES, VALUE
from search.contract import Exported, NotExportable

if TYPE_CHECKING:
    import onnx

OPSET: Final = 18
ML_OPSET: Final = 3
IR: Final = 10
FEATURES: Final = "{}/features"
"""The seam between a member's preparation and its model; `{}` is its prefix."""

SCORES: Final = "{}/scores"
"""What a member's model gives."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is done with the members' mean.

    Attributes:
        classes: Labels, by index; () of a regression.
        temperature: Of a classification: probabilities are sharpened (below 1) or softened, see `calibrate`.
        threshold: Of two classes: probability from which on the second one is given; None: the likelier one.
    """

    classes: tuple[str, ...] = ()
    temperature: float = 1.0
    threshold: float | None = None


def prefix(member: int) -> str:
    """Return what the names of a member's nodes begin with."""
    return f"m{member}"


def whole(members: Sequence[Exported], head: Head) -> onnx.ModelProto:
    """Return one graph of all members, whose inputs are the raw columns that any of them reads.

    Raises:
        NotExportable: A column is called like a part of the graph.
    """
    import onnx
    from onnx import helper

    graph = onnx.GraphProto(name="model")
    inputs: dict[str, Any] = {}
    for index, member in enumerate(members):
        _add(graph, inputs, member, prefix(index))
    graph.input.extend(inputs.values())
    _finish(graph, [SCORES.format(prefix(index)) for index in range(len(members))], head)
    _strip(graph)
    inside = {name for node in graph.node for name in node.output} | {one.name for one in graph.initializer}
    if clash := sorted(inside & set(inputs)):
        raise NotExportable(f"a column is called {clash[0]!r}, as a part of the graph is; give it another name")
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR,
        producer_name="sweep",
    )
    onnx.checker.check_model(made, full_check=True)
    return made


def _strip(graph: onnx.GraphProto) -> None:
    """Remove what no run needs: torch writes into each node where on this machine its line of code stands."""
    for part in (*graph.input, *graph.initializer, *graph.node):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for node in graph.node:
        node.ClearField("name")
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _strip(inner)


def _add(graph: onnx.GraphProto, inputs: dict[str, Any], member: Exported, name: str) -> None:
    """Add a member's nodes; it shares the raw columns with the others."""
    import onnx
    from onnx import compose, helper

    prepare, model = (onnx.load_from_string(one) for one in (member.prepare, member.model))
    for part in (prepare, model):
        if part.functions:
            raise NotExportable("a graph with functions of its own cannot be joined with others")
        for one in part.opset_import:
            if one.version > (ML_OPSET if one.domain == "ai.onnx.ml" else OPSET):
                raise NotExportable(f"a graph is of version {one.version} of {one.domain or 'ONNX'}")
    for entry in prepare.graph.input:
        inputs.setdefault(entry.name, onnx.ValueInfoProto.FromString(entry.SerializeToString()))
    features, scores = FEATURES.format(name), SCORES.format(name)
    for part, own, first, last in ((prepare, "p", None, features), (model, "m", features, scores)):
        kept = [one.name for one in part.graph.input] if first is None else []
        renamed = compose.add_prefix(part, f"{name}/{own}/", rename_inputs=first is not None)
        if first is None:
            _restore(renamed.graph, kept, f"{name}/{own}/")
        else:
            graph.node.append(helper.make_node("Identity", [first], [renamed.graph.input[0].name]))
        graph.node.extend(renamed.graph.node)
        graph.initializer.extend(renamed.graph.initializer)
        graph.node.append(helper.make_node("Identity", [renamed.graph.output[-1].name], [last]))


def _restore(graph: onnx.GraphProto, kept: list[str], before: str) -> None:
    """Undo the prefix of raw columns, if the library gave them one."""
    renamed = {f"{before}{name}": name for name in kept}
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


def _finish(graph: onnx.GraphProto, scores: list[str], head: Head) -> None:
    """Add the vote, the calibration and the label."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(values), f"head/{name}"))
        return f"head/{name}"

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made = output if output in (LABEL, PROBABILITIES, VALUE) else f"head/{output}"
        graph.node.append(helper.make_node(kind, inputs, [made], **attributes))
        return made

    mean = node("Mean", scores, "mean") if len(scores) > 1 else scores[0]
    if not head.classes:
        node("Identity", [mean], VALUE)
        graph.output.append(helper.make_tensor_value_info(VALUE, TensorProto.FLOAT, ["rows", 1]))
        return
    if head.temperature != 1.0:
        floor = constant("floor", np.float32(1e-7))
        logs = node("Log", [node("Max", [mean, floor], "floored")], "logs")
        mean = node(
            "Softmax", [node("Div", [logs, constant("temperature", np.float32(head.temperature))], "t")], "soft", axis=1
        )
    node("Identity", [mean], PROBABILITIES)
    if head.threshold is None:
        index = node("ArgMax", [mean], "index", axis=1, keepdims=0)
    else:
        second = node("Gather", [mean, constant("one", np.array(1))], "second", axis=1)
        reached = node("GreaterOrEqual", [second, constant("threshold", np.float32(head.threshold))], "reached")
        index = node("Cast", [reached], "index", to=TensorProto.INT64)
    node("Gather", [constant("classes", np.array(head.classes, dtype=object)), index], LABEL, axis=0)
    graph.output.append(helper.make_tensor_value_info(LABEL, TensorProto.STRING, ["rows"]))
    graph.output.append(helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["rows", len(head.classes)]))

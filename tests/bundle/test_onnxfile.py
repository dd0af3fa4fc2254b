"""A graph is looked through before it is loaded: no other files, no other operators, in no subgraph."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from search.bundle.onnxfile import FLOAT, STRING, Other, look_through
from search.bundle.signature import LABEL, PROBABILITIES, VALUE
from tests.bundle.bundles import exported, whole_graph


def toy() -> onnx.ModelProto:
    return whole_graph(exported())


def array(values: list[float], name: str = "t") -> TensorProto:
    return numpy_helper.from_array(np.array(values), name)


def external(tensor: TensorProto, location: str = "../../etc/passwd") -> TensorProto:
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def subgraph(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    return helper.make_graph(list(nodes), "branch", [], [output], list(tensors))


def deep(graph: onnx.GraphProto, levels: int) -> onnx.GraphProto:
    """Put a graph into the branches of conditions."""
    for _ in range(levels):
        graph = subgraph(helper.make_node("If", ["yes"], ["out"], then_branch=graph, else_branch=subgraph()))
    return graph


def test_what_a_graph_takes_and_gives_is_told() -> None:
    found = look_through(toy().SerializeToString())
    assert found.inputs == {"age": FLOAT, "income": FLOAT, "town": STRING}
    assert found.outputs == {LABEL: STRING, PROBABILITIES: FLOAT}
    found = look_through(whole_graph(exported("regression", ("x",), ()), "regression").SerializeToString())
    assert (found.inputs, found.outputs) == ({"x": FLOAT}, {VALUE: FLOAT})


def test_conditions_and_all_kinds_of_attributes_go_through() -> None:
    model = toy()
    inner = deep(subgraph(helper.make_node("Identity", ["x"], ["out"]), tensors=(array([1.0, 1.0], "c"),)), 3)
    others = {"a": 1, "b": 2.5, "c": "s", "d": [1, -2], "e": [0.5, 1.5], "f": ["u", "v"], "g": array([1, 2])}
    node = helper.make_node("If", ["yes"], ["z"], then_branch=inner, else_branch=subgraph(), **others)
    sparse = helper.make_sparse_tensor(array([1.0]), array([0]), [3])
    model.graph.sparse_initializer.append(sparse)
    model.graph.node.append(node)
    assert set(look_through(model.SerializeToString()).inputs) == {"age", "income", "town"}


def initializer(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0])


def initializer_inside(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0], "weights.safetensors")


def location_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def entries_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/dev/zero")


def constant(model: onnx.ModelProto) -> None:
    tensor = external(array([1.0, 1.0], "c"))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def constants(model: onnx.ModelProto) -> None:
    node = helper.make_node("Other", [], ["c"])
    node.attribute.append(AttributeProto(name="t", type=AttributeProto.TENSORS, tensors=[external(TensorProto())]))
    model.graph.node.append(node)


def sparse_values(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external(TensorProto()))


def sparse_indices(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(external(TensorProto()))


def in_a_branch(model: onnx.ModelProto) -> None:
    tensor = external(array([1.0, 1.0], "c"))
    branch = deep(subgraph(helper.make_node("Constant", [], ["out"], value=tensor)), 4)
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=subgraph()))


def in_a_list_of_graphs(model: onnx.ModelProto) -> None:
    node = helper.make_node("Other", [], ["c"])
    tensors = (external(TensorProto()),)
    node.attribute.append(AttributeProto(name="g", type=AttributeProto.GRAPHS, graphs=[subgraph(tensors=tensors)]))
    model.graph.node.append(node)


def foreign(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def foreign_in_a_branch(model: onnx.ModelProto) -> None:
    branch = deep(subgraph(helper.make_node("Evil", [], ["out"], domain="my.lib")), 4)
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=subgraph()))


def foreign_imported(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def functions(model: onnx.ModelProto) -> None:
    model.functions.add(name="f", domain="")


def training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.CopyFrom(subgraph(tensors=(external(TensorProto()),)))


def too_deep(model: onnx.ModelProto) -> None:
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["z"], then_branch=deep(subgraph(), 20), else_branch=subgraph())
    )


WRONG: list[tuple[Callable[[onnx.ModelProto], None], str]] = [
    (initializer, "another file"),
    (initializer_inside, "another file"),
    (location_alone, "another file"),
    (entries_alone, "another file"),
    (constant, "another file"),
    (constants, "another file"),
    (sparse_values, "another file"),
    (sparse_indices, "another file"),
    (in_a_branch, "another file"),
    (in_a_list_of_graphs, "another file"),
    (foreign, "operators of 'com.microsoft'"),
    (foreign_in_a_branch, "operators of 'my.lib'"),
    (foreign_imported, "operators of 'com.microsoft'"),
    (functions, "functions"),
    (training, "training"),
    (too_deep, "too deep"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_graphs_that_lead_elsewhere_are_refused(change: Callable[[onnx.ModelProto], None], said: str) -> None:
    model = toy()
    look_through(model.SerializeToString())
    change(model)
    with pytest.raises(Other, match=said):
        look_through(model.SerializeToString())


def test_onnxruntime_itself_would_read_another_file(tmp_path: Path) -> None:
    """So the look is not for nothing."""
    (tmp_path / "secret").write_bytes(np.array([42.0]).tobytes())
    tensor = external(TensorProto(name="c", data_type=TensorProto.DOUBLE, dims=[1]), "secret")
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["c"], ["y"])], "g", [], [output], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {})[0].tolist() == [42.0]


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    parts = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])


def inside(*numbers: int, content: bytes) -> bytes:
    """Return a field within fields."""
    for number in reversed(numbers):
        content = tag(number, 2) + varint(len(content)) + content
    return content


WIRE = [
    (b"", "no graph"),
    (tag(7, 2), "cut off"),
    (tag(7, 2) + varint(5) + b"abc", "cut off"),
    (tag(7, 2) + b"\xff" * 11, "cut off"),
    (tag(7, 3) + tag(7, 4), "damaged"),
    (tag(7, 6), "damaged"),
    (tag(0, 0) + b"\0", "damaged"),
    (varint((1 << 32) + (7 << 3 | 2)) + b"\0", "damaged"),
    (tag(7, 0) + b"\0", "field 7 of a model"),
    (tag(99, 0) + b"\0", "field 99 of a model"),
    (inside(7, 1, 7, content=b"\xff"), "UTF-8"),
    (inside(7, 1, content=tag(7, 0) + b"\0"), "operators of"),
    (inside(7, 5, content=tag(14, 0) + varint(2**32 + 1)), "another file"),
    (inside(7, 5, content=tag(14, 0) + varint(2)), "another file"),
    (inside(7, 5, content=tag(14, 0) + b"\1" + tag(14, 0) + b"\0"), "another file"),
    (inside(7, 5, content=tag(13, 2) + b"\0"), "another file"),
    (inside(7, 5, content=tag(13, 0) + b"\0"), "another file"),
    (inside(7, content=b"") + inside(7, 5, content=tag(14, 0) + b"\1"), "another file"),
    (inside(7, 99, content=b""), "field 99 of a graph"),
    (b"\x12\x20\0\0ORTM" + bytes(60), "own format"),
]


@pytest.mark.parametrize(("content", "said"), WIRE)
def test_bytes_that_two_parsers_may_read_in_two_ways_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(Other, match=said):
        look_through(content)


@settings(max_examples=300)
@given(st.data())
def test_no_bytes_end_in_anything_but_a_refusal(data: st.DataObject) -> None:
    """And what goes through has nothing that the library finds and the walk has not."""
    whole = MUTATED[data.draw(st.sampled_from(range(len(MUTATED))))]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole)))
        whole = whole[:at] + data.draw(st.binary(max_size=6)) + whole[at + data.draw(st.integers(0, 6)) :]
    try:
        look_through(whole)
    except Other:
        return
    assert not leads_elsewhere(whole)


def test_nor_do_a_thousand_flipped_bytes() -> None:
    draw, refused = random.Random(5), 0
    for _ in range(1000):
        whole = bytearray(draw.choice(MUTATED))
        whole[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        try:
            look_through(bytes(whole))
        except Other:
            refused += 1
            continue
        assert not leads_elsewhere(bytes(whole))
    assert 100 < refused < 1000


def leads_elsewhere(content: bytes) -> bool:
    """Tell whether protobuf's own parser finds another file or an operator of others; False of what it cannot read."""
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception:  # protobuf's own error
        return False
    waiting, found = [model.graph], False
    while waiting:
        graph = waiting.pop()
        tensors = [*graph.initializer, *(one.values for one in graph.sparse_initializer)]
        for node in graph.node:
            found |= node.domain not in ("", "ai.onnx.ml")
            for one in node.attribute:
                tensors += [one.t, *one.tensors]
                waiting += [one.g] if one.HasField("g") else []
                waiting += one.graphs
        found |= any(one.data_location or one.external_data for one in tensors)
    return found or bool(model.functions)


def with_change(change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = toy()
    change(model)
    content: bytes = model.SerializeToString()
    return content


MUTATED = [
    toy().SerializeToString(),
    *(with_change(one) for one in (in_a_branch, constant, foreign_in_a_branch, location_alone)),
]


def test_a_large_forest_is_looked_through_in_a_moment() -> None:
    """Its millions of numbers are fields of their own, and are passed over many at a time."""
    model = toy()
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml")
    for name, values in (("nodes_values", [0.5] * 2_000_000), ("nodes_treeids", list(range(2_000_000)))):
        node.attribute.append(helper.make_attribute(name, values))
    model.graph.node.append(node)
    content = model.SerializeToString()
    began = time.process_time()
    look_through(content)
    assert time.process_time() - began < 2.0  # 0.1 s here; one by one it takes 4 s

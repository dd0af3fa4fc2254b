"""A bundle's networks as programs for ExecuTorch: `.pte` files."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.bundle.bundle import Bundle
from search.bundle.signature import Kind
from search.errors import RefusedError
from search.serve.mobile.folder import PROGRAMS
from search.serve.mobile.shrinking import FEATURES, SCORES, extracted, members

if TYPE_CHECKING:
    import onnx
    import torch

Array = np.ndarray[Any, Any]

SAME: Final = 1e-4
"""The most that a program may differ from the graph, of the largest score."""

_ROWS: Final = 50


def programs(bundle: Bundle, columns: Mapping[str, Array]) -> dict[str, bytes]:
    """Return a program for each member, by its path.

    Args:
        bundle: Of networks.
        columns: Rows to compare on, as the bundle's model takes them.

    Raises:
        RefusedError: A member is no network, or its program says something else.
        ModuleNotFoundError: ExecuTorch is not installed.
    """
    import onnx

    graph = onnx.load_from_string(bundle.model)
    seams = _seams(graph, bundle, columns)
    made = {}
    for member, (features, scores) in enumerate(seams):
        content = _program(network(extracted(graph, member)), features[:1])
        apart = float(np.abs(_run(content, features) - scores).max())
        if not apart <= SAME * max(1.0, float(np.abs(scores).max())):
            raise RefusedError(f"the program of member {member} differs from the model by {apart:.2g}", field="model")
        made[f"{PROGRAMS}/m{member}.pte"] = content
    return made


def network(part: onnx.ModelProto) -> torch.nn.Module:
    """Return a network as a torch module that does what a graph says, node by node.

    Raises:
        RefusedError: It has an operator that is not known here.
    """
    import torch
    from onnx import helper, numpy_helper

    known = _operators()
    nodes = [*part.graph.node]
    for node in nodes:
        if node.op_type not in known:
            raise RefusedError(
                f"--executorch takes networks; this model has {node.op_type}", field="--executorch", hint="leave it out"
            )
    options = [{one.name: helper.get_attribute_value(one) for one in node.attribute} for node in nodes]
    arrays = {one.name: numpy_helper.to_array(one) for one in part.graph.initializer}
    first, last = part.graph.input[0].name, part.graph.output[0].name

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for index, values in enumerate(arrays.values()):
                self.register_buffer(f"a{index}", torch.from_numpy(np.array(values)))

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            there: dict[str, Any] = {name: getattr(self, f"a{index}") for index, name in enumerate(arrays)}
            # what says how to reckon, and is not reckoned with, has to be known beforehand
            plain = {name: values.tolist() for name, values in arrays.items() if values.dtype == np.int64}
            there[first] = features
            for node, given in zip(nodes, options, strict=True):
                inputs = [plain.get(name, there.get(name)) for name in node.input]
                there[node.output[0]] = known[node.op_type](inputs, given)
            found: torch.Tensor = there[last]
            return found

    return Network().eval()


def _operators() -> dict[str, Callable[[list[Any], dict[str, Any]], Any]]:
    """Return what networks of dense layers and convolutions are made of, by the names of ONNX."""
    import torch
    from torch.nn import functional

    def gemm(x: list[Any], given: dict[str, Any]) -> Any:
        left = x[0].t() if given.get("transA") else x[0]
        right = x[1].t() if given.get("transB") else x[1]
        made = given.get("alpha", 1.0) * (left @ right)
        return made + given.get("beta", 1.0) * x[2] if len(x) > 2 else made

    def even(given: dict[str, Any]) -> list[int]:
        pads = [*given.get("pads", (0, 0, 0, 0))]
        if pads[:2] != pads[2:] or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise RefusedError("--executorch takes networks whose padding is even", field="--executorch")
        return pads[:2]

    def conv(x: list[Any], given: dict[str, Any]) -> Any:
        bias = x[2] if len(x) > 2 else None
        steps, spread = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
        return functional.conv2d(x[0], x[1], bias, steps, even(given), spread, given.get("group", 1))

    def pool(x: list[Any], given: dict[str, Any]) -> Any:
        sides = given["kernel_shape"]
        return functional.max_pool2d(
            x[0], sides, given.get("strides", [1, 1]), even(given), ceil_mode=bool(given.get("ceil_mode"))
        )

    def mean(x: list[Any], given: dict[str, Any]) -> Any:
        return x[0].mean(dim=x[1] if len(x) > 1 else given["axes"], keepdim=bool(given.get("keepdims", 1)))

    def norm(x: list[Any], given: dict[str, Any]) -> Any:
        scale = x[1]
        return functional.layer_norm(
            x[0], list(scale.shape), scale, x[2] if len(x) > 2 else None, given.get("epsilon", 1e-5)
        )

    return {
        "Add": lambda x, _: x[0] + x[1],
        "Conv": conv,
        "Flatten": lambda x, given: torch.flatten(x[0], given.get("axis", 1)),
        "Gemm": gemm,
        "Identity": lambda x, _: x[0],
        "LayerNormalization": norm,
        "MatMul": lambda x, _: x[0] @ x[1],
        "MaxPool": pool,
        "Mul": lambda x, _: x[0] * x[1],
        "ReduceMean": mean,
        "Relu": lambda x, _: torch.relu(x[0]),
        "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
        "Softmax": lambda x, given: torch.softmax(x[0], given.get("axis", -1)),
        "Tanh": lambda x, _: torch.tanh(x[0]),
    }


def _seams(graph: onnx.ModelProto, bundle: Bundle, columns: Mapping[str, Array]) -> list[tuple[Array, Array]]:
    """Return each member's prepared features and scores of some rows."""
    import onnx
    import onnxruntime

    open_ = onnx.ModelProto.FromString(graph.SerializeToString())
    count = members(graph)
    names = [name.format(member) for member in range(count) for name in (FEATURES, SCORES)]
    open_.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    feeds = {
        one.name: columns[one.name][:_ROWS] if one.kind is Kind.IMAGE else columns[one.name][:_ROWS].reshape(-1, 1)
        for one in bundle.signature.inputs
        if one.used
    }
    session = onnxruntime.InferenceSession(open_.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(names, feeds)
    return [(found[2 * member], found[2 * member + 1]) for member in range(count)]


def _program(module: torch.nn.Module, features: Array) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, (torch.from_numpy(features),))
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


def _run(content: bytes, features: Array) -> Array:
    """Return what a program says of rows, one by one, as phones ask it."""
    import torch
    from executorch.runtime import Runtime

    with tempfile.TemporaryDirectory(prefix="sweep-mobile-") as folder:
        file = Path(folder) / "model.pte"
        file.write_bytes(content)
        method = Runtime.get().load_program(file).load_method("forward")
        rows = [method.execute([torch.from_numpy(row[None])])[0].numpy().copy() for row in features]
    return np.concatenate(rows)

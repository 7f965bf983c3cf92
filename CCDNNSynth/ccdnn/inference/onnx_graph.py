"""The folded network as an ONNX graph, built from the weights when a model loads. Neither torch nor the `onnx` package is needed.

The messages are those of ONNX's `onnx.proto`, of which protobuf, a dependency of onnxruntime, writes the few fields used here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ccdnn.model.architecture import LEAKY_SLOPE
from ccdnn.model.folding import FoldedBlock, FoldedConvolution, FoldedNetwork

INPUT = "images"

_IR_VERSION, _OPERATORS = 8, 13  # of ONNX 1.10, which every onnxruntime since 1.10 reads
_FLOAT32, _INT64 = 1, 7  # TensorProto.DataType
_FLOAT, _INT, _INTS = 1, 2, 7  # AttributeProto.AttributeType
_PACKAGE = "ccdnn_onnx"

# Message → field → (type, number, whether repeated), as in onnx.proto.
_MESSAGES: dict[str, dict[str, tuple[str, int, bool]]] = {
    "Model": {
        "ir_version": ("int64", 1, False),
        "producer_name": ("string", 2, False),
        "graph": ("Graph", 7, False),
        "opset_import": ("OperatorSet", 8, True),
    },
    "OperatorSet": {"domain": ("string", 1, False), "version": ("int64", 2, False)},
    "Graph": {
        "node": ("Node", 1, True),
        "name": ("string", 2, False),
        "initializer": ("Tensor", 5, True),
        "input": ("ValueInfo", 11, True),
        "output": ("ValueInfo", 12, True),
    },
    "Node": {
        "input": ("string", 1, True),
        "output": ("string", 2, True),
        "op_type": ("string", 4, False),
        "attribute": ("Attribute", 5, True),
    },
    "Attribute": {
        "name": ("string", 1, False),
        "f": ("float", 2, False),
        "i": ("int64", 3, False),
        "ints": ("int64", 8, True),
        "type": ("int32", 20, False),
    },
    "Tensor": {
        "dims": ("int64", 1, True),
        "data_type": ("int32", 2, False),
        "name": ("string", 8, False),
        "raw_data": ("bytes", 9, False),
    },
    "ValueInfo": {"name": ("string", 1, False), "type": ("Type", 2, False)},
    "Type": {"tensor_type": ("TensorType", 1, False)},
    "TensorType": {"elem_type": ("int32", 1, False), "shape": ("Shape", 2, False)},
    "Shape": {"dim": ("Dimension", 1, True)},
    "Dimension": {"dim_value": ("int64", 1, False), "dim_param": ("string", 2, False)},
}


def onnx_model(network: FoldedNetwork) -> bytes:
    """The serialised model: (image, contrast, row, column) → (image, 1 or 2, row, column), float32, of any size; see `Backend`."""
    graph = _Graph()
    contrasts = graph.add("Split", [INPUT], outputs=len(network.stems), axis=1)
    features = [
        graph.sub_hypothesis(graph.convolution(contrast, stem), blocks)
        for contrast, stem, blocks in zip(contrasts, network.stems, network.branches, strict=True)
    ]
    (joined,) = graph.add("Concat", features, axis=1)
    fused = graph.sub_hypothesis(joined, network.fusion)
    (output,) = graph.add("Conv", [fused, graph.constant(network.head_weight[..., None, None]), graph.constant(network.head_bias)])
    maps = 1
    if network.scale_weight.size:
        sizes = graph.whole_numbers([1, network.scale_weight.size])
        image, hidden = graph.add("Split", [output, sizes], outputs=2, axis=1)
        (active,) = graph.add("LeakyRelu", [hidden], alpha=LEAKY_SLOPE)
        last = network.scale_weight.reshape(1, -1, 1, 1), np.array([network.scale_bias])
        (scale,) = graph.add("Conv", [active, *map(graph.constant, last)])
        (output,) = graph.add("Concat", [image, scale], axis=1)
        maps = 2
    return graph.serialised(_images(INPUT, len(contrasts)), _images(output, maps))


class _Graph:
    """Operations in the order in which they are computed; values are known by name."""

    def __init__(self) -> None:
        self._nodes: list[Message] = []
        self._constants: list[Message] = []
        self._count = 0

    def add(self, operator: str, inputs: Sequence[str], outputs: int = 1, **attributes: float | int | Sequence[int]) -> list[str]:
        """Add an operation, and return the names of its outputs."""
        named = [self._new_name() for _ in range(outputs)]
        found = [_attribute(name, value) for name, value in attributes.items()]
        self._nodes.append(_message("Node", op_type=operator, input=inputs, output=named, attribute=found))
        return named

    def constant(self, values: np.ndarray) -> str:
        name, data = self._new_name(), np.ascontiguousarray(values, "<f4")
        self._constants.append(_message("Tensor", dims=data.shape, data_type=_FLOAT32, name=name, raw_data=data.tobytes()))
        return name

    def whole_numbers(self, values: Sequence[int]) -> str:
        name, data = self._new_name(), np.array(values, "<i8")
        self._constants.append(_message("Tensor", dims=data.shape, data_type=_INT64, name=name, raw_data=data.tobytes()))
        return name

    def convolution(self, x: str, convolution: FoldedConvolution) -> str:
        border = [convolution.dilation] * 2
        constants = [self.constant(convolution.weight), self.constant(convolution.bias)]
        (y,) = self.add("Conv", [x, *constants], pads=[*border, *border], dilations=border)
        return y

    def sub_hypothesis(self, x: str, blocks: Sequence[FoldedBlock]) -> str:
        """H of Eq. 4 with R of Eq. 5."""
        y = x
        for first, second in blocks:
            (active,) = self.add("LeakyRelu", [self.convolution(y, first)], alpha=LEAKY_SLOPE)
            (y,) = self.add("Add", [y, self.convolution(active, second)])
        (y,) = self.add("Add", [x, y])
        return y

    def serialised(self, given: Message, result: Message) -> bytes:
        graph = _message("Graph", name="CC-DNN", node=self._nodes, initializer=self._constants, input=[given], output=[result])
        operators = [_message("OperatorSet", version=_OPERATORS)]
        return _message(
            "Model", ir_version=_IR_VERSION, producer_name="ccdnn", graph=graph, opset_import=operators
        ).SerializeToString()

    def _new_name(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _images(name: str, maps: int) -> Message:
    """A value of any number of images of any size."""
    sides = [_message("Dimension", dim_param=side) for side in ("images", "rows", "columns")]
    shape = _message("Shape", dim=[sides[0], _message("Dimension", dim_value=maps), *sides[1:]])
    return _message(
        "ValueInfo", name=name, type=_message("Type", tensor_type=_message("TensorType", elem_type=_FLOAT32, shape=shape))
    )


def _attribute(name: str, value: float | int | Sequence[int]) -> Message:
    match value:
        case int():
            return _message("Attribute", name=name, i=value, type=_INT)
        case float():
            return _message("Attribute", name=name, f=value, type=_FLOAT)
        case _:
            return _message("Attribute", name=name, ints=value, type=_INTS)


def _message(kind: str, **fields: Any) -> Message:
    return _message_classes()[kind](**fields)


@lru_cache(maxsize=1)
def _message_classes() -> dict[str, type[Message]]:
    # A pool of its own, so that the names cannot clash with those of an installed `onnx`.
    file = FileDescriptorProto(name="ccdnn_onnx.proto", package=_PACKAGE, syntax="proto2")
    for kind, entries in _MESSAGES.items():
        message = file.message_type.add(name=kind)
        for name, (type_name, number, repeated) in entries.items():
            label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            if type_name in _MESSAGES:
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{type_name}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{type_name.upper()}")
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {kind: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{kind}")) for kind in _MESSAGES}

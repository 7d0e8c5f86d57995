"""A graph in the making as a model of the package ``onnx``."""

from __future__ import annotations

from typing import Any

import torch
from torch import storage as _storage

from ._builder import Builder, Node, Value
from ._enums import ELEMENT_TYPES
from ._package import onnx

__all__ = ["bytes_of", "model_proto", "value_info"]


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The elements of a tensor, without a copy where it has no gaps."""
    plain = tensor.detach().contiguous()
    if plain.untyped_storage().nbytes() == 0:
        return memoryview(b"")
    start = plain.storage_offset() * plain.element_size()
    return _storage._bytes_view(plain.untyped_storage())[start : start + plain.numel() * plain.element_size()]


def value_info(value: Value, dims: Any) -> Any:
    """The name, type and shape of a value; ``dims`` names symbolic sizes."""
    helper = onnx().helper
    shape = None if value.shape is None else [s if isinstance(s, int) else dims(s) for s in value.shape]
    if value.dtype is None:
        return helper.make_empty_tensor_value_info(value.name)
    return helper.make_tensor_value_info(value.name, ELEMENT_TYPES[value.dtype], shape)


def _tensor(name: str, tensor: torch.Tensor, outside: Any) -> Any:
    """A stored tensor: its elements, or where ``outside`` put them."""
    proto = onnx().TensorProto()
    proto.name, proto.data_type = name, ELEMENT_TYPES[tensor.dtype]
    proto.dims.extend(tensor.shape)
    data = bytes_of(tensor)
    place = outside(data) if outside is not None else None
    if place is None:
        proto.raw_data = bytes(data)
        return proto
    proto.data_location = onnx().TensorProto.EXTERNAL
    for key, value in place.items():
        entry = proto.external_data.add()
        entry.key, entry.value = key, str(value)
    return proto


def _node(node: Node, dims: Any) -> Any:
    helper = onnx().helper
    attributes = {}
    for key, value in node.attributes.items():
        if isinstance(value, Builder):
            value = _graph(value, key, dims)
        elif isinstance(value, torch.Tensor):
            value = _tensor("", value, None)
        attributes[key] = value
    inputs = ["" if v is None else v.name for v in node.inputs]
    outputs = [v.name for v in node.outputs]
    made = helper.make_node(node.kind, inputs, outputs, node.name, domain=node.domain, **attributes)
    for key, text in node.place.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = key, text
    return made


def _graph(builder: Builder, name: str, dims: Any) -> Any:
    inner = [v for n in builder.nodes for v in n.outputs if v.dtype is not None and v.shape is not None]
    outputs = set(builder.outputs)
    return onnx().helper.make_graph(
        [_node(n, dims) for n in builder.nodes], name,
        [value_info(v, dims) for v in builder.inputs], [value_info(v, dims) for v in builder.outputs],
        value_info=[value_info(v, dims) for v in inner if v not in outputs],
    )  # fmt: skip


def model_proto(
    builder: Builder, dims: Any, *, initializers: bool = True, as_inputs: bool = False, outside: Any = None
) -> Any:
    """The model.

    Args:
        dims: gives the name of a symbolic size.
        initializers: store the weights; without, they are inputs.
        as_inputs: weights are inputs with a default.
        outside: puts bytes elsewhere and says where; None keeps them in the model.
    """
    package = onnx()
    graph = _graph(builder, "main_graph", dims)
    for value in builder.weights.values():
        assert value.constant is not None
        large = value.name not in _small(builder)
        if as_inputs or (not initializers and large):
            graph.input.append(value_info(value, dims))
        if initializers or not large:
            graph.initializer.append(_tensor(value.name, value.constant, outside))
    imports = [package.helper.make_opsetid(domain, version) for domain, version in builder.domains.items()]
    made = package.helper.make_model(graph, opset_imports=imports, producer_name="pytorch",
                                     producer_version=torch.__version__)  # fmt: skip
    made.ir_version = max(10, package.helper.find_min_ir_version_for(imports, ignore_unknown=True))
    return made


def _small(builder: Builder) -> set[str]:
    """The constants that the conversion made, which are no weights."""
    return {name for name in builder.weights if name.startswith("val_")}

"""Which qconfig each operation of a model gets."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .fake_quantize import FixedQParamsFakeQuantize
from .observer import (
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
    default_placeholder_observer,
    default_weight_observer,
)
from .qconfig import (
    QConfig,
    default_quint8_weight_qconfig,
    default_reuse_input_qconfig,
    get_default_qat_qconfig,
    get_default_qconfig,
)

__all__ = ["get_default_qconfig_mapping", "get_default_qat_qconfig_mapping", "QConfigMapping"]

_STYLES = (
    "global_qconfig",
    "object_type_qconfigs",
    "module_name_regex_qconfigs",
    "module_name_qconfigs",
    "module_name_object_type_order_qconfigs",
)
_LISTS = ("object_type", "module_name_regex", "module_name", "module_name_object_type_order")


class QConfigMapping:
    """Qconfigs by operation; of several that fit, the most special holds: order, name, pattern, type, all.

    >>> from torch.ao.quantization import QConfigMapping, default_qconfig
    >>> QConfigMapping().set_object_type(torch.nn.Linear, default_qconfig).object_type_qconfigs[torch.nn.Linear] is (
    ...     default_qconfig)
    True
    """

    def __init__(self) -> None:
        self.global_qconfig: Any = None
        self.object_type_qconfigs: OrderedDict[Any, Any] = OrderedDict()
        self.module_name_regex_qconfigs: OrderedDict[str, Any] = OrderedDict()
        self.module_name_qconfigs: OrderedDict[str, Any] = OrderedDict()
        self.module_name_object_type_order_qconfigs: OrderedDict[tuple[str, Any, int], Any] = OrderedDict()

    def set_global(self, global_qconfig: Any) -> QConfigMapping:
        """Set the qconfig for whatever has no other."""
        self.global_qconfig = global_qconfig
        return self

    def set_object_type(self, object_type: Any, qconfig: Any) -> QConfigMapping:
        """Set the qconfig of a class, a function or the name of a method."""
        self.object_type_qconfigs[object_type] = qconfig
        return self

    def set_module_name_regex(self, module_name_regex: str, qconfig: Any) -> QConfigMapping:
        """Set the qconfig of modules whose path matches."""
        self.module_name_regex_qconfigs[module_name_regex] = qconfig
        return self

    def set_module_name(self, module_name: str, qconfig: Any) -> QConfigMapping:
        """Set the qconfig of the module at a path."""
        self.module_name_qconfigs[module_name] = qconfig
        return self

    def set_module_name_object_type_order(
        self, module_name: str, object_type: Any, index: int, qconfig: Any
    ) -> QConfigMapping:
        """Set the qconfig of the operation of a type that comes at some place in the module at a path."""
        self.module_name_object_type_order_qconfigs[module_name, object_type, index] = qconfig
        return self

    def __repr__(self) -> str:
        lines = ["QConfigMapping ("]
        for style in _STYLES:
            lines.append(f" {style}")
            value = getattr(self, style)
            if isinstance(value, OrderedDict) and value:
                lines += [f"  {key}: {qconfig}" for key, qconfig in value.items()]
            else:
                lines.append(f"  {value}")
        return "\n".join([*lines, ")"])

    def to_dict(self) -> dict[str, Any]:
        """The mapping as a dictionary."""
        return {
            "": self.global_qconfig,
            "object_type": list(self.object_type_qconfigs.items()),
            "module_name_regex": list(self.module_name_regex_qconfigs.items()),
            "module_name": list(self.module_name_qconfigs.items()),
            "module_name_object_type_order": [
                (*key, qconfig) for key, qconfig in self.module_name_object_type_order_qconfigs.items()
            ],
        }

    @classmethod
    def from_dict(cls, qconfig_dict: dict[str, Any]) -> QConfigMapping:
        """A mapping from what ``to_dict`` gives; ValueError for unknown keys."""
        mapping = cls()
        for key, value in qconfig_dict.items():
            if key == "":
                mapping.set_global(value)
                continue
            if key not in _LISTS:
                raise ValueError(f"unknown key in qconfig_dict: {key!r}; known are '' and {_LISTS}")
            for entry in value:
                getattr(mapping, f"set_{key}")(*entry)
        return mapping


_FIXED = {
    nn.Hardsigmoid: default_fixed_qparams_range_0to1_observer,
    F.hardsigmoid: default_fixed_qparams_range_0to1_observer,
    "hardsigmoid": default_fixed_qparams_range_0to1_observer,
    "hardsigmoid_": default_fixed_qparams_range_0to1_observer,
    nn.Sigmoid: default_fixed_qparams_range_0to1_observer,
    torch.sigmoid: default_fixed_qparams_range_0to1_observer,
    "sigmoid": default_fixed_qparams_range_0to1_observer,
    "sigmoid_": default_fixed_qparams_range_0to1_observer,
    nn.Softmax: default_fixed_qparams_range_0to1_observer,
    nn.Tanh: default_fixed_qparams_range_neg1to1_observer,
    torch.tanh: default_fixed_qparams_range_neg1to1_observer,
    "tanh": default_fixed_qparams_range_neg1to1_observer,
    "tanh_": default_fixed_qparams_range_neg1to1_observer,
}


def _default_mapping(is_qat: bool, qconfig: QConfig) -> QConfigMapping:
    weight = default_weight_observer
    if is_qat:
        from .fake_quantize import default_weight_fake_quant

        weight = default_weight_fake_quant
    mapping = QConfigMapping().set_global(qconfig).set_object_type("reshape", default_reuse_input_qconfig)
    # a scale per channel has no place in transposed convolutions
    transposed = QConfig(activation=qconfig.activation, weight=weight)
    for n in (1, 2, 3):
        mapping.set_object_type(getattr(nn, f"ConvTranspose{n}d"), transposed)
    for n in (1, 2, 3):
        mapping.set_object_type(getattr(F, f"conv_transpose{n}d"), transposed)
    normalised = QConfig(activation=qconfig.activation, weight=default_placeholder_observer)
    mapping.set_object_type(F.layer_norm, normalised).set_object_type(nn.LayerNorm, normalised)
    mapping.set_object_type(nn.PReLU, default_quint8_weight_qconfig)
    made: dict[int, QConfig] = {}
    for kind, observer in _FIXED.items():
        if id(observer) not in made:
            activation = FixedQParamsFakeQuantize.with_args(observer=observer) if is_qat else observer
            made[id(observer)] = QConfig(activation=activation, weight=weight)
        mapping.set_object_type(kind, made[id(observer)])
    return mapping


def get_default_qconfig_mapping(backend="x86", version=0) -> QConfigMapping:
    """The qconfigs for static quantisation on a backend; see ``get_default_qconfig``."""
    return _default_mapping(False, get_default_qconfig(backend, version))


def get_default_qat_qconfig_mapping(backend="x86", version=1) -> QConfigMapping:
    """The qconfigs for quantisation-aware training on a backend; see ``get_default_qat_qconfig``."""
    return _default_mapping(True, get_default_qat_qconfig(backend, version))

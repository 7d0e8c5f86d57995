"""Which class takes the place of which."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.ao.nn import intrinsic as nni
from torch.ao.nn import qat as nnqat
from torch.ao.nn import quantizable as nnqable
from torch.ao.nn import quantized as nnq
from torch.ao.nn.intrinsic import qat as nniqat
from torch.ao.nn.intrinsic import quantized as nniq
from torch.ao.nn.intrinsic.quantized import dynamic as nniqd
from torch.ao.nn.qat import dynamic as nnqatd
from torch.ao.nn.quantized import dynamic as nnqd
from torch.ao.nn.quantized import reference as nnqr
from torch.nn import functional as F  # noqa: N812 - PyTorch's name here

from .fake_quantize import default_fixed_qparams_range_0to1_fake_quant, default_fixed_qparams_range_neg1to1_fake_quant
from .stubs import DeQuantStub, QuantStub
from .utils import get_combined_dict

__all__ = [
    "DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_STATIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_QAT_MODULE_MAPPINGS",
    "DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS",
    "DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS",
    "DEFAULT_MODULE_TO_ACT_POST_PROCESS",
    "no_observer_set",
    "get_default_static_quant_module_mappings",
    "get_default_static_quant_reference_module_mappings",
    "get_embedding_static_quant_module_mappings",
    "get_static_quant_module_class",
    "get_dynamic_quant_module_class",
    "get_default_qat_module_mappings",
    "get_embedding_qat_module_mappings",
    "get_default_dynamic_quant_module_mappings",
    "get_default_qconfig_propagation_list",
    "get_default_compare_output_module_list",
    "get_default_float_to_quantized_operator_mappings",
    "get_quantized_operator",
]

_NON_DYNAMIC = nn.modules.linear.NonDynamicallyQuantizableLinear

DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS: dict[Any, Any] = {
    QuantStub: nnq.Quantize,
    DeQuantStub: nnq.DeQuantize,
    **{
        getattr(nn, name): getattr(nnqr, name)
        for name in """
            Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Embedding EmbeddingBag GRUCell
            LSTMCell RNNCell LSTM
        """.split()
    },
}

DEFAULT_STATIC_QUANT_MODULE_MAPPINGS: dict[Any, Any] = {
    QuantStub: nnq.Quantize,
    DeQuantStub: nnq.DeQuantize,
    **{
        getattr(nn, name): getattr(nnq, name)
        for name in """
            BatchNorm2d BatchNorm3d Dropout Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d ELU
            Embedding EmbeddingBag GroupNorm Hardswish InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm LeakyReLU
            Linear ReLU6 PReLU
        """.split()
    },
    _NON_DYNAMIC: nnq.Linear,
    nnq.FloatFunctional: nnq.QFunctional,
    **{
        getattr(nni, name): getattr(nniq, name)
        for name in """
            BNReLU2d BNReLU3d ConvReLU1d ConvReLU2d ConvReLU3d ConvAdd2d ConvAddReLU2d LinearReLU LinearLeakyReLU
            LinearTanh
        """.split()
    },
    **{getattr(nniqat, f"ConvBn{n}d"): getattr(nnq, f"Conv{n}d") for n in (1, 2, 3)},
    **{getattr(nniqat, f"ConvBnReLU{n}d"): getattr(nniq, f"ConvReLU{n}d") for n in (1, 2, 3)},
    nniqat.ConvReLU2d: nniq.ConvReLU2d,
    nniqat.ConvReLU3d: nniq.ConvReLU3d,
    nniqat.LinearReLU: nniq.LinearReLU,
    nniqat.LinearBn1d: nnq.Linear,
    nnqat.Linear: nnq.Linear,
    nnqat.Conv2d: nnq.Conv2d,
    nnqat.Conv3d: nnq.Conv3d,
}

DEFAULT_QAT_MODULE_MAPPINGS: dict[Any, Any] = {
    nn.Conv2d: nnqat.Conv2d,
    nn.Conv3d: nnqat.Conv3d,
    nn.Linear: nnqat.Linear,
    _NON_DYNAMIC: nnqat.Linear,
    **{
        getattr(nni, name): getattr(nniqat, name)
        for name in """
            ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU2d ConvReLU3d LinearReLU
            LinearBn1d
        """.split()
    },
}

DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS: dict[Any, Any] = {
    **{getattr(nn, name): getattr(nnqd, name) for name in "GRUCell Linear LSTM GRU LSTMCell RNNCell".split()},
    _NON_DYNAMIC: nnqd.Linear,
    nnqatd.Linear: nnqd.Linear,
    nni.LinearReLU: nniqd.LinearReLU,
    nn.EmbeddingBag: nnq.EmbeddingBag,
    nn.Embedding: nnq.Embedding,
}

DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS: dict[Any, Any] = {
    getattr(F, name): getattr(torch.ops.quantized, name)
    for name in "elu hardswish instance_norm layer_norm leaky_relu dropout".split()
}

DEFAULT_MODULE_TO_ACT_POST_PROCESS: dict[Any, Any] = {
    nn.Hardsigmoid: default_fixed_qparams_range_0to1_fake_quant,
    nn.Sigmoid: default_fixed_qparams_range_0to1_fake_quant,
    nn.Softmax: default_fixed_qparams_range_0to1_fake_quant,
    nn.Tanh: default_fixed_qparams_range_neg1to1_fake_quant,
}

_INCLUDE_QCONFIG_PROPAGATE_LIST = {nn.Sequential}


def no_observer_set() -> set[Any]:
    """Classes whose children have observers, and they themselves none."""
    return {nnqable.LSTM, nnqable.MultiheadAttention}


def get_default_static_quant_module_mappings() -> dict[Any, Any]:
    """What ``convert`` puts in place of calibrated or trained modules."""
    return dict(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)


def get_default_static_quant_reference_module_mappings() -> dict[Any, Any]:
    """What ``convert`` puts in place of modules with ``is_reference``."""
    return dict(DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS)


def get_embedding_static_quant_module_mappings() -> dict[Any, Any]:
    """``get_default_static_quant_module_mappings`` with trained embeddings."""
    mapping = get_default_static_quant_module_mappings()
    mapping[nnqat.EmbeddingBag], mapping[nnqat.Embedding] = nnq.EmbeddingBag, nnq.Embedding
    return mapping


def get_default_qat_module_mappings() -> dict[Any, Any]:
    """What ``prepare_qat`` puts in place of modules."""
    return dict(DEFAULT_QAT_MODULE_MAPPINGS)


def get_embedding_qat_module_mappings() -> dict[Any, Any]:
    """``get_default_qat_module_mappings`` with embeddings."""
    mapping = get_default_qat_module_mappings()
    mapping[nn.EmbeddingBag], mapping[nn.Embedding] = nnqat.EmbeddingBag, nnqat.Embedding
    return mapping


def get_default_dynamic_quant_module_mappings() -> dict[Any, Any]:
    """What ``quantize_dynamic`` puts in place of modules."""
    return dict(DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS)


def _class_for(kind: Any, mapping: dict[Any, Any], more: Any) -> Any:
    found = get_combined_dict(mapping, more or {}).get(kind)
    if found is None:
        raise AssertionError(f"Floating point module class {kind} does not have a corresponding quantized module class")
    return copy.deepcopy(found)


def get_static_quant_module_class(float_module_class, additional_static_quant_mapping=None, is_reference=False):
    """The class that ``convert`` puts in place of another; AssertionError if there is none."""
    mapping = DEFAULT_REFERENCE_STATIC_QUANT_MODULE_MAPPINGS if is_reference else DEFAULT_STATIC_QUANT_MODULE_MAPPINGS
    return _class_for(float_module_class, mapping, additional_static_quant_mapping)


def get_dynamic_quant_module_class(float_module_class, additional_dynamic_quant_mapping=None):
    """The class that ``quantize_dynamic`` puts in place of another; AssertionError if there is none."""
    return _class_for(float_module_class, DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS, additional_dynamic_quant_mapping)


def get_default_qconfig_propagation_list() -> set[Any]:
    """Classes of modules that get observers."""
    return (
        set(DEFAULT_STATIC_QUANT_MODULE_MAPPINGS)
        | set(DEFAULT_QAT_MODULE_MAPPINGS)
        | set(DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS)
        | _INCLUDE_QCONFIG_PROPAGATE_LIST
    )


def get_default_compare_output_module_list() -> set[Any]:
    """Classes of modules whose outputs are compared, quantised ones with those that they stand for."""
    tables = (
        DEFAULT_STATIC_QUANT_MODULE_MAPPINGS, DEFAULT_QAT_MODULE_MAPPINGS, DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS,
    )  # fmt: skip
    found = set(_INCLUDE_QCONFIG_PROPAGATE_LIST)
    for table in tables:
        found |= set(table) | set(table.values())
    return found


def get_default_float_to_quantized_operator_mappings() -> dict[Any, Any]:
    """The operations of ``torch.ops.quantized`` in place of functions."""
    return dict(DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS)


def get_quantized_operator(float_op):
    """The operation of ``torch.ops.quantized`` in place of a function; AssertionError if there is none."""
    found = DEFAULT_FLOAT_TO_QUANTIZED_OPERATOR_MAPPINGS.get(float_op)
    if found is None:
        raise AssertionError(f"Operator {float_op} does not have corresponding quantized op")
    return found


def _get_special_act_post_process(module: nn.Module) -> Any:
    """The fake quantiser of a module whose range is known, or None."""
    return DEFAULT_MODULE_TO_ACT_POST_PROCESS.get(type(module))


def _has_special_act_post_process(module: nn.Module) -> bool:
    return module.training and type(module) in DEFAULT_MODULE_TO_ACT_POST_PROCESS

"""Quantising a model: observers in, calibration or training, quantised modules in place of the others."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any

import torch
from torch import nn
from torch.ao.nn import quantizable as nnqable
from torch.ao.nn import quantized as nnq
from torch.ao.nn.intrinsic.modules.fused import _FusedModule
from torch.ao.nn.quantized.modules.rnn import LSTM as _QuantizedLSTM
from torch.nn.utils.parametrize import type_before_parametrizations

from .observer import _is_activation_post_process
from .qconfig import (
    _activation_is_memoryless,
    _add_module_to_qconfig_obs_ctr,
    _assert_valid_qconfig,
    default_dynamic_qconfig,
    float16_dynamic_qconfig,
    float_qparams_weight_only_qconfig,
    float_qparams_weight_only_qconfig_4bit,
)
from .quantization_mappings import (
    _get_special_act_post_process,
    _has_special_act_post_process,
    get_default_dynamic_quant_module_mappings,
    get_default_qat_module_mappings,
    get_default_qconfig_propagation_list,
    get_default_static_quant_module_mappings,
    get_default_static_quant_reference_module_mappings,
    no_observer_set,
)
from .stubs import DeQuantStub, QuantWrapper
from .utils import get_qparam_dict, has_no_children_ignoring_parametrizations

__all__ = [
    "get_default_custom_config_dict",
    "propagate_qconfig_",
    "add_quant_dequant",
    "prepare",
    "quantize",
    "quantize_dynamic",
    "prepare_qat",
    "quantize_qat",
    "convert",
    "swap_module",
]


def get_default_custom_config_dict():
    """Modules with a quantisable form of their own, and the quantised form of that."""
    return {
        "float_to_observed_custom_module_class": {
            nn.LSTM: nnqable.LSTM,
            nn.MultiheadAttention: nnqable.MultiheadAttention,
        },
        "observed_to_quantized_custom_module_class": {
            nnqable.LSTM: _QuantizedLSTM,
            nnqable.MultiheadAttention: nnq.MultiheadAttention,
        },
    }


# ---- qconfigs


def propagate_qconfig_(module, qconfig_dict=None, prepare_custom_config_dict=None):
    """Give every submodule a ``qconfig``: its own, that of its name or class, or its parent's.

    Args:
        module: the model.
        qconfig_dict: qconfigs by names or classes of submodules; "" stands for all.
        prepare_custom_config_dict: ``{"non_traceable_module_name": [...], "non_traceable_module_class": [...]}``:
            modules whose children get none.

    Raises:
        AssertionError: for weights per channel of transposed convolutions.
    """
    _propagate(module, qconfig_dict or {}, None, "", prepare_custom_config_dict or {})


def _propagate(module: nn.Module, table: dict[Any, Any], parent: Any, prefix: str, custom: dict[str, Any]) -> None:
    qconfig = table.get(type_before_parametrizations(module), parent)
    qconfig = getattr(module, "qconfig", table.get(prefix, qconfig))
    _assert_valid_qconfig(qconfig, module)
    placed = _add_module_to_qconfig_obs_ctr(qconfig, module)
    module.qconfig = placed
    skipped_names = custom.get("non_traceable_module_name", [])
    skipped_classes = custom.get("non_traceable_module_class", [])
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        if path not in skipped_names and type(child) not in skipped_classes:
            _propagate(child, table, placed, path, custom)


# ---- observers


def _observer_forward_hook(self, input, output):
    return self.activation_post_process(output)


def _observer_forward_pre_hook(self, input):
    return (self.activation_post_process(input[0]), *input[1:])


def _register_activation_post_process_hook(module, pre_hook=False):
    if not hasattr(module, "activation_post_process"):
        raise AssertionError("Expect activation_post_process attribute already attached to the module")
    if pre_hook:
        module.register_forward_pre_hook(_observer_forward_pre_hook, prepend=True)
    else:
        module.register_forward_hook(_observer_forward_hook, prepend=True)


def _has_qconfig(module: nn.Module) -> bool:
    return getattr(module, "qconfig", None) is not None


def _insert(module: nn.Module, special: Any = None) -> None:
    if not _has_qconfig(module) or isinstance(module, DeQuantStub):
        return
    maker = module.qconfig.activation if special is None else special
    module.add_module("activation_post_process", maker())
    _register_activation_post_process_hook(module, pre_hook=_activation_is_memoryless(module.qconfig))


def _add_observer_(
    module, qconfig_propagation_list=None, non_leaf_module_list=None, device=None, custom_module_class_mapping=None
):
    """Give the leaves of a model observers of their output."""
    kinds = get_default_qconfig_propagation_list() if qconfig_propagation_list is None else qconfig_propagation_list
    custom = custom_module_class_mapping or {}
    for name, child in module.named_children():
        kind = type_before_parametrizations(child)
        if kind is nn.Dropout:
            continue
        if issubclass(kind, (nnq.FloatFunctional, nnq.QFunctional)):
            if _has_qconfig(child):
                child.activation_post_process = child.qconfig.activation()
        elif isinstance(child, _FusedModule) or (non_leaf_module_list is not None and kind in non_leaf_module_list):
            _insert(child)
        elif _has_special_act_post_process(child):
            _insert(child, _get_special_act_post_process(child))
        elif _has_qconfig(child) and kind in custom:
            observed = custom[kind].from_float(child)
            setattr(module, name, observed)
            if not issubclass(custom[kind], tuple(no_observer_set())):
                _insert(observed)
        else:
            _add_observer_(child, kinds, non_leaf_module_list, device, custom)
    leaf = has_no_children_ignoring_parametrizations(module) and not isinstance(module, nn.Sequential)
    if leaf and type_before_parametrizations(module) in kinds:
        _insert(module)


def prepare(model, inplace=False, allow_list=None, observer_non_leaf_module_list=None, prepare_custom_config_dict=None):
    """Give a model observers, for calibration or training.

    Args:
        model: a model with ``qconfig``, its own or of submodules.
        inplace: whether to change the model itself.
        allow_list: classes of modules that get observers; all that can be quantised by default.
        observer_non_leaf_module_list: classes of modules that get one although they have children.
        prepare_custom_config_dict: ``{"float_to_observed_custom_module_class": ...}``.

    Returns:
        The model; run it on representative data, then ``convert`` it.
    """
    if prepare_custom_config_dict is None:
        prepare_custom_config_dict = get_default_custom_config_dict()
    custom = prepare_custom_config_dict.get("float_to_observed_custom_module_class", {})
    if not inplace:
        model = copy.deepcopy(model)
    allowed = get_default_qconfig_propagation_list() if allow_list is None else allow_list
    propagate_qconfig_(model, qconfig_dict=None)
    if not any(getattr(module, "qconfig", None) for module in model.modules()):
        warnings.warn(
            "None of the submodule got qconfig applied. Make sure you passed correct configuration through "
            "`qconfig_dict` or by assigning the `.qconfig` attribute directly on submodules",
            stacklevel=2,
        )
    _add_observer_(model, allowed, observer_non_leaf_module_list, custom_module_class_mapping=custom)
    return model


def _remove_activation_post_process(module):
    if _is_activation_post_process(getattr(module, "activation_post_process", None)):
        delattr(module, "activation_post_process")
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for handle, hook in list(hooks.items()):
            if hook in (_observer_forward_hook, _observer_forward_pre_hook):
                hooks.pop(handle)


def _remove_qconfig(module):
    """Take qconfigs and observers out of a model."""
    for child in module.children():
        _remove_qconfig(child)
    if hasattr(module, "qconfig"):
        del module.qconfig
    _remove_activation_post_process(module)


def add_quant_dequant(module):
    """Wrap the leaves of a model that have a ``qconfig`` into ``QuantWrapper``; a leaf comes back wrapped."""
    if has_no_children_ignoring_parametrizations(module) and getattr(module, "qconfig", None):
        return QuantWrapper(module)
    for name, child in module.named_children():
        module._modules[name] = add_quant_dequant(child)
    return module


# ---- the whole way


def quantize(model, run_fn, run_args, mapping=None, inplace=False):
    """Prepare a model, calibrate it by ``run_fn(model, *run_args)``, and convert it."""
    if mapping is None:
        mapping = get_default_static_quant_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    prepare(model, inplace=True)
    run_fn(model, *run_args)
    convert(model, mapping, inplace=True)
    return model


def _dynamic_spec(dtype: torch.dtype) -> dict[Any, Any]:
    recurrent = (nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.RNNCell, nn.GRUCell)
    if dtype == torch.qint8:
        return dict.fromkeys(recurrent, default_dynamic_qconfig)
    if dtype == torch.float16:
        return dict.fromkeys(recurrent, float16_dynamic_qconfig)
    if dtype == torch.quint8:
        return dict.fromkeys((nn.EmbeddingBag, nn.Embedding), float_qparams_weight_only_qconfig)
    if dtype == torch.quint4x2:
        return {nn.EmbeddingBag: float_qparams_weight_only_qconfig_4bit}
    raise ValueError(f"Don't know how to quantize with default settings for {dtype}. Provide full qconfig please")


_BY_DTYPE = {
    torch.qint8: default_dynamic_qconfig,
    torch.float16: float16_dynamic_qconfig,
    torch.quint8: float_qparams_weight_only_qconfig,
    torch.quint4x2: float_qparams_weight_only_qconfig_4bit,
}


def quantize_dynamic(model, qconfig_spec=None, dtype=torch.qint8, mapping=None, inplace=False):
    """Quantise the weights of a model; activations are quantised by their own range when it runs.

    Args:
        model: the model.
        qconfig_spec: a dictionary of qconfigs by names or classes of submodules, or a set of them; linear and recurrent
            layers by default.
        dtype: of the weights: ``torch.qint8``, ``torch.float16``, or ``torch.quint8`` and ``torch.quint4x2`` for
            embeddings.
        mapping: classes that take the place of others.
        inplace: whether to change the model itself.

    Raises:
        ValueError: for a dtype without default settings.
        RuntimeError: for an unknown dtype with a set of classes.

    >>> torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(torch.nn.Linear(2, 3)))
    Sequential(
      (0): DynamicQuantizedLinear(in_features=2, out_features=3, dtype=torch.qint8, qscheme=torch.per_tensor_affine)
    )
    """
    if qconfig_spec is None:
        qconfig_spec = _dynamic_spec(dtype)
    elif isinstance(qconfig_spec, set):
        if dtype not in _BY_DTYPE:
            raise RuntimeError("Unknown dtype specified for quantize_dynamic: ", str(dtype))
        qconfig_spec = dict.fromkeys(qconfig_spec, _BY_DTYPE[dtype])
    if mapping is None:
        mapping = get_default_dynamic_quant_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    propagate_qconfig_(model, qconfig_spec)
    convert(model, mapping, inplace=True)
    return model


def prepare_qat(model, mapping=None, inplace=False):
    """Give a model modules that round their weights, and fake quantisers of activations, for training.

    Args:
        model: a model in training with ``qconfig``.
        mapping: classes that take the place of others.
        inplace: whether to change the model itself.

    Raises:
        AssertionError: if the model is not in training.
    """
    if not model.training:
        raise AssertionError("prepare_qat only works on models in training mode")
    if mapping is None:
        mapping = get_default_qat_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    propagate_qconfig_(model, qconfig_dict=None)
    convert(model, mapping=mapping, inplace=True, remove_qconfig=False)
    prepare(model, observer_non_leaf_module_list=set(mapping.values()), inplace=True)
    return model


def quantize_qat(model, run_fn, run_args, inplace=False):
    """Prepare a model for training, train it by ``run_fn(model, *run_args)``, and convert it."""
    if not inplace:
        model = copy.deepcopy(model)
    model.train()
    prepare_qat(model, inplace=True)
    run_fn(model, *run_args)
    convert(model, inplace=True)
    return model


def convert(
    module, mapping=None, inplace=False, remove_qconfig=True, is_reference=False, convert_custom_config_dict=None,
    use_precomputed_fake_quant=False,
):  # fmt: skip
    """Put quantised modules in place of those that have been calibrated or trained.

    Args:
        module: the model; its submodules are swapped, it itself stays.
        mapping: classes that take the place of others.
        inplace: whether to change the model itself.
        remove_qconfig: take qconfigs and observers out.
        is_reference: put reference modules there, which compute in float32.
        convert_custom_config_dict: ``{"observed_to_quantized_custom_module_class": ...}``.
        use_precomputed_fake_quant: take the scales that trained weights have, instead of observing them once more.
    """
    if not inplace:
        module = copy.deepcopy(module)
    if mapping is None:
        mapping = (
            get_default_static_quant_reference_module_mappings()
            if is_reference
            else get_default_static_quant_module_mappings()
        )
    if convert_custom_config_dict is None:
        convert_custom_config_dict = get_default_custom_config_dict()
    custom = convert_custom_config_dict.get("observed_to_quantized_custom_module_class", {})
    _convert(module, mapping, custom, use_precomputed_fake_quant)
    if remove_qconfig:
        _remove_qconfig(module)
    return module


def _convert(module: nn.Module, mapping: dict[Any, Any], custom: dict[Any, Any], precomputed: bool) -> None:
    swapped = {}
    for name, child in module.named_children():
        if not isinstance(child, _FusedModule) and type_before_parametrizations(child) not in custom:
            _convert(child, mapping, custom, precomputed)
        swapped[name] = swap_module(child, mapping, custom, precomputed)
    module._modules.update(swapped)


def swap_module(mod, mapping, custom_module_class_mapping, use_precomputed_fake_quant=False):
    """The quantised module for one that has a ``qconfig``, or the module itself.

    Args:
        mod: the module.
        mapping: classes that take the place of others, made by ``from_float``.
        custom_module_class_mapping: likewise, made by ``from_observed``.
        use_precomputed_fake_quant: see ``convert``.
    """
    kind = type_before_parametrizations(mod)
    if not _has_qconfig(mod):
        return mod
    if kind in custom_module_class_mapping:
        new = custom_module_class_mapping[kind].from_observed(mod)
    elif kind in mapping:
        target = mapping[kind]
        if getattr(target, "_IS_REFERENCE", False):
            observer = mod.qconfig.weight()
            observer(mod.weight)
            new = target.from_float(mod, get_qparam_dict(observer))
        elif "use_precomputed_fake_quant" in inspect.signature(target.from_float).parameters:
            new = target.from_float(mod, use_precomputed_fake_quant=use_precomputed_fake_quant)
        else:
            new = target.from_float(mod)
    else:
        return mod
    for hook in mod._forward_pre_hooks.values():
        new.register_forward_pre_hook(hook)
    for hook in mod._forward_hooks.values():
        if hook is not _observer_forward_hook:
            new.register_forward_hook(hook)
    return new

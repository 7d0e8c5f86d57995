"""Which observers, or fake quantisers, a module gets for its output and its weights."""

from __future__ import annotations

import collections
import warnings
from typing import Any, Optional

import torch
from torch import nn

from ._histogram import HistogramObserver
from .fake_quantize import (
    FakeQuantize,
    FusedMovingAvgObsFakeQuantize,
    default_dynamic_fake_quant,
    default_embedding_fake_quant,
    default_embedding_fake_quant_4bit,
    default_fake_quant,
    default_fused_act_fake_quant,
    default_fused_per_channel_wt_fake_quant,
    default_fused_wt_fake_quant,
    default_per_channel_weight_fake_quant,
    default_weight_fake_quant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127,
    fused_wt_fake_quant_range_neg_127_to_127,
)
from .observer import (
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    NoopObserver,
    PlaceholderObserver,
    ReuseInputObserver,
    _PartialWrapper,
    default_debug_observer,
    default_dynamic_quant_observer,
    default_float_qparams_observer,
    default_float_qparams_observer_4bit,
    default_observer,
    default_per_channel_weight_observer,
    default_placeholder_observer,
    default_reuse_input_observer,
    default_weight_observer,
    per_channel_weight_observer_range_neg_127_to_127,
    weight_observer_range_neg_127_to_127,
)

_BACKENDS = ["fbgemm", "x86", "qnnpack", "onednn"]


class QConfig(collections.namedtuple("QConfig", ["activation", "weight"])):
    """The classes, or functions, that make the observers of a module's output and of its weights.

    Raises:
        ValueError: for a module in place of a class.
    """

    __slots__ = ()

    def __new__(cls, activation, weight):
        if isinstance(activation, nn.Module) or isinstance(weight, nn.Module):
            raise ValueError(
                "QConfig received observer instance, please pass observer class instead. Use "
                "MyObserver.with_args(x=1) to override arguments to constructor if needed"
            )
        return super().__new__(cls, activation, weight)


class QConfigDynamic(collections.namedtuple("QConfigDynamic", ["activation", "weight"])):
    """The same for dynamic quantisation, under an old name."""

    __slots__ = ()

    def __new__(cls, activation=nn.Identity, weight=nn.Identity):
        warnings.warn(
            "`QConfigDynamic` is going to be deprecated in PyTorch 1.12, please use `QConfig` instead",
            FutureWarning,
            stacklevel=2,
        )
        if isinstance(weight, nn.Module):
            raise ValueError(
                "QConfigDynamic received observer instance, please pass observer class instead. Use "
                "MyObserver.with_args(x=1) to override arguments to constructor if needed"
            )
        return super().__new__(cls, activation, weight)


QConfigAny = Optional[QConfig]

default_qconfig = QConfig(activation=default_observer, weight=default_weight_observer)
default_debug_qconfig = QConfig(weight=default_weight_observer, activation=default_debug_observer)
default_per_channel_qconfig = QConfig(activation=default_observer, weight=default_per_channel_weight_observer)
default_dynamic_qconfig = QConfig(activation=default_dynamic_quant_observer, weight=default_weight_observer)
float16_dynamic_qconfig = QConfig(
    activation=PlaceholderObserver.with_args(dtype=torch.float16, is_dynamic=True),
    weight=PlaceholderObserver.with_args(dtype=torch.float16),
)
float16_static_qconfig = QConfig(
    activation=PlaceholderObserver.with_args(dtype=torch.float16),
    weight=PlaceholderObserver.with_args(dtype=torch.float16),
)
per_channel_dynamic_qconfig = QConfig(
    activation=default_dynamic_quant_observer, weight=default_per_channel_weight_observer
)
float_qparams_weight_only_qconfig = QConfig(
    activation=default_placeholder_observer, weight=default_float_qparams_observer
)
float_qparams_weight_only_qconfig_4bit = QConfig(
    activation=default_placeholder_observer, weight=default_float_qparams_observer_4bit
)
default_qat_qconfig = QConfig(activation=default_fake_quant, weight=default_weight_fake_quant)
default_dynamic_qat_qconfig = QConfig(activation=default_dynamic_fake_quant, weight=default_weight_fake_quant)
default_weight_only_qconfig = QConfig(activation=nn.Identity, weight=default_weight_fake_quant)
default_activation_only_qconfig = QConfig(activation=default_fake_quant, weight=nn.Identity)
default_qat_qconfig_v2 = QConfig(activation=default_fused_act_fake_quant, weight=default_fused_wt_fake_quant)
default_reuse_input_qconfig = QConfig(activation=default_reuse_input_observer, weight=NoopObserver)
default_symmetric_qnnpack_qconfig = QConfig(
    activation=HistogramObserver.with_args(dtype=torch.qint8, reduce_range=False, eps=2**-12),
    weight=weight_observer_range_neg_127_to_127,
)
default_per_channel_symmetric_qnnpack_qconfig = QConfig(
    activation=HistogramObserver.with_args(dtype=torch.qint8, reduce_range=False, eps=2**-12),
    weight=per_channel_weight_observer_range_neg_127_to_127,
)
_symmetric_activation = FusedMovingAvgObsFakeQuantize.with_args(
    observer=MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=torch.qint8, reduce_range=False,
    eps=2**-12,
)  # fmt: skip
default_symmetric_qnnpack_qat_qconfig = QConfig(
    activation=_symmetric_activation, weight=fused_wt_fake_quant_range_neg_127_to_127
)
default_per_channel_symmetric_qnnpack_qat_qconfig = QConfig(
    activation=_symmetric_activation, weight=fused_per_channel_wt_fake_quant_range_neg_127_to_127
)
default_embedding_qat_qconfig = QConfig(
    activation=NoopObserver.with_args(dtype=torch.float32), weight=default_embedding_fake_quant
)
default_embedding_qat_qconfig_4bit = QConfig(
    activation=NoopObserver.with_args(dtype=torch.float32), weight=default_embedding_fake_quant_4bit
)
default_quint8_weight_qconfig = QConfig(activation=HistogramObserver, weight=MinMaxObserver)


def _check_backend(backend: str) -> None:
    if backend not in _BACKENDS:
        raise AssertionError(f"backend: {backend} not supported. backend must be one of {_BACKENDS}")


def get_default_qconfig(backend="x86", version=0):
    """The qconfig for static quantisation on a backend: "x86", "fbgemm", "qnnpack" or "onednn".

    Raises:
        AssertionError: for another backend, or another version than 0.
    """
    _check_backend(backend)
    if version != 0:
        raise AssertionError(
            f"Version number: {version} in get_default_qconfig is not supported. Version number must be 0"
        )
    # products of bytes may overflow 16 bits in FBGEMM's kernels
    activation = HistogramObserver.with_args(reduce_range=backend in ("fbgemm", "x86"))
    weight = default_weight_observer if backend == "qnnpack" else default_per_channel_weight_observer
    return QConfig(activation=activation, weight=weight)


def get_default_qat_qconfig(backend="x86", version=1):
    """The qconfig for quantisation-aware training on a backend; version 1 has the fused fake quantisers.

    Raises:
        AssertionError: for another backend, or another version than 0 and 1.
    """
    _check_backend(backend)
    if version not in (0, 1):
        raise AssertionError(
            f"Version number: {version}in get_default_qat_qconfig is not supported. Version number must be 0 or 1"
        )
    reduced = {} if backend == "onednn" else {"reduce_range": backend in ("fbgemm", "x86")}
    kind = FusedMovingAvgObsFakeQuantize if version == 1 else FakeQuantize
    activation = kind.with_args(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255, **reduced)
    if version == 1:
        per_channel, per_tensor = default_fused_per_channel_wt_fake_quant, default_fused_wt_fake_quant
    else:
        per_channel, per_tensor = default_per_channel_weight_fake_quant, default_weight_fake_quant
    return QConfig(activation=activation, weight=per_tensor if backend == "qnnpack" else per_channel)


def get_default_qconfig_dict(backend="x86", version=0):
    """``get_default_qconfig_mapping`` as a dictionary."""
    from .qconfig_mapping import get_default_qconfig_mapping

    return get_default_qconfig_mapping(backend, version).to_dict()


def get_default_qat_qconfig_dict(backend="x86", version=1):
    """``get_default_qat_qconfig_mapping`` as a dictionary."""
    from .qconfig_mapping import get_default_qat_qconfig_mapping

    return get_default_qat_qconfig_mapping(backend, version).to_dict()


def _assert_valid_qconfig(qconfig: Any, mod: nn.Module) -> None:
    """Raise AssertionError where weights per channel meet a transposed convolution."""
    if qconfig is None or not isinstance(mod, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        return
    if qconfig.weight is None:
        return
    from .observer import PerChannelMinMaxObserver

    if isinstance(qconfig.weight(), PerChannelMinMaxObserver):
        raise AssertionError("Per channel weight observer is not supported yet for ConvTranspose{n}d.")


def _add_module_to_qconfig_obs_ctr(qconfig: Any, module: nn.Module | None) -> Any:
    """The qconfig, whose observers are made on the module's device."""
    if module is None or qconfig is None or not hasattr(qconfig, "_fields") or tuple(qconfig._fields) != (
        "activation", "weight",
    ):  # fmt: skip
        return qconfig
    devices = {p.device for p in (*module.parameters(), *module.buffers())}
    if not devices or devices == {torch.device("cpu")}:
        # observers are made there anyway
        return qconfig
    if len(devices) > 1:
        raise AssertionError(f"prepare only works with cpu or single-device CUDA modules, but got devices {devices}")
    (device,) = devices

    def on_device(make: Any) -> Any:
        if isinstance(make, _PartialWrapper) and "factory_kwargs" not in getattr(make.p, "keywords", {}):
            return make.with_callable_args(factory_kwargs=lambda: {"device": device})
        return make

    return QConfig(activation=on_device(qconfig.activation), weight=on_device(qconfig.weight))


def _same_maker(one: Any, other: Any) -> bool:
    if isinstance(one, _PartialWrapper) and isinstance(other, _PartialWrapper):
        first, second = dict(one.p.keywords), dict(other.p.keywords)
        if "observer" in first and "observer" in second and not _same_maker(first.pop("observer"),
                                                                            second.pop("observer")):  # fmt: skip
            return False
        return one.p.func == other.p.func and one.p.args == other.p.args and first == second
    return bool(one == other)


def qconfig_equals(q1, q2):
    """Whether two qconfigs make the same observers.

    >>> from torch.ao.quantization import default_qconfig, qconfig_equals
    >>> qconfig_equals(default_qconfig, default_qconfig)
    True
    """
    if q1 is None or q2 is None:
        return q1 == q2
    return _same_maker(q1.activation, q2.activation) and _same_maker(q1.weight, q2.weight)


def _activation_is_memoryless(qconfig: Any) -> bool:
    """Whether an observer of activations forgets what it saw before."""
    made = qconfig.activation()
    made = getattr(made, "activation_post_process", made)
    return getattr(made, "averaging_constant", None) == 1


def _is_reuse_input_qconfig(qconfig: Any) -> bool:
    return (
        qconfig is not None
        and isinstance(qconfig.activation(), ReuseInputObserver)
        and isinstance(qconfig.weight(), NoopObserver)
    )

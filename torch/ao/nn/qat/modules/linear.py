"""A linear layer that rounds its weight as quantising would."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - PyTorch's name here
from torch import nn
from torch.ao.nn.intrinsic.modules.fused import LinearReLU
from torch.nn.utils.parametrize import (
    is_parametrized,
    transfer_parametrizations_and_params,
    type_before_parametrizations,
)


def check_qat_source(mod, wanted):
    """Raise AssertionError unless a module is of the class to be swapped, with a qconfig."""
    if type_before_parametrizations(mod) != wanted[1]:
        raise AssertionError(
            f"qat.{wanted[0].__name__}.from_float only works for {wanted[1].__name__}, got {type(mod).__name__}"
        )
    if not hasattr(mod, "qconfig"):
        raise AssertionError("Input float module must have qconfig defined")
    if not mod.qconfig:
        raise AssertionError("Input float module must have a valid qconfig")


def take_parameter(name, source, target):
    """Let ``target`` have the parameter, and the parametrization, of ``source``."""
    if is_parametrized(source, name):
        transfer_parametrizations_and_params(source, target, name)
    else:
        setattr(target, name, getattr(source, name))


class Linear(nn.Linear):
    """A linear layer whose weight is rounded by ``weight_fake_quant`` each time it is used.

    Args:
        in_features: size of the inputs.
        out_features: size of the outputs.
        bias: whether there is a bias, which is not rounded.
        qconfig: a QConfig whose ``weight`` makes a fake quantiser.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        AssertionError: without ``qconfig``.
    """

    _FLOAT_MODULE = nn.Linear

    def __init__(self, in_features, out_features, bias=True, qconfig=None, device=None, dtype=None) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        if not qconfig:
            raise AssertionError("qconfig must be provided for QAT module")
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(**_factory(device, dtype))

    def forward(self, input):
        """The linear map with the rounded weight."""
        return F.linear(input, self.weight_fake_quant(self.weight), self.bias)

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Take the place of a linear layer, or of one with ReLU, and have its parameters.

        Raises:
            AssertionError: for another class of module, and without a qconfig.
        """
        check_qat_source(mod, (cls, cls._FLOAT_MODULE))
        if type_before_parametrizations(mod) == LinearReLU:
            mod = _with_qconfig(mod[0], mod.qconfig)
        result = cls(mod.in_features, mod.out_features, bias=mod.bias is not None, qconfig=mod.qconfig)
        take_parameter("weight", mod, result)
        take_parameter("bias", mod, result)
        return result

    def to_float(self):
        """A linear layer with these parameters."""
        linear = nn.Linear(self.in_features, self.out_features, self.bias is not None)
        linear.weight = nn.Parameter(self.weight.detach())
        if self.bias is not None:
            linear.bias = nn.Parameter(self.bias.detach())
        linear.train(self.training)
        return linear


def _factory(device, dtype):
    # observers on the CPU in float32 need no word of it
    options = {key: value for key, value in (("device", device), ("dtype", dtype)) if value is not None}
    return {"factory_kwargs": options} if options else {}


def _with_qconfig(mod, qconfig):
    mod.qconfig = qconfig
    return mod

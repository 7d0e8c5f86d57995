"""How modules that follow each other become one."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.ao.nn import intrinsic as nni
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

__all__ = ["fuse_conv_bn", "fuse_conv_bn_relu", "fuse_linear_bn", "fuse_convtranspose_bn", "get_fuser_method"]


def _check_modes(*modules: nn.Module) -> None:
    if len({module.training for module in modules}) > 1:
        raise AssertionError("Conv and BN both must be in the same mode (train or eval).")


def _check_norm(conv: Any, bn: Any) -> None:
    kind = type(conv).__name__[-2]
    if bn.num_features != conv.out_channels:
        raise AssertionError(f"Output channel of Conv{kind}d must match num_features of BatchNorm{kind}d.")
    if not bn.affine:
        raise AssertionError(f"Only support fusing BatchNorm{kind}d with affine set to True")
    if not bn.track_running_stats:
        raise AssertionError(f"Only support fusing BatchNorm{kind}d with tracking_running_stats set to True")


_CONV_BN = {nn.Conv1d: nni.ConvBn1d, nn.Conv2d: nni.ConvBn2d, nn.Conv3d: nni.ConvBn3d}
_CONV_BN_RELU = {nn.Conv1d: nni.ConvBnReLU1d, nn.Conv2d: nni.ConvBnReLU2d, nn.Conv3d: nni.ConvBnReLU3d}
_CONV_RELU = {nn.Conv1d: nni.ConvReLU1d, nn.Conv2d: nni.ConvReLU2d, nn.Conv3d: nni.ConvReLU3d}


def fuse_conv_bn(is_qat, conv, bn):
    """A convolution and its batch normalisation as one: side by side for training, folded for evaluation.

    Raises:
        AssertionError: if the two do not go together, or are in training and ``is_qat`` is False.
    """
    _check_modes(conv, bn)
    if is_qat:
        _check_norm(conv, bn)
        return _CONV_BN[type(conv)](conv, bn)
    return fuse_conv_bn_eval(conv, bn)


def fuse_conv_bn_relu(is_qat, conv, bn, relu):
    """A convolution, its batch normalisation and ReLU as one; see ``fuse_conv_bn``.

    Raises:
        NotImplementedError: for another kind of convolution.
    """
    _check_modes(conv, bn, relu)
    if is_qat:
        if type(conv) not in _CONV_BN_RELU:
            raise NotImplementedError(f"Cannot fuse train modules: {(conv, bn, relu)}")
        _check_norm(conv, bn)
        return _CONV_BN_RELU[type(conv)](conv, bn, relu)
    if type(conv) not in _CONV_RELU:
        raise NotImplementedError(f"Cannot fuse eval modules: {(conv, bn, relu)}")
    return _CONV_RELU[type(conv)](fuse_conv_bn_eval(conv, bn), relu)


def fuse_linear_bn(is_qat, linear, bn):
    """A linear layer and its batch normalisation as one; see ``fuse_conv_bn``."""
    if linear.training != bn.training:
        raise AssertionError("Linear and BN both must be in the same mode (train or eval).")
    if is_qat:
        if bn.num_features != linear.out_features:
            raise AssertionError("Output features of Linear must match num_features of BatchNorm1d")
        if not bn.affine:
            raise AssertionError("Only support fusing BatchNorm1d with affine set to True")
        if not bn.track_running_stats:
            raise AssertionError("Only support fusing BatchNorm1d with tracking_running_stats set to True")
        return nni.LinearBn1d(linear, bn)
    return fuse_linear_bn_eval(linear, bn)


def fuse_convtranspose_bn(is_qat, convt, bn):
    """A transposed convolution with its batch normalisation folded in; Exception with ``is_qat``."""
    if convt.training != bn.training:
        raise AssertionError("ConvTranspose and BN both must be in the same mode (train or eval).")
    if is_qat:
        raise Exception("Fusing ConvTranspose+BatchNorm not yet supported in QAT.")
    return fuse_conv_bn_eval(convt, bn, transpose=True)


def _sequential_wrapper2(sequential):
    """The fusing function for a class of two modules."""

    def fuser_method(is_qat, m1, m2):
        return sequential(m1, m2)

    return fuser_method


_DEFAULT_OP_LIST_TO_FUSER_METHOD: dict[tuple[type, ...], Any] = {}
for _n in (1, 2, 3):
    _conv, _bn = getattr(nn, f"Conv{_n}d"), getattr(nn, f"BatchNorm{_n}d")
    _DEFAULT_OP_LIST_TO_FUSER_METHOD[_conv, _bn] = fuse_conv_bn
    _DEFAULT_OP_LIST_TO_FUSER_METHOD[_conv, _bn, nn.ReLU] = fuse_conv_bn_relu
    _DEFAULT_OP_LIST_TO_FUSER_METHOD[_conv, nn.ReLU] = _sequential_wrapper2(_CONV_RELU[_conv])
    _DEFAULT_OP_LIST_TO_FUSER_METHOD[getattr(nn, f"ConvTranspose{_n}d"), _bn] = fuse_convtranspose_bn
_DEFAULT_OP_LIST_TO_FUSER_METHOD |= {
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn,
    (nn.Linear, nn.ReLU): _sequential_wrapper2(nni.LinearReLU),
    (nn.BatchNorm2d, nn.ReLU): _sequential_wrapper2(nni.BNReLU2d),
    (nn.BatchNorm3d, nn.ReLU): _sequential_wrapper2(nni.BNReLU3d),
}


def get_fuser_method(op_list, additional_fuser_method_mapping=None):
    """The function that fuses modules of these classes; AssertionError if there is none."""
    methods = {**_DEFAULT_OP_LIST_TO_FUSER_METHOD, **(additional_fuser_method_mapping or {})}
    method = methods.get(op_list)
    if method is None:
        raise AssertionError(f"did not find fuser method for: {op_list} ")
    return method

"""Gradients of convolutions with respect to their input and their weight."""

from __future__ import annotations

import torch
from torch._C._nn import conv1d, conv2d, conv3d


def _of(conv, make, grad_output, stride, padding, dilation, groups, which):
    with torch.enable_grad():
        input, weight = make()
        output = conv(input, weight, None, stride, padding, dilation, groups)
        return torch.autograd.grad(output, (input, weight)[which], grad_output)[0]


def _input(conv, input_size, weight, grad_output, stride, padding, dilation, groups):
    def make():
        empty = torch.zeros(1, dtype=grad_output.dtype, device=grad_output.device).expand(input_size)
        return empty.detach().requires_grad_(), weight

    return _of(conv, make, grad_output, stride, padding, dilation, groups, 0)


def _weight(conv, input, weight_size, grad_output, stride, padding, dilation, groups):
    def make():
        empty = torch.zeros(1, dtype=grad_output.dtype, device=grad_output.device).expand(weight_size)
        return input, empty.detach().requires_grad_()

    return _of(conv, make, grad_output, stride, padding, dilation, groups, 1)


def conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv1d`` with respect to its input."""
    return _input(conv1d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv1d`` with respect to its weight."""
    return _weight(conv1d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv2d`` with respect to its input."""
    return _input(conv2d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv2d`` with respect to its weight."""
    return _weight(conv2d, input, weight_size, grad_output, stride, padding, dilation, groups)


def conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv3d`` with respect to its input."""
    return _input(conv3d, input_size, weight, grad_output, stride, padding, dilation, groups)


def conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1):
    """Return the gradient of ``conv3d`` with respect to its weight."""
    return _weight(conv3d, input, weight_size, grad_output, stride, padding, dilation, groups)

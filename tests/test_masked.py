"""Masked tensors and masked reductions, against NumPy's masked arrays where it has the function."""

import math

import numpy
import pytest

import torch
from torch.masked import as_masked_tensor, is_masked_tensor, masked_tensor

DATA = torch.arange(6.0).reshape(2, 3)
MASK = torch.tensor([[True, False, True], [False, True, True]])


def masked():
    return masked_tensor(DATA, MASK)


def as_numpy():
    return numpy.ma.masked_array(DATA.numpy(), ~MASK.numpy())


def check(result, data, mask):
    assert is_masked_tensor(result)
    assert torch.equal(result.get_mask(), mask)
    torch.testing.assert_close(result.get_data()[mask], data[mask])


def test_printing():
    assert repr(masked()) == (
        "MaskedTensor(\n  [\n    [  0.0000,       --,   2.0000],\n    [      --,   4.0000,   5.0000]\n  ]\n)"
    )
    assert repr(masked_tensor(torch.arange(3), MASK[0])) == "MaskedTensor(\n  [0,       --, 2]\n)"
    assert repr(masked_tensor(torch.tensor(3.0), torch.tensor(True))) == "MaskedTensor(  3.0000, True)"
    assert repr(masked_tensor(torch.tensor(3.0), torch.tensor(False))) == "MaskedTensor(--, False)"


@pytest.mark.parametrize(
    "function",
    [torch.exp, lambda x: -x, lambda x: x + 1, lambda x: 2 * x, lambda x: x > 1, lambda x: x**2, torch.sigmoid,
     lambda x: x.clamp(1, 2), lambda x: x + DATA, lambda x: DATA - x, lambda x: x.double(), lambda x: x / (x + 1),
     lambda x: torch.atan2(x, x + 1), torch.ones_like],
)  # fmt: skip
def test_pointwise_operations_keep_the_mask(function):
    check(function(masked()), function(DATA), MASK)


@pytest.mark.parametrize(
    "function",
    [lambda x: x.t(), lambda x: x.reshape(3, 2), lambda x: x[0], lambda x: x[:, 1], lambda x: x[0, 1],
     lambda x: x[MASK],
     lambda x: torch.cat([x, x]), lambda x: torch.stack([x, x], 1), lambda x: x.unsqueeze(0), lambda x: x.split(1)[1],
     lambda x: x.expand(2, 2, 3), lambda x: x.flatten(), lambda x: x.mT],
)  # fmt: skip
def test_moves_take_the_mask_along(function):
    check(function(masked()), function(DATA), function(MASK))


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "amin", "var", "std"])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_reductions_match_numpy(name, dim):
    got = getattr(masked(), name)() if dim is None else getattr(masked(), name)(dim)
    call = {"amax": "max", "amin": "min"}.get(name, name)
    extra = {"ddof": 1} if name in ("var", "std") else {}
    expected = numpy.ma.filled(getattr(as_numpy(), call)(axis=dim, **extra), math.nan)
    torch.testing.assert_close(got.get_data(), torch.tensor(expected, dtype=torch.float32), equal_nan=True)
    assert bool(got.get_mask().all())
    plain = getattr(torch.masked, name)(DATA, dim, mask=MASK)
    torch.testing.assert_close(plain, got.get_data(), equal_nan=True)
    torch.testing.assert_close(getattr(torch.masked, name)(masked(), dim), plain, equal_nan=True)


def test_a_row_without_elements_stays_masked():
    empty = masked_tensor(DATA, torch.tensor([[False] * 3, [True] * 3]))
    assert empty.sum(1).get_mask().tolist() == [False, True]
    assert empty.amax(1).to_tensor(-7.0).tolist() == [-7.0, 5.0]


def test_softmax_and_conversions():
    check(torch.softmax(masked(), 1), torch.masked.softmax(DATA, 1, mask=MASK), MASK)
    assert masked().to_tensor(-1.0).tolist() == [[0.0, -1.0, 2.0], [-1.0, 4.0, 5.0]]
    assert masked().shape == (2, 3) and masked().dtype == torch.float32 and masked().dim() == 2
    check(torch.where(DATA > 2, masked(), masked() + 1), torch.where(DATA > 2, DATA, DATA + 1), MASK)
    target = masked()
    target.add_(1)
    check(target, DATA + 1, MASK)
    assert DATA[0, 0] == 0


def test_gradients_ignore_what_is_hidden():
    leaf = masked_tensor(DATA, MASK, requires_grad=True)
    (leaf * leaf).sum().backward()
    check(leaf.grad, 2 * DATA, MASK)
    x = torch.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    as_masked_tensor(x, x > 0).sqrt().sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.25]  # torch.where gives NaN here
    y = torch.tensor([2.0, 3.0], requires_grad=True)
    as_masked_tensor(y, torch.tensor([True, False])).log().mean().backward()
    assert y.grad.tolist() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: masked() + masked_tensor(DATA, ~MASK), ValueError, "Input masks must match."),
        (lambda: masked_tensor(DATA, MASK[0]), ValueError, "data.dim\\(\\) must equal mask.dim\\(\\)"),
        (lambda: masked_tensor(DATA, MASK[:, :2]), ValueError, "data.size\\(\\) must equal mask.size\\(\\)"),
        (lambda: masked_tensor(DATA, MASK.float()), TypeError, "mask must have dtype bool."),
        (lambda: masked_tensor([1.0], MASK), TypeError, "data must be a Tensor"),
        (lambda: masked_tensor(masked(), MASK), TypeError, "data must be a Tensor"),
        (lambda: masked_tensor(DATA, [True]), TypeError, "mask must be a Tensor"),
        (lambda: masked_tensor(DATA.byte(), MASK), TypeError, "torch.uint8 is not supported in MaskedTensor."),
        (lambda: masked().sort(), TypeError, "Multiple dispatch failed for"),
        (
            lambda: masked().tolist(),
            RuntimeError,
            ".tolist\\(\\) is not supported for tensor subclasses, got MaskedTensor",
        ),
        (lambda: torch.masked.sum(DATA, mask=MASK[None]), IndexError, "_input_mask expected broadcastable mask"),
        (lambda: torch.masked.sum(DATA, 5), IndexError, "Dimension out of range"),
        (lambda: torch.masked.sum(DATA, (0, 0)), RuntimeError, "dim=0 appears multiple times"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()

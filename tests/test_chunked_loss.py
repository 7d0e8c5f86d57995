"""linear_cross_entropy in pieces gives what it gives whole."""

import pytest

import torch
from torch.nn import LinearCrossEntropyOptions
from torch.nn import functional as F

torch.manual_seed(0)
N, FEATURES, CLASSES = 11, 3, 5
INPUT = torch.randn(N, FEATURES, dtype=torch.float64)
WEIGHT = torch.randn(CLASSES, FEATURES, dtype=torch.float64)
BIAS = torch.randn(CLASSES, dtype=torch.float64)
TARGET = torch.tensor([0, 1, 2, 3, 4, -100, 2, 2, -100, 0, 1])


def loss_and_gradients(options, **arguments):
    leaves = [t.clone().requires_grad_() for t in (INPUT, WEIGHT, BIAS)]
    x, w, b = leaves
    loss = F.linear_cross_entropy(x, w, TARGET, linear_bias=b, options=options, **arguments)
    return [loss.detach(), *torch.autograd.grad(loss * 3, leaves)]


@pytest.mark.parametrize("pieces", [1, 2, 5, 11, 100, None])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_make_the_whole(pieces, reduction, weighted):
    arguments = {"reduction": reduction, "weight": torch.linspace(0.5, 2, CLASSES).double() if weighted else None}
    options = LinearCrossEntropyOptions(batch_chunk_size=pieces)
    for got, whole in zip(loss_and_gradients(options, **arguments), loss_and_gradients(None, **arguments), strict=True):
        torch.testing.assert_close(got, whole, rtol=1e-12, atol=1e-14)


def test_forward_derivatives_and_vmap():
    options = LinearCrossEntropyOptions(batch_chunk_size=4)
    direction = torch.ones_like(INPUT)

    def chunked(x):
        return F.linear_cross_entropy(x, WEIGHT, TARGET, options=options)

    def whole(x):
        return F.linear_cross_entropy(x, WEIGHT, TARGET)

    torch.testing.assert_close(
        torch.func.jvp(chunked, (INPUT,), (direction,)), torch.func.jvp(whole, (INPUT,), (direction,))
    )
    batch = torch.stack([INPUT, 2 * INPUT])
    torch.testing.assert_close(torch.vmap(chunked)(batch), torch.vmap(whole)(batch))
    torch.testing.assert_close(torch.vmap(torch.func.grad(chunked))(batch), torch.vmap(torch.func.grad(whole))(batch))


def test_the_gradients_can_be_used_once_unless_more_was_asked():
    for allowed in (False, True):
        x = INPUT.clone().requires_grad_()
        options = LinearCrossEntropyOptions(batch_chunk_size=4, allow_retain_graph=allowed)
        loss = F.linear_cross_entropy(x, WEIGHT, TARGET, options=options)
        loss.backward(retain_graph=True)
        if allowed:
            loss.backward()
        else:
            with pytest.raises(RuntimeError, match="linear_cross_entropy chunked backward called twice"):
                loss.backward()


def test_nothing_to_average_gives_no_number():
    nothing = torch.full((N,), -100)
    options = LinearCrossEntropyOptions()
    assert torch.isnan(F.linear_cross_entropy(INPUT, WEIGHT, nothing, options=options))
    assert F.linear_cross_entropy(INPUT, WEIGHT, nothing, options=options, reduction="sum") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_chunk_size": 0},
        {"batch_chunk_size": 2.5},
        {"chunking_method": "aspect_ratio:0"},
        {"chunking_method": "whole"},
        {"acc_policy": "none"},
        {"acc_dtype": torch.int8},
    ],
)
def test_wrong_options(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        LinearCrossEntropyOptions(**arguments)

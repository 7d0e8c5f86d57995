"""Behaviour of single functions that a first version had wrong. The numbers are PyTorch 2.13's."""

import pytest

import torch
from torch.nn import functional as F

X = [[0.2, -0.4, 1.0], [0.1, 0.3, -0.7]]
Y = [[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]


@pytest.fixture
def x():
    return torch.tensor(X)


@pytest.fixture
def y():
    return torch.tensor(Y)


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_losses_of_torch_itself_do_not_reduce_by_default(x, y):
    close(torch.hinge_embedding_loss(x, y, 2.0), [[0.2, 2.4, 1.0], [1.9, 0.3, -0.7]])
    close(torch.hinge_embedding_loss(x, y, 1.0, 1), 0.5167)
    close(torch.margin_ranking_loss(x[0], x[1], y[0], 0.5, 2), 0.4)
    close(torch.cosine_embedding_loss(x, y, torch.tensor([1.0, -1.0]), 0.2, 1), 0.0784)
    close(torch.triplet_margin_loss(x, y, -y), [0.0, 1.5331])
    close(torch.kl_div(x, y.abs(), log_target=True), [[2.1746, 3.8056, 0.0], [2.4465, 1.9028, 4.6211]])
    close(torch.kl_div(x, y.abs(), 2), -0.5)
    close(torch.binary_cross_entropy_with_logits(x, y.abs(), None, None, 1), 0.6877)
    assert torch.binary_cross_entropy_with_logits(x, y.abs()).shape == (2, 3)
    close(torch.poisson_nll_loss(x, y.abs(), True, False, 1e-8, 1), 1.1769)
    log_probs = torch.log_softmax(torch.arange(24.0).reshape(4, 2, 3) / 7, 2)
    close(torch.ctc_loss(log_probs, torch.tensor([[1, 2], [2, 1]]), [4, 4], [2, 2]), [1.6691, 1.6691])
    with pytest.raises(TypeError, match=r"argument 'reduction' \(position 4\) must be int, not str"):
        torch.hinge_embedding_loss(x, y, 1.0, "mean")


def test_ctc_loss_has_derivatives_of_higher_order():
    labels = torch.tensor([[1, 2], [2, 2]])

    def loss(x):
        return torch.nn.functional.ctc_loss(x.log_softmax(2), labels, (4, 4), (2, 2), reduction="none")

    x = (torch.arange(24.0) * 7 % 11).double().reshape(4, 2, 3).div(5).requires_grad_()
    assert torch.autograd.gradcheck(loss, x)
    assert torch.autograd.gradgradcheck(loss, x)


def test_embedding_bag_tells_what_its_bags_are_made_of(x):
    indices, offsets = torch.tensor([0, 1, 1]), torch.tensor([0, 2])
    bags, of, sizes, rows = torch.embedding_bag(x, indices, offsets, False, 2)
    close(bags, [[0.2, 0.3, 1.0], [0.1, 0.3, -0.7]])
    assert (of.tolist(), sizes.tolist(), rows.tolist()) == ([0, 0, 1], [2, 1], [[0, 1, 0], [1, 1, 1]])
    bags, of, sizes, _ = torch.embedding_bag(x, indices, torch.tensor([0, 0, 2]), False, 1)
    assert (of.tolist(), sizes.tolist()) == ([1, 1, 2], [0, 2, 1])
    bags, of, sizes, _ = torch.embedding_bag(x, indices, offsets, False, 1, False, None, False, 1)
    close(bags, [[0.2, -0.4, 1.0], [0.0, 0.0, 0.0]])
    assert sizes.tolist() == [1, 0]
    assert torch.embedding_bag(x, indices, offsets)[1].tolist() == []


@pytest.mark.parametrize("make", [
    lambda v, d: torch.full((1,), v, dtype=d),
    lambda v, d: torch.zeros(1, dtype=d).fill_(v),
    lambda v, d: torch.full_like(torch.zeros(1, dtype=d), v),
    lambda v, d: torch.zeros(2).new_full((1,), v, dtype=d),
])  # fmt: skip
@pytest.mark.parametrize(("value", "dtype", "name"), [
    (300, torch.uint8, "uint8_t"), (-1.5, torch.uint8, "uint8_t"), (1000, torch.int8, "int8_t"),
    (float("nan"), torch.int32, "int"), (1e300, torch.float32, "float"), (1j, torch.float64, "double"),
])  # fmt: skip
def test_fills_refuse_what_the_dtype_cannot_hold(make, value, dtype, name):
    with pytest.raises(RuntimeError, match=f"value cannot be converted to type {name} without overflow"):
        make(value, dtype)


def test_fills_that_wrap_or_overflow_as_in_pytorch():
    assert torch.full((1,), -1, dtype=torch.uint8).item() == 255
    assert torch.full((1,), 70000.0, dtype=torch.float16).item() == float("inf")
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.zeros(1, dtype=torch.float16).masked_fill(torch.tensor([True]), 70000.0)


def test_cat_refuses_to_write_to_its_own_inputs():
    empty, a = torch.empty(0), torch.ones(4, 6)
    for tensors, out in (((empty, a), a), ((empty, a), empty), ((a, a), a), ((a, a), torch.empty(1).expand(8, 6))):
        with pytest.raises(RuntimeError, match="unsupported operation"):
            torch.cat(tensors, out=out)


def test_numbers_on_the_left(x):
    for result, expected in ((2 * x, x * 2), (1 - x, -(x - 1)), (2.0 / (x + 2), (x + 2).reciprocal() * 2)):
        torch.testing.assert_close(result, expected)
    with pytest.raises(TypeError):
        torch.eq(2, x)
    with pytest.raises(TypeError):
        x @ 2


def test_composites_in_place_keep_their_gradient():
    for name in ("selu_", "celu_"):
        leaf = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda v, name=name: getattr(torch, name)(v * 1), leaf)


def test_integer_products_take_whole_factors():
    i = torch.ones(2, 2, dtype=torch.int64)
    assert torch.addmm(i, i, i, beta=0.5, alpha=2.7).tolist() == [[4, 4], [4, 4]]
    assert torch.addmv(i[0], i, i[0], beta=0.5, alpha=2.7).tolist() == [4, 4]
    with pytest.raises(RuntimeError, match="argument beta must not be a floating point number"):
        torch.addr(i, i[0], i[0], beta=1.9)


def test_linear_writes_to_out(x):
    out = torch.empty(2, 2)
    assert F.linear(x, torch.ones(2, 3), out=out) is out
    close(out, [[0.8, 0.8], [-0.3, -0.3]])


def test_rows_that_only_derivatives_call_are_not_reachable():
    for name in ("_index_geometry", "_scatter_geometry", "conv_weight_grad", "mapped_pad_backward"):
        assert not hasattr(torch._C._ops, name)


@pytest.mark.parametrize(
    "call, hint",
    [
        ("torch.ones(2, 3) @ torch.ones(2, 3)", "with the second transposed, .mT, it would"),
        ("torch.ones(5, 2, 3).bmm(torch.ones(5, 4, 2))", "dimension -2 of the second, 4"),
        ("torch.ones(4) + torch.ones(4, 3)", "unsqueeze(-1) on the first would make them fit"),
        ("torch.ones(2, 3) + torch.ones(3, 2)", "The transpose of the second, .mT, would fit"),
        ("torch.ones(5, 4) + torch.ones(5, 3)", "dimension -1 is 4 and 3"),
        ("torch.cat([torch.ones(2, 3), torch.ones(2, 4)])", "they would fit along dim=1"),
        ("torch.ones(2, 3).view(4, 2)", "6 elements; the shape asks for 8"),
        ("torch.ones(2, 3)[5]", "along dimension 0 indices go from -2 to 1"),
        ("torch.nn.Conv2d(3, 4, 1)(torch.ones(1, 5, 5, 3))", "permute them to dimension 1"),
        ("torch.nn.functional.binary_cross_entropy(torch.ones(4, 1), torch.ones(4))", "target.view_as(input)"),
        ("torch.nn.LayerNorm(4)(torch.ones(2, 3))", "the last 1 dimension of the input [2, 3] should be [4]"),
    ],
)
def test_messages_about_shapes_end_in_a_hint(call, hint):
    with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
        eval(call)
    first, _, further = str(caught.value).partition("\nHint: ")
    assert first and hint in further

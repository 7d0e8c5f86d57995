"""Nested tensors of the jagged layout: each operation against the same one on the entries, and PyTorch's errors."""

import copy
import io
import pickle

import pytest

import torch
import torch.nn.functional as F  # noqa: N812

LENGTHS = (2, 4, 1)


def entries(*inner, grad=False):
    """Return three tensors that differ in their first dimension."""
    g = torch.Generator().manual_seed(0)
    made = [torch.randn(n, *(inner or (3,)), generator=g, dtype=torch.float64) for n in LENGTHS]
    return [t.requires_grad_(grad) for t in made]


def jagged(*inner):
    return torch.nested.as_nested_tensor(entries(*inner), layout=torch.jagged)


def same(nested, expected):
    """Check entries and raggedness."""
    assert nested.is_nested and nested.layout is torch.jagged
    parts = nested.unbind()
    assert len(parts) == len(expected)
    for part, want in zip(parts, expected, strict=True):
        torch.testing.assert_close(part, want)


def raises(kind, text):
    import re

    return pytest.raises(kind, match="^" + re.escape(text))


def test_what_a_nested_tensor_says_of_itself():
    nt = torch.nested.nested_tensor([[1.0, 2.0], [3.0]], layout=torch.jagged)
    name = repr(nt.size(1))
    assert name[0] == "j" and name[1:].isdigit()
    assert repr(nt.shape) == f"torch.Size([2, {name}])"
    assert repr(nt) == f"NestedTensor(size=(2, {name}), offsets=tensor([0, 2, 3]), contiguous=True)"
    assert nt.dim() == 2 and nt.numel() == 3 and len(nt) == 2 and nt.dtype == torch.float32
    assert isinstance(nt.size(1), torch.SymInt) and isinstance(nt, torch.Tensor)
    assert nt.size(1) == nt.shape[-1] != 2
    assert nt.offsets().tolist() == [0, 2, 3] and nt.lengths() is None and nt.values().tolist() == [1.0, 2.0, 3.0]
    assert [t.tolist() for t in nt] == [[1.0, 2.0], [3.0]]
    assert nt[-1].tolist() == [3.0] and nt[0, 1].item() == 2.0


def test_ragged_sizes_compare_only_with_themselves():
    size, other = jagged().size(1), jagged().size(1)
    assert size == size and size != other and size != 4  # noqa: PLR0124
    assert size >= 2 and not size < 1
    with pytest.raises(ValueError, match="indeterminate"):
        size > 3  # noqa: B015
    assert repr(3 * size) == "3*" + repr(size)
    assert jagged().stride()[1:] == (3, 1)


@pytest.mark.parametrize(
    "function",
    [torch.sin, F.gelu, lambda x: -x, lambda x: x * 2 + 1, lambda x: x > 0, lambda x: x.float(), lambda x: 1 - x,
     lambda x: torch.where(x > 0, x, 0.0), lambda x: x.clamp(-1, 1), lambda x: x.masked_fill(x > 0, 9.0),
     lambda x: torch.maximum(x, x * 2), torch.zeros_like, lambda x: F.dropout(x, 0.5, False), lambda x: x.clone(),
     lambda x: x * x, lambda x: x.to(torch.float32)],
)  # fmt: skip
def test_pointwise_operations_act_on_each_entry(function):
    same(function(jagged()), [function(t) for t in entries()])


def test_dense_operands_broadcast():
    nt, parts = jagged(), entries()
    row, per_entry = torch.arange(3.0, dtype=torch.float64), torch.arange(9.0, dtype=torch.float64).reshape(3, 1, 3)
    same(nt + row, [t + row for t in parts])
    same(row - nt, [row - t for t in parts])
    same(nt * per_entry, [t * per_entry[i] for i, t in enumerate(parts)])
    full = torch.arange(36.0, dtype=torch.float64).reshape(3, 4, 3)
    same(nt + full, [t + full[i, : len(t)] for i, t in enumerate(parts)])


@pytest.mark.parametrize(
    ("name", "dim"),
    [("sum", -1), ("mean", 2), ("amax", 2), ("amin", -1), ("prod", 2), ("argmax", 2), ("all", 2), ("sum", 1),
     ("mean", 1), ("amax", 1), ("amin", 1), ("prod", 1), ("any", 1), ("argmin", 1)],
)  # fmt: skip
def test_reductions(name, dim):
    got = getattr(jagged(), name)(dim)
    expected = [getattr(t, name)(dim - 1 if dim > 0 else dim) for t in entries()]
    if dim == 1:
        torch.testing.assert_close(got, torch.stack(expected))
    else:
        same(got, expected)


def test_reductions_of_all_and_of_pairs():
    nt, values = jagged(), torch.cat(entries())
    torch.testing.assert_close(nt.sum(), values.sum())
    torch.testing.assert_close(nt.mean((0, 1)), values.mean(0))
    torch.testing.assert_close(nt.sum(1, keepdim=True), torch.stack([t.sum(0, keepdim=True) for t in entries()]))
    same(nt.max(2).values, [t.max(1).values for t in entries()])
    assert torch.equal(nt.max(1).indices, torch.stack([t.max(0).indices for t in entries()]))


def test_softmax_and_layer_norm():
    nt, parts = jagged(), entries()
    same(torch.softmax(nt, 1), [torch.softmax(t, 0) for t in parts])
    same(torch.softmax(nt, -1), [torch.softmax(t, -1) for t in parts])
    same(F.layer_norm(nt, (3,)), [F.layer_norm(t, (3,)) for t in parts])
    same(torch.nn.LayerNorm(3, dtype=torch.float64)(nt), [F.layer_norm(t, (3,)) for t in parts])


def test_products():
    nt, parts = jagged(), entries()
    weight, batch = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, 3, 2, dtype=torch.float64)
    same(nt @ weight, [t @ weight for t in parts])
    same(torch.bmm(nt, batch), [t @ batch[i] for i, t in enumerate(parts)])
    same(F.linear(nt, weight.t(), weight[0]), [t @ weight + weight[0] for t in parts])
    torch.testing.assert_close(nt.transpose(1, 2) @ nt, torch.stack([t.t() @ t for t in parts]))
    same(torch.nn.Embedding(5, 2).weight.new_zeros(()) + jagged(), parts)


def test_embedding():
    indices = torch.nested.nested_tensor([[0, 1], [2]], layout=torch.jagged)
    layer = torch.nn.Embedding(5, 4)
    same(layer(indices), [layer(torch.tensor([0, 1])), layer(torch.tensor([2]))])


def test_shapes():
    nt, parts = jagged(4, 8), entries(4, 8)
    same(nt.transpose(1, 2), [t.transpose(0, 1) for t in parts])
    same(nt.transpose(1, 2).transpose(-1, -2), [t.permute(1, 2, 0) for t in parts])
    same(nt.flatten(2), [t.flatten(1) for t in parts])
    same(nt.view(3, -1, 32), [t.reshape(-1, 32) for t in parts])
    same(nt.reshape(3, -1, 2, 2, 8), [t.reshape(-1, 2, 2, 8) for t in parts])
    same(nt.unflatten(-1, [2, 4]), [t.unflatten(-1, [2, 4]) for t in parts])
    same(nt.unsqueeze(-1).squeeze(-1), parts)
    same(nt.unsqueeze(1), [t.unsqueeze(0) for t in parts])
    same(nt[..., 1:3], [t[..., 1:3] for t in parts])
    same(nt[..., 0], [t[..., 0] for t in parts])
    same(nt[..., None], [t[..., None] for t in parts])
    same(nt.chunk(2, -1)[1], [t.chunk(2, -1)[1] for t in parts])
    same(nt.chunk(2)[0], parts[:2])
    same(torch.cat([nt, nt], 2), [torch.cat([t, t], 1) for t in parts])
    same(torch.stack([nt, nt], -1), [torch.stack([t, t], -1) for t in parts])
    same(nt.split([1, 3], 2)[1], [t[:, 1:] for t in parts])
    same(nt.sum(2, keepdim=True).expand(3, -1, 5, 8), [t.sum(1, keepdim=True).expand(-1, 5, 8) for t in parts])


def test_attention_stays_within_each_sequence():
    q, k, v = (jagged(2, 8).transpose(1, 2) for _ in range(3))
    got = F.scaled_dot_product_attention(q, q, q)
    same(got, [F.scaled_dot_product_attention(*[t.transpose(0, 1)] * 3) for t in entries(2, 8)])
    assert got.transpose(1, 2).is_contiguous()
    causal = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    same(causal, [F.scaled_dot_product_attention(*[t.transpose(0, 1)] * 3, is_causal=True) for t in entries(2, 8)])
    with raises(ValueError, "Expected query, key, and value to be nested tensors"):
        F.scaled_dot_product_attention(q, torch.ones(3, 2, 5, 8), torch.ones(3, 2, 5, 8))
    with raises(ValueError, "Expected key and value to have the same ragged structure"):
        F.scaled_dot_product_attention(q, k, v)


def test_padding():
    nt, parts = jagged(), entries()
    padded = torch.nested.to_padded_tensor(nt, -1.0)
    torch.testing.assert_close(padded, torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=-1.0))
    assert nt.to_padded_tensor(0.0, output_size=(3, 6, 3)).shape == (3, 6, 3)


def test_holes():
    rows = torch.arange(30.0).reshape(2, 5, 3)
    nt = torch.nested.narrow(rows, 1, torch.tensor([0, 1]), torch.tensor([3, 2]), layout=torch.jagged)
    same(nt, [rows[0, :3], rows[1, 1:3]])
    assert not nt.is_contiguous() and nt.numel() == 15 and nt.lengths().tolist() == [3, 2]
    same(nt + 1, [rows[0, :3] + 1, rows[1, 1:3] + 1])
    same(nt.contiguous(), [rows[0, :3], rows[1, 1:3]])
    assert nt.contiguous().is_contiguous() and nt.contiguous().values().shape == (5, 3)
    torch.testing.assert_close(nt.sum(), rows[0, :3].sum() + rows[1, 1:3].sum())
    with raises(RuntimeError, "sum(): reducing across the ragged dimension is not supported for non-contiguous"):
        nt.sum(1)


def test_from_jagged_and_masked_select():
    values = torch.arange(5)
    nt = torch.nested.nested_tensor_from_jagged(values, lengths=torch.tensor([2, 3]))
    same(nt, [values[:2], values[2:]])
    assert nt.values() is values
    shared = torch.nested.nested_tensor_from_jagged(values * 2, nt.offsets())
    same(nt + shared, [values[:2] * 3, values[2:] * 3])
    mask = torch.tensor([[True, False, True], [False, True, False]])
    same(torch.nested.masked_select(torch.arange(6).reshape(2, 3), mask), [torch.tensor([0, 2]), torch.tensor([4])])


def test_gradients_reach_leaves_and_entries():
    leaf = torch.nested.nested_tensor(entries(), layout=torch.jagged, requires_grad=True)
    assert leaf.is_leaf and leaf.requires_grad and "requires_grad=True" in repr(leaf)
    (leaf * leaf).sum().backward()
    same(leaf.grad, [2 * t for t in entries()])
    assert leaf.grad.shape == leaf.shape
    (grad,) = torch.autograd.grad((leaf * 3).sum(), leaf)
    same(grad, [torch.full_like(t, 3) for t in entries()])
    (leaf * 1).backward(torch.ones_like(leaf))

    parts = entries(grad=True)
    weight = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)

    def loss(*tensors):
        nt = torch.nested.as_nested_tensor(list(tensors[:3]), layout=torch.jagged)
        hidden = torch.softmax(F.linear(nt, tensors[3]), 1).amax(1) + nt.mean(1)[:, :2]
        return (hidden * hidden).sum() + nt.to_padded_tensor(1.0).prod(1).sum()

    assert torch.autograd.gradcheck(loss, (*parts, weight))


def test_copies_and_files():
    nt = torch.nested.nested_tensor(entries(), layout=torch.jagged)
    same(copy.deepcopy(nt), entries())
    assert copy.deepcopy(nt).shape == nt.shape
    same(pickle.loads(pickle.dumps(nt)), entries())
    nt.mul_(2)
    same(nt, [2 * t for t in entries()])
    same(torch.zeros_like(nt).copy_(nt), [2 * t for t in entries()])
    buffer = io.BytesIO()
    torch.save(nt.values(), buffer)


ERRORS = [
    (lambda a, b: a + b, RuntimeError, "cannot call binary pointwise function add.Tensor with inputs of shapes (3, j"),
    (
        lambda a, b: a + torch.ones(2, 3),
        RuntimeError,
        "cannot call binary pointwise function add.Tensor with inputs of shapes",
    ),
    (lambda a, b: a + torch.ones(1, 3, 1, 1), NotImplementedError, "NYI: broadcasting NT with T with larger dim"),
    (lambda a, b: a.sum(0), RuntimeError, "sum(): reducing along the batch dimension but not the ragged dimension"),
    (
        lambda a, b: a.sum((1, 2)),
        RuntimeError,
        "sum(): reducing along a ragged and non-batch dimension is not supported",
    ),
    (lambda a, b: a.sum(3), IndexError, "Dimension out of range (expected to be in range of [-3, 2], but got 3)"),
    (lambda a, b: a.transpose(0, 1), ValueError, "Transpose is not supported on the batch dimension for jagged NT"),
    (lambda a, b: a.view(3, -1), RuntimeError, "view(): cannot view shape (3, j"),
    (lambda a, b: a[0:1], RuntimeError, "slice(): not supported for NestedTensor on dim=0"),
    (lambda a, b: a.unbind(1), RuntimeError, "unbind(): only supported for NestedTensor on dim=0"),
    (lambda a, b: torch.cat([a, a], 1), RuntimeError, "cat(): not supported for NestedTensor on ragged dim"),
    (
        lambda a, b: torch.softmax(a, 0),
        RuntimeError,
        "softmax(): not supported when reducing across the batch dimension",
    ),
    (lambda a, b: torch.log_softmax(a, 1), RuntimeError, "log_softmax(): not supported when reducing along the ragged"),
    (
        lambda a, b: F.layer_norm(a, (4, 3)),
        RuntimeError,
        "Given normalized_shape=[4, 3], expected input with shape [*, 4, 3]",
    ),
    (lambda a, b: a @ b, RuntimeError, "matmul(): not supported between inputs of shapes (3, j"),
    (lambda a, b: a.cumsum(2), NotImplementedError, "aten.cumsum.default"),
    (lambda a, b: a.tolist(), RuntimeError, ".tolist() is not supported for tensor subclasses, got NestedTensor"),
    (lambda a, b: a.copy_(b * 2), RuntimeError, ""),
    (
        lambda a, b: torch.nested.nested_tensor([], layout=torch.jagged),
        RuntimeError,
        "Cannot construct a nested tensor from",
    ),
    (
        lambda a, b: torch.nested.as_nested_tensor(3),
        TypeError,
        "as_nested_tensor(): Expected first argument to be a tensor",
    ),
    (
        lambda a, b: torch.nested.nested_tensor([torch.ones(2), torch.ones(2, 2)], layout=torch.jagged),
        RuntimeError,
        "When constructing a nested tensor, all tensors in list must have the same dim",
    ),
    (
        lambda a, b: torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(3, 2)], layout=torch.jagged),
        RuntimeError,
        "Cannot represent given tensor list as a nested tensor with the jagged layout.",
    ),
    (
        lambda a, b: torch.nested.nested_tensor_from_jagged(torch.ones(5)),
        RuntimeError,
        "nested_tensor_from_jagged(): At least one of offsets or lengths is required.",
    ),
    (
        lambda a, b: torch.nested.nested_tensor([[1]], layout=torch.sparse_coo),
        RuntimeError,
        "Specified layout is unsupported",
    ),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    call, kind, text = ERRORS[case]
    if not text:
        call(jagged(), jagged())  # equal offsets are as good as the same ones
        return
    with raises(kind, text):
        call(jagged(), jagged())


# ---- the strided layout ----


def strided():
    return torch.nested.as_nested_tensor([torch.arange(6.0).reshape(2, 3), torch.ones(3, 2)])


def all_equal(nested, expected):
    assert nested.is_nested and nested.layout is torch.strided
    for part, want in zip(nested.unbind(), expected, strict=True):
        torch.testing.assert_close(part, want)


def test_entries_of_the_strided_layout_may_differ_anywhere():
    nt, parts = strided(), strided().unbind()
    assert repr(torch.nested.nested_tensor([[1, 2], [3]])) == "nested_tensor([\n  tensor([1, 2]),\n  tensor([3])\n])"
    assert nt.dim() == 3 and nt.numel() == 12 and nt.size(0) == 2
    all_equal(nt * 2 + 1, [t * 2 + 1 for t in parts])
    all_equal(nt + nt, [t + t for t in parts])
    all_equal(torch.softmax(nt, -1), [torch.softmax(t, -1) for t in parts])
    all_equal(nt.transpose(1, 2), [t.t() for t in parts])
    all_equal(nt @ nt.transpose(1, 2), [t @ t.t() for t in parts])
    all_equal(nt.sum(-1, keepdim=True), [t.sum(-1, keepdim=True) for t in parts])
    padded = nt.to_padded_tensor(-1.0)
    assert padded.shape == (2, 3, 3) and padded[1, :, 2].tolist() == [-1.0] * 3
    with raises(RuntimeError, "Given dimension 1 is irregular and does not have a size."):
        nt.size(1)
    with raises(RuntimeError, "add does not support broadcasting when given a NestedTensor"):
        nt + nt.transpose(1, 2)
    with raises(NotImplementedError, "Could not run 'aten::cumsum' with arguments from the 'NestedTensorCPU' backend."):
        nt.cumsum(1)


def test_gradients_of_the_strided_layout():
    parts = [torch.ones(2, 3, requires_grad=True), torch.ones(1, 3, requires_grad=True)]
    nt = torch.nested.as_nested_tensor(parts)
    F.linear(nt * nt, torch.ones(2, 3)).to_padded_tensor(0.0).sum().backward()
    assert parts[0].grad.tolist() == [[4.0] * 3] * 2 and parts[1].grad.tolist() == [[4.0] * 3]

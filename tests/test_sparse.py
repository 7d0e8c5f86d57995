"""Sparse tensors: values and errors as PyTorch 2.13 gives them, gradients by finite differences, SciPy, optimizers."""

import copy
import io
import pickle

import pytest
import support

import torch
from torch import nn

LAYOUTS = [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc]
VALUES, ERRORS = support.recorded("sparse"), support.recorded("sparse_errors")


def sample(dtype=torch.float64, rows=4, columns=6):
    """A matrix in which a third of the elements are there."""
    generator = torch.Generator().manual_seed(3)
    dense = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    dense = torch.where(torch.rand(rows, columns, generator=generator) < 0.35, dense * 4, torch.zeros(()))
    return dense.to(dtype)


def in_layout(dense, layout):
    blocks = (2, 2) if layout in (torch.sparse_bsr, torch.sparse_bsc) else None
    return dense.to_sparse(layout=layout, blocksize=blocks)


@pytest.mark.parametrize("case", VALUES)
def test_results_read_as_recorded(case):
    assert support.run_case(case) == VALUES[case]


@pytest.mark.parametrize("case", ERRORS)
def test_refusals_read_as_recorded(case):
    with pytest.raises(Exception) as caught:
        support.run_case(case)
    assert type(caught.value).__name__ == ERRORS[case]["type"]
    first = str(caught.value).split(" This could be because")[0].split("\n")[0]
    assert support.normalise(first) == support.normalise(ERRORS[case]["message"])


@pytest.mark.parametrize("name", ["sparse", "sparse_errors"])
def test_every_case_is_recorded(name):
    assert set(support.read_cases(name)) == support.recorded(name).keys()


@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", [torch.strided, *LAYOUTS])
def test_conversions_keep_the_elements(source, target):
    dense = sample()
    blocked = (torch.sparse_bsr, torch.sparse_bsc)
    tensor = in_layout(dense, source)
    if source in blocked and target in (torch.sparse_csr, torch.sparse_csc):
        pytest.skip("PyTorch does not take blocks apart")
    blocks = (2, 2) if target in blocked else None
    result = tensor.to_sparse(layout=target, blocksize=blocks)
    assert result.layout is target
    assert torch.equal(result.to_dense(), dense)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_and_dense_dimensions(layout):
    batches = torch.stack([sample(), sample().flip(1)])
    assert torch.equal(in_layout(batches, layout).to_dense(), batches)
    if layout is not torch.sparse_coo:
        blocks = (2, 3) if layout in (torch.sparse_bsr, torch.sparse_bsc) else None
        deep = sample().unsqueeze(-1) * torch.tensor([1.0, 2.0], dtype=torch.float64)
        tensor = deep.to_sparse(layout=layout, blocksize=blocks, dense_dim=1)
        assert tensor.dense_dim() == 1 and torch.equal(tensor.to_dense(), deep)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64, torch.int64, torch.bool])
def test_coalesce_adds_up(dtype):
    index, values = torch.tensor([[2, 0, 2, 2], [1, 1, 1, 0]]), torch.tensor([1, 2, 3, 4]).to(dtype)
    tensor = torch.sparse_coo_tensor(index, values, (3, 2))
    merged = tensor.coalesce()
    assert merged.is_coalesced() and merged.indices().tolist() == [[0, 2, 2], [1, 0, 1]]
    expected = torch.tensor([2, 4, 1 if dtype is torch.bool else 4]).to(dtype)
    assert torch.equal(merged.values(), expected) and torch.equal(merged.to_dense(), tensor.to_dense())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_agree_with_dense_ones(layout):
    dense, other, vector = sample(), torch.randn(6, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    tensor = in_layout(dense, layout)
    assert torch.allclose(tensor @ other, dense @ other)
    assert torch.allclose(tensor @ vector, dense @ vector)
    if layout not in (torch.sparse_bsr, torch.sparse_bsc):
        assert torch.allclose(other.t() @ tensor.t(), other.t() @ dense.t())
        assert torch.allclose((tensor @ in_layout(dense.t(), layout)).to_dense(), dense @ dense.t())
    transposed = tensor.transpose(0, 1)
    assert torch.equal(transposed.to_dense(), dense.t())


def test_products_do_not_depend_on_threads():
    tensor, other = torch.rand(300, 400).mul(torch.rand(300, 400) < 0.1).to_sparse_csr(), torch.rand(400, 50)
    count = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 4):
            torch.set_num_threads(threads)
            results.append((tensor @ other, tensor.t() @ other[:300]))
    finally:
        torch.set_num_threads(count)
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


def test_indices_out_of_range_are_never_followed():
    dense = torch.ones(2, 2)
    for tensor in (
        torch.sparse_csr_tensor([0, 1, 2], [0, 9], [1.0, 1.0], (2, 2)),
        torch.sparse_csr_tensor([0, 5, 2], [0, 1], [1.0, 1.0], (2, 2)),
        torch.sparse_csr_tensor([0, 1, 7], [0, 1], [1.0, 1.0], (2, 2)),
        torch.sparse_coo_tensor([[0, 7], [0, 1]], [1.0, 1.0], (2, 2)),
    ):
        for use in (lambda t: t @ dense, lambda t: t.to_dense(), lambda t: dense + t):
            with pytest.raises((RuntimeError, IndexError)):
                use(tensor)


GRADIENT_CASES = {
    "dense": lambda x, y: x.to_dense() * y.t(),
    "sum": lambda x, y: x.sum() * y.sum(),
    "sum over a dimension": lambda x, y: torch.sparse.sum(x, 1),
    "times a number": lambda x, y: (x * 3).to_dense(),
    "times dense": lambda x, y: (x * y.t()).to_dense(),
    "sine": lambda x, y: x.sin().to_dense(),
    "product": lambda x, y: torch.sparse.mm(x, y),
    "transposed": lambda x, y: x.t() @ y.t(),
    "sum with dense": lambda x, y: y.t() + x,
    "softmax": lambda x, y: torch.sparse.softmax(x, 1).to_dense(),
    "square": lambda x, y: (x * x).to_dense(),
    "sparse product": lambda x, y: (x @ x.t()).to_dense(),
    "select": lambda x, y: x.select(0, 1).to_dense(),
    "index_select": lambda x, y: x.index_select(1, torch.tensor([2, 0, 2])).to_dense(),
    "cat": lambda x, y: torch.cat([x, x * 2], 1).to_dense(),
}


@pytest.mark.parametrize("name", GRADIENT_CASES)
def test_gradients_of_coo(name):
    x, y = sample().to_sparse(), torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    assert check(GRADIENT_CASES[name], (x.requires_grad_(), y), masked=True)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
@pytest.mark.parametrize("name", ["dense", "product", "times a number", "sum"])
def test_gradients_of_compressed_layouts(name, layout):
    x = in_layout(sample(), layout).requires_grad_()
    y = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    check = torch.sparse.as_sparse_gradcheck(torch.autograd.gradcheck)
    assert check(GRADIENT_CASES[name], (x, y), masked=True)


def test_second_derivatives():
    held = sample().to_sparse()
    values = held.values().clone().requires_grad_()
    y = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)

    def function(v, y):
        x = torch.sparse_coo_tensor(held.indices(), v, held.shape)
        return (x @ y).sin().sum() + x.sin().to_dense().sum()

    assert torch.autograd.gradgradcheck(function, (values, y))


def test_gradients_have_the_pattern_of_their_tensor():
    x = torch.sparse_coo_tensor([[0, 1, 1], [2, 0, 0]], [3.0, 4.0, 5.0], (2, 3)).requires_grad_()
    (x.to_dense() * torch.arange(6.0).view(2, 3)).sum().backward()
    assert x.grad.layout is torch.sparse_coo and x.grad.coalesce().values().tolist() == [2.0, 3.0]
    c = x.detach().to_sparse_csr().requires_grad_()
    torch.sparse.mm(c, torch.arange(6.0).view(3, 2)).sum().backward()
    assert c.grad.layout is torch.sparse_csr and c.grad.values().tolist() == [9.0, 1.0]
    dense = x.detach().requires_grad_()
    dense.to_dense(masked_grad=False).sum().backward()
    assert torch.equal(dense.grad, torch.ones(2, 3))


def test_sampled_addmm_and_reductions():
    held = sample().to_sparse_csr()
    a, b = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    result = torch.sparse.sampled_addmm(held, a, b, alpha=2, beta=3)
    expected = (2 * a @ b + 3 * held.to_dense()) * (held.to_dense() != 0)
    assert torch.allclose(result.to_dense(), expected)
    other = torch.randn(6, 5, dtype=torch.float64)
    for name, reduce in (("sum", torch.sum), ("amax", torch.amax), ("amin", torch.amin), ("mean", torch.mean)):
        rows = []
        for row in held.to_dense():
            terms = (row.unsqueeze(1) * other)[row != 0]
            rows.append(reduce(terms, 0) if len(terms) else torch.zeros(5, dtype=torch.float64))
        assert torch.allclose(torch.sparse.mm(held, other, name), torch.stack(rows)), name


# ---- sparse gradients ----


def test_embedding_gradients_are_sparse_and_add_up():
    layer = nn.Embedding(5, 2, sparse=True, padding_idx=1)
    layer(torch.tensor([1, 1, 3])).sum().backward()
    assert layer.weight.grad.is_sparse and layer.weight.grad._indices().tolist() == [[3]]
    layer(torch.tensor([3, 2])).sum().backward()
    assert layer.weight.grad.is_sparse
    assert layer.weight.grad.to_dense().sum(1).tolist() == [0.0, 0.0, 2.0, 4.0, 0.0]
    layer.weight.mul(2).sum().backward()
    assert layer.weight.grad.layout is torch.strided
    assert layer.weight.grad.sum(1).tolist() == [4.0, 4.0, 6.0, 8.0, 4.0]


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(mode):
    grads = []
    for sparse in (False, True):
        torch.manual_seed(0)
        layer = nn.EmbeddingBag(6, 3, mode=mode, sparse=sparse)
        layer(torch.tensor([[1, 1, 4], [0, 2, 4]])).sin().sum().backward()
        grads.append(layer.weight.grad)
    assert grads[1].is_sparse and torch.allclose(grads[0], grads[1].to_dense())


def test_gather_with_a_sparse_gradient():
    x = torch.randn(3, 4, requires_grad=True)
    index = torch.tensor([[0, 0, 3], [1, 2, 2]])
    (gradient,) = torch.autograd.grad(torch.gather(x, 1, index, sparse_grad=True).sum(), x)
    (dense,) = torch.autograd.grad(torch.gather(x, 1, index).sum(), x)
    assert gradient.is_sparse and torch.equal(gradient.to_dense(), dense)


def test_sparse_and_dense_gradients_of_one_tensor():
    weight = torch.randn(4, 2, requires_grad=True)
    index = torch.tensor([1, 3, 1])
    for first in (False, True):
        a = nn.functional.embedding(index, weight, sparse=True).sum()
        b = (weight * 2).sum()
        (gradient,) = torch.autograd.grad(a + b if first else b + a, weight)
        assert gradient.layout is torch.strided and gradient.sum(1).tolist() == [4.0, 8.0, 4.0, 6.0]
    (doubled,) = torch.autograd.grad(nn.functional.embedding(index, weight * 2, sparse=True).sum(), weight)
    assert doubled.to_dense().sum(1).tolist() == [0.0, 8.0, 0.0, 4.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.Adagrad(p, 0.1),
    ],
)
def test_optimizers_with_sparse_gradients(make):
    weights = []
    for sparse in (False, True):
        torch.manual_seed(0)
        layer = nn.Embedding(6, 3, sparse=sparse)
        optimizer = make(layer.parameters())
        for step in range(3):
            optimizer.zero_grad()
            layer(torch.tensor([1, step, 4])).square().sum().backward()
            optimizer.step()
        weights.append(layer.weight.detach())
    assert torch.allclose(*weights, atol=1e-6)


def test_sparse_adam_touches_only_the_rows_it_sees():
    layer = nn.Embedding(6, 3, sparse=True)
    before = layer.weight.detach().clone()
    optimizer = torch.optim.SparseAdam(layer.parameters(), lr=0.1)
    layer(torch.tensor([1, 4, 1])).sum().backward()
    optimizer.step()
    moved = (layer.weight.detach() != before).any(1)
    assert moved.tolist() == [False, True, False, False, True, False]


# ---- carrying sparse tensors around ----


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_and_files(layout):
    tensor = in_layout(sample(), layout)
    file = io.BytesIO()
    torch.save({"weight": tensor}, file)
    file.seek(0)
    for other in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor)), torch.load(file)["weight"]):
        assert other.layout is layout and torch.equal(other.to_dense(), tensor.to_dense())
    assert copy.copy(tensor).layout is layout


def test_scipy_shares_memory():
    numpy, scipy_sparse = pytest.importorskip("numpy"), pytest.importorskip("scipy.sparse")
    matrix = scipy_sparse.random_array((20, 30), density=0.1, format="csr", rng=numpy.random.default_rng(0))
    parts = [torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data)]
    tensor = torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=True)
    assert tensor.crow_indices().dtype is torch.int32
    other = torch.rand(30, 4, dtype=torch.float64)
    assert numpy.allclose((tensor @ other).numpy(), matrix @ other.numpy())
    tensor.values().mul_(2)
    assert numpy.allclose((tensor @ other).numpy(), matrix @ other.numpy())
    columns = tensor.to_sparse_csc()
    back = scipy_sparse.csc_array(
        (columns.values().numpy(), columns.row_indices().numpy(), columns.ccol_indices().numpy()), shape=matrix.shape
    )
    assert numpy.allclose(back.toarray(), matrix.toarray())
    assert numpy.shares_memory(back.data, columns.values().numpy())


def test_sizes_beyond_memory():
    tensor = torch.sparse_coo_tensor([[10**12, 5], [3, 10**12]], [1.0, 2.0], (10**13, 10**13))
    assert (tensor + tensor).coalesce().values().tolist() == [4.0, 2.0]
    assert (tensor * 2).sum().item() == 6.0
    assert tensor.t()._indices().tolist() == [[3, 10**12], [10**12, 5]]


def test_in_place_forms():
    x = sample().to_sparse()
    expected = x.to_dense()
    alias = x
    x.mul_(2).add_(x).neg_()
    assert alias is x and torch.allclose(x.to_dense(), -4 * expected)
    dense = torch.zeros(4, 6, dtype=torch.float64)
    dense.t().add_(x.t(), alpha=0.5)
    assert torch.allclose(dense, -2 * expected)
    leaf = sample().to_sparse().requires_grad_()
    y = leaf * 1
    y.mul_(3)
    y.sum().backward()
    assert (leaf.grad.coalesce().values() == 3).all()


def test_invariants_switch():
    check = torch.sparse.check_sparse_tensor_invariants
    bad = lambda: torch.sparse_coo_tensor([[5]], [1.0], (2,))  # noqa: E731
    assert not check.is_enabled() and bad()._nnz() == 1
    with check(), pytest.raises(RuntimeError, match="found index 5"):
        bad()
    with pytest.raises(RuntimeError, match="found index 5"):
        check()(bad)()
    check.enable()
    try:
        with check(False):
            bad()
        assert check.is_enabled()
    finally:
        check.disable()


def test_memory_is_never_read():
    for layout in LAYOUTS:
        tensor = in_layout(sample(), layout)
        for use in (
            lambda t: t.tolist(), lambda t: t.numpy(), lambda t: t.item(), lambda t: memoryview(t),
            lambda t: t.data_ptr(), lambda t: t.untyped_storage(), lambda t: t.view(-1), lambda t: t.__dlpack__(),
            lambda t: t.apply_(abs),
            lambda t: t.sort(), lambda t: t.cumsum(0), lambda t: torch.from_dlpack(t), lambda t: t[t > 0],
            lambda t: t.masked_fill_(torch.ones(4, 6, dtype=torch.bool), 1), lambda t: t.set_(torch.ones(1)),
            lambda t: torch.ones(4, 6, dtype=torch.float64).copy_(t), lambda t: t.fill_diagonal_(1),
        ):  # fmt: skip
            with pytest.raises((RuntimeError, TypeError, NotImplementedError, BufferError, ValueError)):
                use(tensor)


def test_dense_gradients_of_mm_and_its_second_derivative():
    x = sample().to_sparse().requires_grad_()
    y = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((x @ y).sum(), x, create_graph=True)
    assert gradient.layout is torch.strided
    assert torch.allclose(gradient, y.sum(1).expand(4, 6))
    (second,) = torch.autograd.grad(gradient.square().sum(), y)
    assert torch.allclose(second, (8 * y.sum(1)).unsqueeze(1).expand(6, 2))
    (left,) = torch.autograd.grad((y[:4].t() @ x).sum(), x)
    assert torch.allclose(left, y[:4].sum(1).unsqueeze(1).expand(4, 6))


def test_assert_close_names_the_part_that_differs():
    x = torch.eye(3).to_sparse()
    torch.testing.assert_close(x, x.clone())
    for other, message in (
        (2 * x, "Sparse COO values are not close!"),
        (torch.ones(3, 3).to_sparse(), "The number of specified values in sparse COO tensors does not match: 3 != 9"),
        (x.select(0, 0).unsqueeze(0), "The values for attribute 'shape' do not match"),
    ):
        with pytest.raises(AssertionError, match=message):
            torch.testing.assert_close(x, other)
    mirrored = torch.sparse_csr_tensor([0, 1, 2, 3], [2, 1, 0], torch.ones(3), (3, 3))
    with pytest.raises(AssertionError, match="Sparse CSR col_indices are not equal!"):
        torch.testing.assert_close(x.to_sparse_csr(), mirrored)


def test_legacy_types():
    x = torch.sparse.DoubleTensor(torch.tensor([[0, 2]]), torch.tensor([1.0, 2.0]), torch.Size([3]))
    assert x.dtype is torch.float64 and x.to_dense().tolist() == [1.0, 0.0, 2.0]
    assert isinstance(x, torch.sparse.DoubleTensor) and not isinstance(x, torch.DoubleTensor)
    assert x.type() == "torch.sparse.DoubleTensor" and x.type("torch.sparse.FloatTensor").dtype is torch.float32
    assert torch.sparse.FloatTensor(2, 3).shape == (2, 3)
    with pytest.raises(RuntimeError, match="Only CUDA tensors"):
        torch.sparse.to_sparse_semi_structured(torch.ones(64, 64))


def test_modules_carry_sparse_buffers():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("edges", torch.eye(3).to_sparse())
            self.weight = nn.Parameter(torch.randn(3, 2))

        def forward(self):
            return self.edges @ self.weight

    model = Graph()
    model().sum().backward()
    assert torch.equal(model.weight.grad, torch.ones(3, 2))
    other = Graph()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(), model())
    assert model.double()().dtype is torch.float64 and model.edges.is_sparse


def test_meta_tensors_keep_the_pattern_only():
    x = torch.eye(3).to_sparse().to("meta")
    assert x.is_sparse and x.is_meta and x.shape == (3, 3)
    assert "size=(3, 3), layout=torch.sparse_coo" in repr(x)


def test_gradcheck_takes_sparse_inputs():
    x, y = sample().to_sparse().requires_grad_(), torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: torch.sparse.mm(a, b), (x, y), masked=True)
    assert torch.autograd.gradcheck(torch.mm, (x, y), masked=False)
    with pytest.raises(ValueError, match="Sparse output is not supported at gradcheck yet"):
        torch.autograd.gradcheck(lambda a: a * 2, (x,))


def test_graph_nodes_are_named_after_operations():
    x = torch.eye(2).to_sparse().requires_grad_()
    names = [t.grad_fn.name() for t in (x * 2, x + x, x.sin(), x.t(), x.to_dense(), torch.cat([x, x]))]
    assert names == ["MulBackward0", "AddBackward0", "SinBackward0", "TBackward0", "ToDenseBackward0", "CatBackward0"]
    assert "grad_fn=<MulBackward0>" in repr(x * 2)


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_transforms_of_products(layout):
    dense = sample(rows=4, columns=4)
    x = in_layout(dense, layout)
    many = torch.randn(5, 4, 2, dtype=torch.float64)
    assert torch.allclose(torch.vmap(lambda v: torch.sparse.mm(x, v))(many), dense @ many)
    assert torch.allclose(torch.vmap(lambda v: torch.mm(v.t(), x))(many), many.mT @ dense)
    vector = many[0, :, 0]
    assert torch.allclose(torch.func.jacrev(lambda v: x @ v)(vector), dense)
    assert torch.allclose(torch.func.jacfwd(lambda v: x @ v)(vector), dense)
    assert torch.allclose(torch.func.hessian(lambda v: (x @ v).square().sum())(vector), 2 * dense.t() @ dense)


def test_forward_mode_through_values():
    held = sample().to_sparse()

    def function(values):
        x = torch.sparse_coo_tensor(held.indices(), values, held.shape)
        return torch.sparse.mm(x, held.to_dense().t()).sin().sum() + x.sin().to_dense().sum()

    assert torch.autograd.gradcheck(function, (held.values().clone().requires_grad_(),), check_forward_ad=True)

"""vmap: dimensions, nesting, derivatives of each example, randomness, and what it refuses. Texts are PyTorch's."""

import builtins
import re

import pytest

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-8)


# ---- dimensions ----


def test_in_and_out_dims():
    x, y = randn(4, 3), randn(5, 4)
    close(vmap(torch.mul, in_dims=(0, None))(x, y[0, :3]), x * y[0, :3])
    close(vmap(torch.dot, in_dims=(1, 1))(x, x), (x * x).sum(0))
    close(vmap(lambda v: v * 2, in_dims=-1, out_dims=-1)(x), x * 2)
    close(vmap(lambda v: v * 2, in_dims=1)(x), x.t() * 2)
    a, b = vmap(lambda v: (v, v.sum()), out_dims=(1, 0))(x)
    assert a.shape == (3, 4) and b.shape == (4,)
    close(
        vmap(lambda d: d["a"] + d["b"][0], in_dims=({"a": 0, "b": (None,)},))({"a": x, "b": (y[0, :3],)}), x + y[0, :3]
    )
    out = vmap(lambda v: {"same": torch.ones(2), "each": v}, out_dims={"same": None, "each": 0})(x)
    assert out["same"].shape == (2,) and out["each"].shape == (4, 3)
    assert vmap(lambda v: torch.ones(2))(x).shape == (4, 2)
    close(vmap(lambda v, w: v + w)(x, w=torch.ones(3)), x + 1)
    assert vmap(lambda v: v.exp().sum())(x[:0]).shape == (0,)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_chunks(size):
    x = randn(4, 3)
    a, b = vmap(lambda v: (v.cumsum(0), v.sum()), out_dims=(1, 0), chunk_size=size)(x)
    close(a, x.cumsum(1).t())
    close(b, x.sum(1))


def test_nesting():
    x, y = randn(3, 4, 5), randn(6, 5)
    close(vmap(vmap(torch.sin))(x), x.sin())
    close(vmap(vmap(torch.dot, in_dims=(0, None)), in_dims=(None, 0))(x[0], y), y @ x[0].t())
    close(vmap(lambda a: vmap(lambda b: (a * b).sum())(y))(x[:, 0]), x[:, 0] @ y.t())
    triple = vmap(lambda a: vmap(lambda b: vmap(lambda c: a.sum() * b + c)(a))(a))(x[0])
    close(triple, x[0].sum(1)[:, None, None] * x[0][:, :, None] + x[0][:, None, :])


def test_writes_go_to_the_batch():
    x = randn(3, 4)
    y = x.clone()
    vmap(lambda v: v.mul_(2).add_(1))(y)
    close(y, x * 2 + 1)

    def f(v):
        out = v.new_zeros(4)
        out[1:] = v[:-1]
        out[0] = v.sum()
        return out

    close(vmap(f)(x), torch.stack([f(v) for v in x]))


def test_indexing_by_an_example():
    table, at = randn(5, 2), torch.tensor([3, 0, 4])
    close(vmap(lambda i: table[i])(at), table[at])
    close(vmap(lambda i: table[i, 1])(at), table[at, 1])
    close(vmap(lambda t, i: t[:, i], in_dims=(None, 0))(table.t(), at), table[at])


def test_printing():
    text = []
    vmap(lambda v: (text.append(repr(v)), vmap(lambda u: (text.append(repr(u)), u)[1])(v))[1])(torch.ones(2, 2))
    assert text[0] == "BatchedTensor(lvl=1, bdim=0, value=\n    tensor([[1., 1.],\n            [1., 1.]])\n)"
    assert text[1].startswith(
        "BatchedTensor(lvl=2, bdim=0, value=\n    BatchedTensor(lvl=1, bdim=0, value=\n        tensor"
    )


# ---- what does not fit ----


# A call, the exception, and a part of its text.
ERRORS = """
vmap(f, in_dims=(0, 0))(x) | ValueError | in_dims is not compatible with the structure of `inputs`
vmap(f, in_dims=1.5)(x) | ValueError | expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, got: <class 'float'>.
vmap(f, in_dims=None)(x) | ValueError | got: <class 'NoneType'>.
vmap(f, in_dims=('a',))(x) | ValueError | Got in_dim=a for an input but in_dim must be either an integer dimension or None.
vmap(f, in_dims=5)(x) | ValueError | vmap(f, in_dims=5, ...)(<inputs>): Got in_dim=5 for some input, but that input is a Tensor of dimensionality 2 so expected in_dim to satisfy -2 <= in_dim < 2.
vmap(f)(3) | ValueError | Got in_dim=0 for an input but the input is of type <class 'int'>. We cannot vmap over non-Tensor arguments, please use None as the respective in_dim
vmap(f)() | ValueError | vmap(f)(<inputs>): got no inputs.
vmap(f, in_dims=(None,))(x) | ValueError | vmap: Expected at least one Tensor to vmap over
vmap(torch.add)(x, x[:2]) | ValueError | vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [3, 2] for the mapped dimension
vmap(f, out_dims=(0, 0))(x) | ValueError | vmap(f, ..., out_dims=(0, 0))(<inputs>): out_dims is not compatible with the structure of `outputs`.
vmap(f, out_dims='a')(x) | ValueError | `out_dims` must be an int, None or a python collection of ints
vmap(f, out_dims=7)(x) | IndexError | Dimension out of range (expected to be in range of [-2, 1], but got 7)
vmap(f, out_dims=None)(x) | ValueError | vmap(f, ...): `f` can not return a BatchedTensor when out_dim is None
vmap(lambda v: 3)(x) | ValueError | vmap(<lambda>, ...): `<lambda>` must only return Tensors, got type <class 'int'>. Did you mean to set out_dims= to None for output?
vmap(f, chunk_size=0)(x) | ValueError | vmap: chunk_size should be None or greater than 0. (got 0)
vmap(f, randomness='a') | RuntimeError | Only allowed values for randomness are 'error', 'different', or 'same'. Got a
vmap(lambda v: v.sum().item())(x) | RuntimeError | vmap: It looks like you're calling .item() on a Tensor.
vmap(lambda v: float(v.sum()))(x) | RuntimeError | vmap: It looks like you're calling .item() on a Tensor.
vmap(lambda v: v if v.sum() > 0 else -v)(x) | RuntimeError | vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow.
vmap(lambda v: v.nonzero())(x) | RuntimeError | Attempted to vmap over aten::nonzero.
vmap(lambda v: v.unique())(x) | RuntimeError | vmap: We do not support batching operators that can output dynamic shape.
vmap(lambda v: v[v > 0])(x) | RuntimeError | Attempting to batch over indexing with a boolean mask.
vmap(lambda v: v.masked_select(v > 0))(x) | RuntimeError | vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask)
vmap(lambda v: torch.zeros(4).copy_(v))(x) | RuntimeError | vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args
vmap(lambda v: torch.zeros(4).index_put_((torch.tensor([0]),), v[:1]))(x) | RuntimeError | vmap: index_put_(self, *extra_args) is not possible
vmap(lambda v: torch.sin(v, out=torch.zeros(4)))(x) | RuntimeError | Batching rule not implemented for aten::sin.out; the fallback path doesn't work on out= or view ops.
vmap(lambda v: v.numpy())(x) | RuntimeError | Cannot access data pointer of Tensor that doesn't have storage
vmap(lambda v: v.tolist())(x) | RuntimeError | Cannot access data pointer of Tensor that doesn't have storage
vmap(lambda v: v.data)(x) | RuntimeError | accessing `data` under vmap transform is not allowed
vmap(lambda v: v.untyped_storage())(x) | NotImplementedError | Cannot access storage of BatchedTensorImpl
vmap(lambda v: v.requires_grad_())(x) | RuntimeError | You are attempting to call Tensor.requires_grad_()
vmap(lambda v: v.sum().backward())(x.clone().requires_grad_()) | RuntimeError | backward() called inside a functorch transform.
vmap(lambda v: torch.equal(v, v))(x) | RuntimeError | Batching rule not implemented for aten::equal. We could not generate a fallback.
vmap(lambda v: torch.allclose(v, v))(x) | RuntimeError | vmap over torch.allclose isn't supported yet.
vmap(lambda v: F.one_hot(v.long() * 0))(x) | RuntimeError | When vmap-ing torch.nn.functional.one_hot, please provide an explicit positive num_classes argument.
vmap(torch.histc)(x[:0]) | RuntimeError | The fallback path does not support vmap over dims of size 0.
vmap(lambda v: v.select(0, 0))(x[:, 0]) | IndexError | select() cannot be applied to a 0-dim tensor.
vmap(lambda v: v.sum(3))(x) | IndexError | Dimension out of range (expected to be in range of [-1, 0], but got 3)
vmap(torch.mm)(x, x) | RuntimeError | self must be a matrix
"""  # noqa: E501 - a table


@pytest.mark.parametrize("line", ERRORS.strip().splitlines())
def test_errors(line):
    call, error, text = line.split(" | ")

    def f(v):
        return v

    x = torch.arange(12.0).view(3, 4)
    with pytest.raises(getattr(builtins, error), match=re.escape(text)):
        eval(call, {"vmap": vmap, "torch": torch, "F": F, "x": x, "f": f})
    assert torch._C._vmap_depth() == 0


def test_a_shared_tensor_has_no_gradient_by_autograd_grad():
    w = torch.ones(4, requires_grad=True)
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        vmap(lambda v: torch.autograd.grad((v * w).sum(), w)[0])(torch.ones(3, 4))


@pytest.mark.parametrize("f", [
    lambda v: F.conv1d(v[None], v[None, None, :2]), lambda v: v @ torch.ones(4, 2), lambda v: v.outer(v) @ v.outer(v),
    lambda v: F.batch_norm(v.outer(v), None, None, training=True), lambda v: torch.addmm(v, v.outer(v), v.outer(v)),
    lambda v: F.group_norm(v[None], 2), lambda v: grad(lambda u: u @ u)(v), lambda v: v.sort().values.cumsum(0)[1:],
    lambda v: F.max_pool1d(v[None, None], 2), lambda v: F.cross_entropy(v, v[0].long() % 4),
    lambda v: F.layer_norm(v, (4,), v),
])  # fmt: skip
def test_no_examples(f):
    x = torch.arange(12.0).view(3, 4)
    assert vmap(f)(x[:0]).shape == (0, *vmap(f)(x).shape[1:])


def test_a_loop_warns():
    with pytest.warns(
        UserWarning, match="performance drop because we have not yet implemented the batching rule for aten::histc"
    ):
        vmap(torch.histc)(torch.ones(2, 3))


def test_examples_do_not_outlive_their_vmap():
    kept = []
    vmap(lambda v: (kept.append(v), v)[1])(torch.ones(2))
    with pytest.raises(RuntimeError, match="had ended"):
        kept[0] + 1


# ---- randomness ----


def test_randomness():
    x = torch.zeros(3, 4)
    for f in (torch.rand_like, F.dropout, lambda v: v + torch.rand(4), lambda v: v.clone().normal_(), torch.bernoulli):
        with pytest.raises(RuntimeError, match="vmap: called random operation while in randomness error mode."):
            vmap(f)(x)
    for f in (
        torch.rand_like,
        lambda v: v + torch.rand(4),
        lambda v: v.clone().normal_(),
        lambda v: torch.randn(2) + v[0],
    ):
        different, same = vmap(f, randomness="different")(x), vmap(f, randomness="same")(x)
        assert not torch.equal(different[0], different[1])
        assert torch.equal(same[0], same[1]) and torch.equal(same[0], same[2]) and same[0].unique().numel() > 1
    ones = torch.ones(3, 100)
    different = vmap(lambda v: F.dropout(v, 0.5), randomness="different")(ones)
    same = vmap(lambda v: F.dropout(v, 0.5), randomness="same")(ones)
    assert not torch.equal(different[0], different[1]) and torch.equal(same[0], same[1])
    assert set(different.unique().tolist()) == {0.0, 2.0}
    assert vmap(lambda v: torch.randperm(5), randomness="different")(x).sort(1).values.tolist() == [list(range(5))] * 3
    assert vmap(lambda v: F.dropout(v, training=False))(x).equal(x)


def test_randomness_that_is_refused():
    x, shared = torch.full((3, 4), 0.5), torch.zeros(4)
    for f in (torch.bernoulli, torch.poisson, lambda v: torch.multinomial(v, 2), lambda v: v.clone().bernoulli_(v)):
        with pytest.raises(
            RuntimeError, match="Vmap does not currently support same randomness with a batched tensor input."
        ):
            vmap(f, randomness="same")(x)
    with pytest.raises(RuntimeError, match="vmap: Cannot ask for different inplace randomness on an unbatched tensor."):
        vmap(lambda v: shared.normal_() + v, randomness="different")(x)


def test_nested_randomness():
    x = torch.zeros(2, 3)
    both = vmap(vmap(lambda v: torch.rand(()), randomness="different"), randomness="different")(x)
    assert both.unique().numel() == 6
    inner = vmap(vmap(lambda v: torch.rand(()), randomness="different"), randomness="same")(x)
    assert torch.equal(inner[0], inner[1]) and inner.unique().numel() == 3
    outer = vmap(vmap(lambda v: torch.rand(()), randomness="same"), randomness="different")(x)
    assert outer.unique().numel() == 2


# ---- derivatives of each example ----

MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)), (4, 6)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3).eval(), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 3),
        ),
        (4, 2, 8, 8),
    ),
    "transformer": (
        lambda: nn.Sequential(
            nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True), nn.Flatten(), nn.Linear(30, 3)
        ),
        (4, 5, 6),
    ),
    "lstm": (lambda: LastState(), (4, 5, 6)),
    "embedding": (
        lambda: nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.Flatten(), nn.LayerNorm(20), nn.Linear(20, 3)),
        (4, 5),
    ),
}  # fmt: skip


class LastState(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_each_example(name):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    model = make().double()
    x = torch.randint(0, 7, shape) if name == "embedding" else randn(*shape)
    y = torch.tensor([0, 2, 1, 1])
    params = {key: p.detach() for key, p in model.named_parameters()}

    def loss(params, x, y):
        return F.cross_entropy(functional_call(model, params, (x.unsqueeze(0),)), y.unsqueeze(0))

    grads, losses = vmap(grad_and_value(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(len(y)):
        model.zero_grad()
        one = F.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        one.backward()
        close(losses[i], one.detach())
        for key, p in model.named_parameters():
            close(grads[key][i], p.grad)


def test_an_ensemble_of_models():
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).double() for _ in range(3)]
    params, buffers = stack_module_state(models)
    x = randn(5, 2, 4, 4)

    def f(params, buffers, x):
        return functional_call(models[0], (params, buffers), (x,))

    close(vmap(f, in_dims=(0, 0, None))(params, buffers, x), torch.stack([m(x) for m in models]))
    vmap(f, in_dims=(0, 0, None))(params, buffers, x).square().sum().backward()
    models[1].zero_grad()
    models[1](x).square().sum().backward()
    close(params["0.weight"].grad[1], models[1][0].weight.grad)


def test_gradient_through_vmap():
    x, w = randn(4, 3).requires_grad_(), randn(3).requires_grad_()
    vmap(lambda v: (v * w).tanh().sum(), out_dims=0)(x).sum().backward()
    gx, gw = x.grad.clone(), w.grad.clone()
    x.grad = w.grad = None
    (x * w).tanh().sum().backward()
    close(gx, x.grad)
    close(gw, w.grad)


def f(x):
    return (x.sin() * x.cumsum(0)).prod() + x.norm()


def test_jacobians_agree():
    x = randn(4)

    def g(x):
        return torch.stack([f(x), x.exp().sum(), (x[1:] * x[:-1]).sum()])

    step = 1e-6
    expected = torch.stack([(g(x + step * e) - g(x - step * e)) / (2 * step) for e in torch.eye(4, dtype=x.dtype)], 1)
    for jacobian in (jacrev(g), jacfwd(g), jacrev(g, chunk_size=2)):
        torch.testing.assert_close(jacobian(x), expected, rtol=1e-6, atol=1e-6)
    close(torch.autograd.functional.jacobian(g, x, vectorize=True), jacrev(g)(x))
    y, pull = vjp(g, x)
    close(vmap(pull)(torch.eye(3, dtype=x.dtype))[0], jacrev(g)(x))
    push = vmap(lambda t: jvp(g, (x,), (t,))[1], out_dims=1)
    close(push(torch.eye(4, dtype=x.dtype)), jacrev(g)(x))
    leaf = x.clone().requires_grad_()
    (rows,) = torch.autograd.grad(g(leaf), leaf, torch.eye(3, dtype=x.dtype), is_grads_batched=True)
    close(rows, jacrev(g)(x))


def test_hessian_of_a_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = randn(3)
    step = 1e-5
    eye = torch.eye(3, dtype=x.dtype)
    slope = grad(lambda v: model(v).squeeze())
    expected = torch.stack([(slope(x + step * e) - slope(x - step * e)) / (2 * step) for e in eye])
    for second in (hessian(lambda v: model(v).squeeze()), jacrev(jacrev(lambda v: model(v).squeeze()))):
        torch.testing.assert_close(second(x).detach(), expected.detach(), rtol=1e-6, atol=1e-8)


def test_derivatives_of_each_example_nest():
    x = randn(3, 4)
    rows = lambda d: torch.stack([d(row) for row in x])  # noqa: E731
    derivatives = [
        grad(f),
        jacrev(f),
        jacfwd(f),
        jacrev(lambda v: v.sin().outer(v)),
        hessian(f),
        jacrev(grad(f)),
        lambda v: vjp(f, v)[1](f(v))[0],
        lambda v: jvp(f, (v,), (v.cos(),))[1],
        grad(lambda u: grad(f)(u).pow(2).sum()),
        grad(lambda u: vmap(lambda s: (u * s).sin().sum())(u).prod()),
    ]
    for derivative in derivatives:
        close(vmap(derivative)(x), rows(derivative))
    close(grad(lambda x: vmap(grad(f))(x).pow(2).sum())(x), rows(grad(lambda v: grad(f)(v).pow(2).sum())))


def test_a_shared_argument_has_a_gradient_for_each_example():
    x, w = randn(3, 4), randn(4)
    close(
        vmap(grad(lambda w, v: (w * v).sum().sin()), in_dims=(None, 0))(w, x),
        torch.stack([v * (v * w).sum().cos() for v in x]),
    )


# ---- custom functions ----


class Cube(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, factor):
        return x**3 * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        x, factor = ctx.saved_tensors
        return g * 3 * x**2 * factor, (g * x**3).sum()


class OwnRule(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()

    @staticmethod
    def vmap(info, in_dims, x):
        assert (info.batch_size, info.randomness, in_dims) == (3, "error", (1,))
        return OwnRule.apply(x), in_dims[0]


class NoRule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return g


def test_custom_functions():
    x, c = randn(3, 4), torch.tensor(2.0, dtype=torch.float64)
    close(vmap(Cube.apply, in_dims=(0, None))(x, c), x**3 * 2)
    close(vmap(grad(lambda v: Cube.apply(v, c).sum()))(x), 6 * x**2)
    close(jacrev(lambda v: Cube.apply(v, c))(x[0]), torch.diag(6 * x[0] ** 2))
    close(vmap(OwnRule.apply, in_dims=1)(x.t()), x.sin())
    with pytest.raises(RuntimeError, match="it must override the setup_context staticmethod"):
        vmap(NoRule.apply)(x)

"""torch.func in forward mode, nested in itself and in reverse mode; custom functions; gradcheck in forward mode."""

import pytest

import torch
import torch.autograd.forward_ad as fwd
from torch.autograd import Function, functional, gradcheck, gradgradcheck
from torch.autograd.gradcheck import GradcheckError
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp

D = torch.float64


def vec(*values):
    return torch.tensor(values, dtype=D)


def f(x):
    return torch.stack([x[0] ** 2 * x[1], x.sin().sum() * x[1], x.prod()])


def derivative(g):
    """Return the derivative of a function of one number, by forward mode."""
    return lambda x: jvp(g, (x,), (torch.ones_like(x),))[1]


def test_jvp():
    x, t = vec(2.0, 3.0), vec(1.0, 0.5)
    value, along = jvp(f, (x,), (t,))
    assert torch.equal(value, f(x))
    expected = vec(2 * 2 * 3 + 4 * 0.5, 0, 3 + 2 * 0.5)
    expected[1] = (x.cos() * t).sum() * 3 + x.sin().sum() * 0.5
    assert torch.allclose(along, expected)
    assert not along.requires_grad and fwd.unpack_dual(along).tangent is None


def test_structures_and_what_does_not_depend():
    x = vec(1.0, 2.0)
    tree = ({"a": x, "b": (x * 2,)},)
    value, along, aux = jvp(lambda d: ([d["a"] * d["b"][0], torch.ones(2)], d["a"] * 7), tree, tree, has_aux=True)
    assert along[0].tolist() == [4.0, 16.0] and along[1].tolist() == [0.0, 0.0]
    assert value[0].tolist() == [2.0, 8.0] and aux.tolist() == [7.0, 14.0]


def test_perturbations_are_not_confused():
    # d/dx (x d/dy (x y)) = 2 x; with the perturbations confused it is another number
    inner = lambda x: x * derivative(lambda y: x * y)(vec(1.0))  # noqa: E731
    assert derivative(inner)(vec(3.0)).item() == 6.0
    inner = lambda x: x * grad(lambda y: (x * y).sum())(vec(1.0))  # noqa: E731
    assert derivative(inner)(vec(3.0)).item() == 6.0
    inner = lambda x: (x * derivative(lambda y: x * y)(vec(1.0))).sum()  # noqa: E731
    assert grad(inner)(vec(3.0)).item() == 6.0
    # d/dx of the derivative of y -> x + y is 0
    assert derivative(derivative(lambda y: y + 1))(vec(3.0)).item() == 0.0


def test_third_derivatives_in_every_order_of_modes():
    cube = lambda x: (x**4).sum()  # noqa: E731
    for outer in (grad, derivative):
        for middle in (grad, derivative):
            for inner in (grad, derivative):
                first = inner(cube)
                second = middle(lambda x, first=first: first(x).sum())
                third = outer(lambda x, second=second: second(x).sum())
                assert third(vec(2.0)).sum().item() == pytest.approx(48.0), (outer, middle, inner)


@pytest.mark.parametrize("outer", [jacfwd, jacrev])
@pytest.mark.parametrize("inner", [jacfwd, jacrev])
def test_jacobians_compose(outer, inner):
    x = vec(0.7, 1.3)
    assert torch.allclose(inner(f)(x), torch.autograd.functional.jacobian(f, x))
    scalar = lambda x: (f(x) ** 2).sum()  # noqa: E731
    expected = torch.autograd.functional.hessian(scalar, x)
    found = outer(inner(scalar))(x)
    assert torch.allclose(found, expected) and not found.requires_grad
    assert torch.allclose(hessian(scalar)(x), expected)


def test_jacfwd_of_several_arguments():
    x, y = vec(1.0, 2.0), vec(3.0, 4.0, 5.0)
    g = lambda x, y: {"outer": x[:, None] * y, "x": x.sum()}  # noqa: E731
    forward, reverse = jacfwd(g, argnums=(0, 1))(x, y), jacrev(g, argnums=(0, 1))(x, y)
    for key in ("outer", "x"):
        for a, b in zip(forward[key], reverse[key], strict=True):
            assert a.shape == b.shape and torch.equal(a, b)
    assert jacfwd(lambda x: x.sum())(torch.ones(0)).shape == (0,)


def test_derivatives_stay_in_the_graph_of_what_the_function_closes_over():
    w = vec(2.0).requires_grad_()
    x = vec(3.0)
    for result in (
        grad(lambda x: (x**2 * w).sum())(x),
        jvp(lambda x: x**2 * w, (x,), (vec(1.0),))[1],
        jacrev(lambda x: x**2 * w)(x)[0],
        jacfwd(lambda x: x**2 * w)(x)[0],
        vjp(lambda x: x**2 * w, x)[1](vec(1.0))[0],
        linearize(lambda x: x**2 * w, x)[1](vec(1.0)),
    ):
        assert torch.autograd.grad(result.sum(), w)[0].item() == 6.0
    assert not grad(lambda x: (x**2).sum())(x).requires_grad


def test_a_model_differentiated_by_its_input_is_trained():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.linspace(0, 1, 5)[:, None]
    slope = jvp(net, (x,), (torch.ones_like(x),))[1]
    by_grad = grad(lambda x: net(x).sum())(x)
    assert torch.allclose(slope, by_grad, atol=1e-6)
    forward = torch.autograd.grad((slope**2).sum(), list(net.parameters()), allow_unused=True)
    reverse = torch.autograd.grad((by_grad**2).sum(), list(net.parameters()), allow_unused=True)
    for a, b in zip(forward, reverse, strict=True):
        assert (a is None and b is None) or torch.allclose(a, b, atol=1e-5)


def test_hessian_of_a_small_network_against_finite_differences():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softplus(), torch.nn.Linear(3, 1)).double()
    params = {name: p.detach() for name, p in net.named_parameters()}
    x = torch.randn(4, 2, dtype=D)
    loss = lambda params: functional_call(net, params, (x,)).square().mean()  # noqa: E731
    blocks = hessian(loss)(params)
    gradient = grad(loss)
    direction = {name: torch.randn_like(p) for name, p in params.items()}
    step = 1e-6
    high = gradient({name: p + step * direction[name] for name, p in params.items()})
    low = gradient({name: p - step * direction[name] for name, p in params.items()})
    for name in params:
        product = sum(
            torch.tensordot(block, direction[other], direction[other].dim()) for other, block in blocks[name].items()
        )
        assert torch.allclose(product, (high[name] - low[name]) / (2 * step), atol=1e-6)


def test_linearize_runs_the_function_once():
    calls = []

    def g(x):
        calls.append(1)
        return x * torch.rand_like(x)

    value, push = linearize(g, vec(1.0, 2.0))
    assert torch.allclose(push(vec(1.0, 2.0)), value) and torch.allclose(push(vec(2.0, 4.0)), 2 * value)
    assert len(calls) == 1
    assert jacfwd(linearize(torch.square, vec(3.0))[1])(vec(1.0)).item() == 6.0


class Square(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, g):
        return 2 * ctx.saved_tensors[0] * g

    @staticmethod
    def jvp(ctx, t):
        return 2 * ctx.saved_tensors[0] * t


class Twice(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def jvp(ctx, t):
        return t.mul_(2)


def test_custom_functions():
    x = vec(2.0, 3.0)
    assert jvp(Square.apply, (x,), (torch.ones_like(x),))[1].tolist() == [4.0, 6.0]
    assert derivative(derivative(Square.apply))(x).tolist() == [2.0, 2.0]
    assert hessian(lambda x: Square.apply(x).sum())(x).tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert grad(lambda x: derivative(Square.apply)(x).sum())(x).tolist() == [2.0, 2.0]
    assert gradcheck(Square.apply, x.requires_grad_(), check_forward_ad=True)
    with fwd.dual_level():
        y = fwd.make_dual(vec(1.0), vec(3.0))
        assert Twice.apply(y) is y and fwd.unpack_dual(y).tangent.tolist() == [6.0]


def custom(forward, jvp=None):
    members = {"forward": staticmethod(forward)} | ({"jvp": staticmethod(jvp)} if jvp else {})
    return type("Custom", (Function,), members).apply


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (custom(lambda ctx, x: x * 2), NotImplementedError,
         "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."),
        (custom(lambda ctx, x: (x * 2, x * 3), lambda ctx, t: t), RuntimeError,
         "Function's jvp returned an invalid number of forward gradients (expected 2 but got 1)"),
        (custom(lambda ctx, x: x * 2, lambda ctx, t: 1), RuntimeError,
         "expected Variable or None (got int) for grad output 0."),
        (custom(lambda ctx, x: x.view(2, 1), lambda ctx, t: t.view(2, 1) * 1), RuntimeError,
         "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view."),
        (custom(lambda ctx, x: x.argmax(), lambda ctx, t: t.sum()), RuntimeError,
         "Function's jvp returned a gradient at position 0, but  the corresponding forward output is not a "
         "differentiable Tensor.You should return None at that position instead."),
        (custom(lambda ctx, x: (ctx.mark_dirty(x), x.mul_(2))[1], lambda ctx, t: t * 2), RuntimeError,
         "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is modifying "
         "an input inplace, then the jvp function must modify the corresponding gradient inplace."),
    ],
)  # fmt: skip
def test_errors_of_custom_functions(function, kind, message):
    with fwd.dual_level(), pytest.raises(kind) as caught:
        function(fwd.make_dual(torch.ones(2), torch.ones(2)))
    assert str(caught.value) == message


X = torch.ones(2)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: jvp(torch.sin, X, (X,)), RuntimeError,
         "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."),
        (lambda: jvp(torch.sin, (), ()), RuntimeError,
         "jvp(f, primals, tangents): Expected primals to contain at least one Tensor."),
        (lambda: jvp(torch.sin, (1,), (X,)), RuntimeError,
         "jvp(f, primals, tangents): Expected primals to only contain Tensors, got <class 'int'>"),
        (lambda: jvp(lambda x: 1, (X,), (X,)), RuntimeError,
         "jvp(f, primals, tangents): expected f(*primals) to return only tensors, got unsupported type <class 'int'>"),
        (lambda: jvp(lambda x: X, (X,), (X,), strict=True), RuntimeError,
         "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed "
         "with strict=True."),
        (lambda: jvp(torch.sin, (X,), (X,), has_aux=True), RuntimeError,
         "jvp(f, primals, tangents): output of function f should be a tuple: (output, aux) if has_aux is True"),
        (lambda: jacfwd(torch.sin, argnums=())(X), RuntimeError, "argnums must be non-empty"),
        (lambda: jacfwd(torch.sin, argnums="x")(X), RuntimeError,
         "argnums must be int or Tuple[int, ...], got: <class 'str'>"),
        (lambda: jacfwd(lambda x: x * 1j)(X), RuntimeError,
         "jacfwd: Expected all outputs to be real but received complex tensor at flattened input idx: 0"),
        (lambda: linearize(torch.sin, X)[1](torch.ones(3)), RuntimeError,
         "tangent:0 with shape torch.Size([3]) in flattened pytree doesn't match the shape torch.Size([2]) of the "
         "corresponding primal."),
        (lambda: functional.jacobian(torch.sin, X, strategy="forward-mode"), NotImplementedError,
         "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
         "`vectorize=True`."),
        (lambda: functional.jacobian(torch.sin, X, strict=True, vectorize=True), RuntimeError,
         "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please "
         "either set `strict=False` or `vectorize=False`."),
    ],
)  # fmt: skip
def test_errors(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message


def test_functional_by_forward_mode():
    x = vec(0.7, 1.3)
    by_forward = functional.jacobian(f, x, strategy="forward-mode", vectorize=True)
    assert torch.allclose(by_forward, functional.jacobian(f, x))
    assert torch.allclose(functional.jacobian(f, x, vectorize=True), by_forward)
    scalar = lambda x: (f(x) ** 2).sum()  # noqa: E731
    found = functional.hessian(scalar, x, vectorize=True, outer_jacobian_strategy="forward-mode")
    assert torch.allclose(found, functional.hessian(scalar, x))


class WrongJvp(Square):
    @staticmethod
    def jvp(ctx, t):
        return 3 * ctx.saved_tensors[0] * t


def test_gradcheck_sees_wrong_tangents():
    x = vec(1.0, 2.0).requires_grad_()
    assert gradcheck(WrongJvp.apply, x)
    message = "Jacobian computed with forward mode mismatch for output 0 with respect to input 0,"
    with pytest.raises(GradcheckError, match=message):
        gradcheck(WrongJvp.apply, x, check_forward_ad=True)
    assert not gradcheck(WrongJvp.apply, x, check_forward_ad=True, raise_exception=False)
    z = torch.tensor([1 + 2j, 0.5], dtype=torch.complex128, requires_grad=True)
    assert gradcheck(lambda z: z * z.conj(), z, check_forward_ad=True, check_batched_forward_grad=True)
    assert gradcheck(torch.sin, x, check_batched_grad=True)
    assert gradgradcheck(torch.sin, x, check_fwd_over_rev=True)
    conjugate = custom(lambda ctx, x: x * 1j, lambda ctx, t: t * -1j)
    with pytest.raises(GradcheckError, match="While considering the real part of complex in"):
        gradcheck(lambda z: conjugate(z), z, check_forward_ad=True, check_backward_ad=False)


def test_recurrent_and_attention_layers():
    torch.manual_seed(0)
    x = torch.randn(1, 4, 6, dtype=D)
    for layer in (
        torch.nn.LSTM(6, 3, batch_first=True), torch.nn.GRU(6, 3, batch_first=True),
        torch.nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True), torch.nn.MultiheadAttention(6, 2),
    ):  # fmt: skip
        layer = layer.double()
        recurrent = isinstance(layer, torch.nn.RNNBase)
        run = (lambda x, m=layer: m(x)[0]) if recurrent else (lambda x, m=layer: m(x))
        if isinstance(layer, torch.nn.MultiheadAttention):
            run = lambda x, m=layer: m(x, x, x)[0]  # noqa: E731
        t = torch.randn_like(x)
        along = jvp(run, (x,), (t,))[1]
        eps = 1e-6
        assert torch.allclose(along, (run(x + eps * t) - run(x - eps * t)) / (2 * eps), atol=1e-6)


def test_under_vmap():
    x = torch.randn(4, 3, dtype=D)
    t = torch.randn(4, 3, dtype=D)
    w = torch.randn(3, 3, dtype=D)
    g = lambda x: (x @ w).tanh() * x.sum()  # noqa: E731
    vmap = torch.func.vmap
    push = lambda x, t: jvp(g, (x,), (t,))[1]  # noqa: E731
    expected = torch.stack([push(a, b) for a, b in zip(x, t, strict=True)])
    assert torch.allclose(vmap(push)(x, t), expected)
    assert torch.allclose(jvp(vmap(g), (x,), (t,))[1], expected)
    # one of the two is shared
    assert torch.allclose(vmap(push, (0, None))(x, t[0]), torch.stack([push(a, t[0]) for a in x]))
    assert torch.allclose(vmap(push, (None, 0))(x[0], t), torch.stack([push(x[0], b) for b in t]))
    # shared, with a tangent of its own for each example, beside something that is not shared
    mixed = lambda y, t: jvp(lambda x: (x * y).sin() @ w, (x[0],), (t,))[1]  # noqa: E731
    assert torch.allclose(vmap(mixed)(x, t), torch.stack([mixed(y, b) for y, b in zip(x, t, strict=True)]))
    # derivatives of each example, and of the derivative of each
    assert torch.allclose(vmap(jacfwd(g))(x), torch.stack([jacfwd(g)(a) for a in x]))
    scalar = lambda x: g(x).square().sum()  # noqa: E731
    assert torch.allclose(vmap(hessian(scalar))(x), torch.stack([hessian(scalar)(a) for a in x]))
    assert torch.allclose(jacfwd(vmap(scalar))(x).sum(1), vmap(grad(scalar))(x))
    assert torch.allclose(vmap(vmap(derivative(torch.sin)))(x), x.cos())
    assert torch.allclose(jvp(lambda x: vmap(grad(scalar))(x), (x,), (t,))[1],
                          torch.stack([hessian(scalar)(a) @ b for a, b in zip(x, t, strict=True)]))  # fmt: skip


def test_custom_functions_under_vmap():
    x, t = torch.randn(4, 3, dtype=D), torch.randn(4, 3, dtype=D)
    push = lambda x, t: jvp(Square.apply, (x,), (t,))[1]  # noqa: E731
    assert torch.allclose(torch.func.vmap(push)(x, t), 2 * x * t)
    assert torch.allclose(torch.func.vmap(push, (None, 0))(x[0], t), 2 * x[0] * t)
    assert torch.allclose(jvp(torch.func.vmap(Square.apply), (x,), (t,))[1], 2 * x * t)
    assert torch.allclose(jacfwd(Square.apply)(x[0]), torch.diag(2 * x[0]))

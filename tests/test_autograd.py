"""Autograd: gradients, graphs, hooks, modes, in-place rules, custom functions."""

import gc
import weakref

import pytest

import torch
from torch.autograd import Function
from torch.autograd.gradcheck import GradcheckError
from torch.nn.functional import conv2d


def leaf(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def assert_derivatives(f, *inputs):
    """First and second derivatives agree with finite differences."""
    assert torch.autograd.gradcheck(f, inputs)
    assert torch.autograd.gradgradcheck(f, inputs)


def numeric_gradient(f, x, step=1e-6):
    """Central differences, independent of the library's own gradcheck."""
    gradient = torch.zeros_like(x)
    with torch.no_grad():
        flat, out = x.detach().view(-1), gradient.view(-1)
        for i in range(flat.numel()):
            kept = flat[i].item()
            flat[i] = kept + step
            above = f(x).item()
            flat[i] = kept - step
            out[i] = (above - f(x).item()) / (2 * step)
            flat[i] = kept
    return gradient


FUNCTIONS = {
    "pointwise": lambda x: (x.exp() * x.sin() + x.tanh() / (x**2 + 1)).sum(),
    "activations": lambda x: (torch.nn.functional.gelu(x) + torch.nn.functional.silu(x) * x.sigmoid()).sum(),
    "broadcast": lambda x: (x[:, :1] * x + x[0]).square().sum(),
    "matmul": lambda x: (x @ x.t() @ x).sum(),
    "softmax": lambda x: (x.softmax(1).log() * x).sum(),
    "norm": lambda x: x.norm() + x.std() + x.var(0).sum() + x.logsumexp(1).sum(),
    "views": lambda x: (x.t().reshape(-1).unfold(0, 3, 2) ** 3).sum() + x.diagonal().prod(),
    "index": lambda x: (x[[0, 0, 1]] * x[1:, :2].flip(0).sum()).square().sum(),
    "cat": lambda x: (torch.cat([x, x * 2], 1) @ torch.cat([x, x.square()], 0)).sum(),
    "reductions": lambda x: x.amax(1).sum() * x.mean() + x.cumsum(0).prod(1).sum() + x.max() * x.median(),
    "where": lambda x: torch.where(x > 0, x.square(), -x.abs().sqrt()).sum() + x.clamp(-0.5, 0.5).square().sum(),
    "conv": lambda x: conv2d(x.view(1, 1, 3, 3), x[:2, :2].reshape(1, 1, 2, 2), padding=1).square().sum(),
    "layer_norm": lambda x: (torch.nn.functional.layer_norm(x, (3,)) * x).sum(),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_agree_with_differences(name):
    f, x = FUNCTIONS[name], leaf(3, 3)
    (gradient,) = torch.autograd.grad(f(x), x)
    torch.testing.assert_close(gradient, numeric_gradient(f, x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_agree_with_differences_of_the_first(name):
    f, x, direction = FUNCTIONS[name], leaf(3, 3), torch.randn(3, 3, dtype=torch.float64)

    def slope(at):
        with torch.enable_grad():
            at = at.detach().requires_grad_()
            return (torch.autograd.grad(f(at), at)[0] * direction).sum()

    (gradient,) = torch.autograd.grad(f(x), x, create_graph=True)
    (second,) = torch.autograd.grad((gradient * direction).sum(), x, allow_unused=True)
    torch.testing.assert_close(second, numeric_gradient(slope, x), rtol=1e-4, atol=1e-5)


def test_gradcheck_accepts_right_and_refuses_wrong_derivatives():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    assert_derivatives(lambda x: x**3 * x.sin(), leaf(4))
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(Wrong.apply, (leaf(4),))


def test_complex_gradients():
    z = torch.randn(3, dtype=torch.complex128, requires_grad=True)
    (z * z.conj()).real.sum().backward()
    torch.testing.assert_close(z.grad, 2 * z.detach())
    assert_derivatives(lambda z: (z.exp() * z.conj()).abs(), torch.randn(3, dtype=torch.complex128, requires_grad=True))


def test_gradients_accumulate_until_cleared():
    x = torch.ones(2, requires_grad=True)
    for expected in (2, 4, 6):
        (2 * x).sum().backward()
        assert x.grad.tolist() == [expected] * 2
    x.grad = None
    (2 * x).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_a_tensor_used_twice():
    x = torch.tensor(3.0, requires_grad=True)
    y = x * x
    (y * y + y).backward()
    assert x.grad.item() == 4 * 27 + 6


def test_leaf_attributes():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    assert x.is_leaf and x.grad_fn is None and x.requires_grad
    assert not y.is_leaf and y.grad_fn is not None and y.requires_grad
    assert y.grad_fn.name() == "MulBackward0" and type(y.grad_fn).__name__ == "MulBackward0"
    assert y.grad_fn.next_functions[0][0].variable is x
    assert y.detach().is_leaf and not y.detach().requires_grad


def test_grad_modes():
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert not (x * 2).requires_grad and not torch.is_grad_enabled()
        with torch.enable_grad():
            assert (x * 2).requires_grad
        with torch.set_grad_enabled(True):
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @torch.no_grad()
    def decorated():
        return x * 2

    assert not decorated().requires_grad
    with pytest.raises(KeyError), torch.no_grad():
        raise KeyError
    assert torch.is_grad_enabled()


def test_inference_mode():
    x = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        y = x * 2
        assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * y


def test_retain_graph():
    x = torch.ones(2, requires_grad=True)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()
    z = (x + 2).sum()
    z.backward()
    z.backward()  # a sum saves no tensor, so nothing was freed


def test_writing_over_a_saved_tensor_is_noticed():
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    y += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation.*version 1; expected version 0"):
        y.sum().backward()
    y = x * 2
    z = y.sin()
    y[0] = 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_writing_over_a_tensor_that_is_not_needed_is_fine():
    x = torch.ones(2, requires_grad=True)
    y = x + 1
    y.mul_(3)
    y.add_(1)
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_versions():
    x = torch.ones(3)
    assert x._version == 0
    x.add_(1)
    x[0] = 2
    assert x._version == 2 and x.view(3)._version == 2 and x.detach()._version == 2
    x.view(3).zero_()
    assert x._version == 3
    x.data.add_(1)
    assert x._version == 3


def test_in_place_on_a_view_reaches_the_base():
    x = torch.ones(2, 2, requires_grad=True)
    base = x * 1
    base[0].mul_(5)
    base.t()[1, 0] = 7
    (base * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert base.detach().tolist() == [[5, 7], [1, 1]]
    assert x.grad.tolist() == [[5, 0], [3, 4]]


def test_in_place_on_the_base_reaches_a_view():
    x = torch.ones(4, requires_grad=True)
    base = x * 1
    view = base[1:3]
    base.mul_(3)
    view.sum().backward()
    assert x.grad.tolist() == [0, 3, 3, 0]


def test_in_place_on_a_leaf_is_refused():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        x[0] = 1
    with torch.no_grad():
        x.add_(1)
    assert x.tolist() == [2, 2]


def test_copying_into_a_constant_makes_it_part_of_the_graph():
    x = torch.ones(2, requires_grad=True)
    buffer = torch.zeros(4)
    buffer[1:3] = x * 2
    buffer.sum().backward()
    assert buffer.requires_grad and x.grad.tolist() == [2, 2]


def test_tensor_hooks():
    x, seen = torch.ones(2, requires_grad=True), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.clone()) or g * 10)
    handle = x.register_hook(lambda g: seen.append(g.clone()))
    y.sum().backward()
    assert [g.tolist() for g in seen] == [[1, 1], [20, 20]] and x.grad.tolist() == [20, 20]
    handle.remove()
    (x * 1).sum().backward()
    assert len(seen) == 2


def test_retain_grad_and_post_accumulate_hook():
    x, order = torch.ones(2, requires_grad=True), []
    x.register_post_accumulate_grad_hook(lambda t: order.append(t.grad.tolist()))
    y = x * 3
    y.retain_grad()
    y.square().sum().backward()
    assert y.grad.tolist() == [6, 6] and order == [[18, 18]]


def test_node_hooks():
    x, seen = torch.ones(2, requires_grad=True), []
    y = x * 3
    y.grad_fn.register_prehook(lambda grads: seen.append(("before", grads[0].tolist())))
    y.grad_fn.register_hook(lambda inputs, outputs: seen.append(("after", inputs[0].tolist())))
    y.sum().backward()
    assert seen == [("before", [1, 1]), ("after", [3, 3])]


def test_grad_with_unused_inputs():
    x, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        torch.autograd.grad((x * 2).sum(), [x, unused])
    gradients = torch.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)
    assert gradients[0].tolist() == [2, 2] and gradients[1] is None
    gradients = torch.autograd.grad((x * 2).sum(), [x, unused], materialize_grads=True)
    assert gradients[1].tolist() == [0, 0]
    assert x.grad is None


def test_grad_of_an_intermediate_stops_there():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    (gradient,) = torch.autograd.grad((y * y).sum(), y)
    assert gradient.tolist() == [4, 4] and x.grad is None


def test_backward_with_inputs_and_gradients():
    x, w = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    (x * w).backward(torch.tensor([1.0, 2.0]), inputs=[x])
    assert x.grad.tolist() == [1, 2] and w.grad is None
    torch.autograd.backward([x.sum(), (x * 2).sum()])
    assert x.grad.tolist() == [4, 5]


def test_a_chain_of_a_million_nodes():
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    z = x
    for _ in range(1_000_000):
        z = z + 1
    del z  # an unused chain is freed without deep recursion too


def test_graph_is_freed_with_its_output():
    x = torch.ones(2, requires_grad=True)
    middle = x * 2
    reference = weakref.ref(middle)
    out = middle.exp().sum()
    del middle
    out.backward()
    del out
    gc.collect()
    assert reference() is None


class Scale(Function):
    @staticmethod
    def forward(ctx, x, w, factor):
        ctx.save_for_backward(x, w)
        ctx.factor = factor
        return x * w * factor

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        assert ctx.needs_input_grad == (x.requires_grad, w.requires_grad, False)
        return g * w * ctx.factor, g * x * ctx.factor, None


def test_custom_function():
    x, w = leaf(3), leaf(3)
    assert type(Scale.apply(x, w, 2.0).grad_fn).__name__ == "ScaleBackward"
    assert_derivatives(lambda x, w: Scale.apply(x, w, 2.0), x, w)


def test_custom_function_marks():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            index = x.argmax().reshape(1)
            ctx.mark_non_differentiable(index)
            ctx.mark_dirty(x)
            ctx.set_materialize_grads(False)
            return x.mul_(2), index

        @staticmethod
        def backward(ctx, g, unused):
            assert unused is None
            return g * 2

    x = torch.tensor([1.0, 3.0], requires_grad=True)
    y = x * 1
    out, index = Both.apply(y)
    assert out is y and index.tolist() == [1] and not index.requires_grad
    out.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_custom_function_with_a_wrong_number_of_gradients():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(RuntimeError, match="returned an incorrect number of gradients"):
        Wrong.apply(torch.ones(2, requires_grad=True)).sum().backward()


def test_an_exception_in_backward_comes_through():
    class Failing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("from backward")

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(KeyError, match="from backward"):
        Failing.apply(x).sum().backward()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_saved_tensor_hooks():
    packed = []
    x = torch.ones(2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t.shape) or (t * 1,), lambda p: p[0]):
        y = x.exp()
    y.sum().backward()
    assert packed and x.grad.tolist() == pytest.approx([2.718282] * 2)


def test_anomaly_mode_names_the_forward_call():
    x = torch.tensor([-1.0], requires_grad=True)
    with pytest.warns(UserWarning), torch.autograd.detect_anomaly():
        y = x.sqrt()
        with pytest.raises(RuntimeError, match="SqrtBackward0.*returned nan values"):
            y.backward()


def test_functional_jacobian_and_hessian():
    x = torch.arange(1.0, 4.0)
    torch.testing.assert_close(torch.autograd.functional.jacobian(torch.square, x), torch.diag(2 * x))
    torch.testing.assert_close(torch.autograd.functional.hessian(lambda t: (t**3).sum(), x), torch.diag(6 * x))


def test_ties_share_the_gradient_of_amax_but_not_of_max():
    x = torch.tensor([1.0, 3.0, 3.0], requires_grad=True)
    x.amax().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5]
    x.grad = None
    x.max(dim=0).values.backward()
    assert sorted(x.grad.tolist()) == [0, 0, 1]


def test_gradient_takes_the_dtype_and_shape_of_its_tensor():
    x = torch.ones(3, 1, dtype=torch.float16, requires_grad=True)
    (x * torch.ones(3, 4, dtype=torch.float64)).sum().backward()
    assert x.grad.dtype == torch.float16 and x.grad.shape == (3, 1)

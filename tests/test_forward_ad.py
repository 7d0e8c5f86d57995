"""Forward mode: what tensors with tangents do. Expected behaviour was observed in PyTorch 2.13."""

import pytest

import torch
import torch.autograd.forward_ad as fwd


def dual(primal, tangent):
    return fwd.make_dual(torch.tensor(primal), torch.tensor(tangent))


def tangent(t):
    return fwd.unpack_dual(t).tangent


@pytest.fixture
def level():
    with fwd.dual_level() as number:
        yield number


def test_results_carry_tangents_until_the_level_closes():
    with fwd.dual_level():
        x = dual([2.0, 3.0], [1.0, 0.5])
        y = x * x
        assert tangent(y).tolist() == [4.0, 3.0]
        with torch.no_grad():
            assert tangent(x * 2).tolist() == [2.0, 1.0]
    assert fwd.unpack_dual(y) == (y, None)
    with fwd.dual_level():
        assert tangent(y) is None
        assert tangent(y * 2) is None


def test_what_has_no_tangent(level):
    x = dual([2.0, 3.0], [1.0, 1.0])
    for other in (x.detach(), x.data, x > 1, x.argmax(), torch.zeros_like(x), x.new_tensor([1.0]), x.int()):
        assert tangent(other) is None
    assert tangent(x.floor()).tolist() == [0.0, 0.0]
    primal = fwd.unpack_dual(x).primal
    assert tangent(primal) is None and primal._base is not None and tangent(primal[0]) is None
    with fwd._set_fwd_grad_enabled(False):
        assert tangent(x) is None
        y = x * 2
    assert tangent(y) is None and tangent(x).tolist() == [1.0, 1.0]


def test_writes_change_tangents_in_place(level):
    t = torch.ones(3)
    x = fwd.make_dual(torch.ones(3), t)
    x.mul_(2)
    assert t.tolist() == [2.0, 2.0, 2.0]
    x[0] = 5
    assert tangent(x).tolist() == [0.0, 2.0, 2.0]
    x[1] = dual(1.0, 7.0)
    assert tangent(x).tolist() == [0.0, 7.0, 2.0]
    view = x.view(3, 1)[1:]
    view.add_(dual([[1.0], [1.0]], [[1.0], [2.0]]))
    assert tangent(x).tolist() == [0.0, 8.0, 4.0]
    x.zero_()
    assert tangent(view).tolist() == [[0.0], [0.0]]
    x.copy_(dual([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))
    x.normal_()
    assert tangent(x).tolist() == [0.0, 0.0, 0.0]


def test_a_write_to_a_view_makes_its_base_dual(level):
    base = torch.zeros(3)
    first, rest = base[0], base[1:]
    first.copy_(dual(1.0, 2.0))
    assert tangent(base).tolist() == [2.0, 0.0, 0.0]
    assert tangent(rest).tolist() == [0.0, 0.0]
    rest.mul_(dual(3.0, 4.0))
    assert base.tolist() == [1.0, 0.0, 0.0] and tangent(base).tolist() == [2.0, 0.0, 0.0]
    z = torch.zeros(2, dtype=torch.complex64)
    real = torch.view_as_real(z)
    z.add_(fwd.make_dual(torch.ones(2, dtype=torch.complex64), torch.tensor([1j, 2.0])))
    assert tangent(real).tolist() == [[0.0, 1.0], [2.0, 0.0]]


def test_shape_changes_in_place(level):
    x = dual([[1.0, 2.0]], [[3.0, 4.0]])
    x.t_().unsqueeze_(0)
    assert tangent(x).tolist() == [[[3.0], [4.0]]]


def test_results_do_not_share_their_arguments_tangents(level):
    x = dual([1.0, 2.0], [1.0, 1.0])
    y = x + 1
    y.mul_(3)
    assert tangent(x).tolist() == [1.0, 1.0] and tangent(y).tolist() == [3.0, 3.0]


def test_complex_tangents(level):
    z = fwd.make_dual(torch.tensor([1 + 2j]), torch.tensor([1j]))
    assert tangent(z * z).tolist() == [(1 + 2j) * 2j]
    assert tangent(z.conj()).tolist() == [-1j]
    assert tangent(z.real).tolist() == [0.0] and tangent(z.imag).tolist() == [1.0]
    assert tangent((z * z.conj()).real).tolist() == [4.0]
    assert tangent(z.abs()).item() == pytest.approx(2 / 5**0.5)


def test_forward_over_reverse(level):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    d = fwd.make_dual(x, torch.tensor([1.0, 3.0]))
    (grad,) = torch.autograd.grad((d**3).sum(), x)
    assert grad.tolist() == [3.0, 12.0] and tangent(grad).tolist() == [6.0, 36.0]


def test_reverse_over_forward(level):
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    t = torch.tensor([1.0, 3.0], requires_grad=True)
    along = tangent(fwd.make_dual(x, t) ** 3)
    by_x, by_t = torch.autograd.grad(along.sum(), [x, t])
    assert by_x.tolist() == [6.0, 36.0] and by_t.tolist() == [3.0, 12.0]
    assert tangent(by_x) is None


def test_printing(level):
    assert repr(dual([1.0], [2.0])) == "tensor([1.], tangent=tensor([2.]))"


TWICE = (
    "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is not supported."
)
ORDER = "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
OUT = "Trying to use forward AD with add_out that does not support it because it is an out= function"
SIZES = (
    "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
    "supported. Tensor is of size [1] while the given forward gradient is of size [2]."
)


def test_errors(level):
    x = dual([1.0], [1.0])
    for call, kind, message in (
        (lambda: torch.add(x, x, out=torch.empty(1)), NotImplementedError, OUT),
        (lambda: torch.add(torch.ones(1), 1, out=x), NotImplementedError, OUT),
        (lambda: dual([1.0], [1.0, 2.0]), RuntimeError, SIZES),
        (lambda: dual([1], [1.0]), ValueError, "Expected primal to be floating point or complex, but got: torch.int64"),
        (lambda: fwd.make_dual(x, torch.ones(1)), RuntimeError, TWICE),
        (lambda: fwd.dual_level().__enter__(), RuntimeError, "Nested forward mode AD is not supported at the moment"),
        (lambda: fwd.exit_dual_level(level=3), RuntimeError, ORDER),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            call()
        assert str(caught.value) == message


def test_without_a_level():
    with pytest.raises(RuntimeError, match="no level exists, make sure to enter_dual_level"):
        dual([1.0], [1.0])
    x = torch.ones(1)
    assert fwd.unpack_dual(x) == (x, None)

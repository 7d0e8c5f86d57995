"""First and second derivatives of every kind of operation agree with finite differences, at ordinary points; forward
mode is the adjoint of reverse mode there and at the edges: zeros, ties, nothing at all, repeated eigenvalues."""

import math

import pytest

import torch
import torch.autograd.forward_ad as fwd
import torch.nn.functional as F

# Source text over x, y (2, 3), p positive, u in (-1, 1), v (3,), s (3, 3) well conditioned, b, d (2, 2, 3), img
# (1, 2, 4, 4), seq (1, 2, 5), c complex (2, 3): all float64 and wanting gradients; i, k, t: int64 (2,), bool (2, 3),
# int64 (2, 3).
CALLS = """
x + y; x - v; x * y; x / p; y * 2 - 1; x ** 3; p ** y; 2 ** x; 3 / p; -x; torch.add(x, y, alpha=0.5); x.addcmul(x, y, value=2); x.addcdiv(y, p)
x % 0.7; torch.fmod(x, 0.7); x.exp(); x.expm1(); p.log(); p.log1p(); p.log2(); p.log10(); p.sqrt(); p.rsqrt(); p.reciprocal(); x.square(); x.abs()
x.sin(); x.cos(); x.tan(); u.asin(); u.acos(); x.atan(); x.sinh(); x.cosh(); x.tanh(); x.asinh(); (p + 1).acosh(); u.atanh(); x.sinc()
x.erf(); x.erfc(); u.erfinv(); p.lgamma(); p.digamma(); torch.polygamma(1, p); torch.special.i0(x); torch.special.i0e(x); torch.special.i1(x)
torch.special.entr(p); torch.special.ndtri(u.sigmoid()); torch.special.log_ndtr(x); torch.special.ndtr(x); x.sigmoid(); u.sigmoid().logit(0.01)
torch.atan2(x, p); torch.hypot(x, y); torch.logaddexp(x, y); torch.logaddexp2(x, y); torch.xlogy(y, p); torch.special.xlog1py(y, p); torch.lerp(x, y, u)
torch.maximum(x, y); torch.fmin(x, y); x.clamp(-0.5, 0.5); x.clamp(min=y); torch.where(k, x, y); torch.copysign(x, y); x.frac(); x.nan_to_num()
x.relu(); F.gelu(x); F.gelu(x, approximate="tanh"); F.silu(x); F.mish(x); F.elu(x); F.celu(x, 0.5); F.selu(x); F.softplus(x); F.leaky_relu(x)
F.hardtanh(x); F.hardsigmoid(x); F.hardswish(x); F.logsigmoid(x); F.softsign(x); F.tanhshrink(x); F.softshrink(x); F.prelu(x, p[0, :1]); F.glu(b[..., :2])
F.softmax(x, 1); F.log_softmax(x, 0); F.softmin(x, 1); F.normalize(x)
x.sum(); x.sum(0); x.mean(1); x.prod(); p.prod(1); x.var(); x.std(1); x.var(0, correction=0); x.norm(); torch.linalg.vector_norm(p, 3, dim=1); x.norm(1)
x.logsumexp(1); x.amax(1); x.min(0).values; x.median(1).values; x.cumsum(1); p.cumprod(1); x.logcumsumexp(1); x.cummax(1).values; x.sort(1).values
x.topk(2).values; x.kthvalue(2, 1).values; torch.var_mean(x, 1)[0]; x.nansum(1); torch.trapezoid(x); torch.diff(x); torch.dist(x, y); x.renorm(2, 0, 1.0)
x.view(3, 2); x.t(); b.permute(2, 0, 1); x.expand(2, 2, 3); x[1]; x[:, 1:]; x[:, i]; x[k]; x.diagonal(); x.unfold(1, 2, 1); x.as_strided((2, 2), (1, 1))
torch.cat([x, y], 1); torch.stack([x, y]); x.repeat(2, 2); x.flip(1); x.roll(1, 1); x.tril(); torch.diag(v); x.repeat_interleave(2, 1); torch.kron(x, v)
x.gather(1, t); x.index_select(0, i); x.scatter(1, t, y); x.scatter_add(1, t, y); x.index_add(0, i, y); x.index_copy(0, i, y); x.masked_fill(k, 2.0)
x.index_put((i,), y); x.take(t); torch.take_along_dim(x, t, 1); x.masked_select(k); x.scatter_reduce(1, t, y, "sum"); F.pad(x, (1, 1)); F.pad(seq, (1, 1), "reflect")
x @ s; x @ v; v @ v; b @ d.mT; torch.addmm(x, x, s); torch.baddbmm(b @ d.mT, b, d.mT); torch.outer(v, v); torch.einsum("ij,kj->ik", x, y)
torch.tensordot(x, s, 1); torch.cdist(x, y); torch.cross(x, y, dim=1); s.trace(); torch.linalg.multi_dot([x, s, s]); torch.addmv(v, s, v); torch.addr(s, v, v)
torch.linalg.det(s); torch.linalg.inv(s); torch.linalg.solve(s, x.mT); torch.linalg.cholesky(s @ s.mH + torch.eye(3, dtype=s.dtype)); torch.logdet(s @ s.mT)
torch.linalg.eigvalsh(s + s.mT); torch.linalg.svdvals(x); torch.linalg.qr(s).R; torch.linalg.matrix_exp(s); torch.linalg.slogdet(s).logabsdet
F.linear(x, s); F.linear(x, s, v); F.bilinear(x, y, b[:, :, :].expand(3, 2, 2, 3)[:, 0].repeat(1, 2, 1)[:, :3]); F.embedding(i, x); F.cosine_similarity(x, y)
F.conv1d(seq, b); F.conv2d(img, img[:, :, :2, :2], padding=1); F.conv2d(img, img[:, :, :2, :2], v[:1], stride=2); F.conv_transpose2d(img, img[0][:, None, :2, :2])
F.max_pool2d(img, 2); F.avg_pool2d(img, 2, 1); F.adaptive_avg_pool2d(img, 3); F.adaptive_max_pool1d(seq, 2); F.lp_pool1d(seq.abs() + 1, 3, 2); F.unfold(img, 2)
F.layer_norm(x, (3,), v, v); F.rms_norm(x, (3,), v); F.group_norm(img, 1); F.instance_norm(img); F.batch_norm(x, None, None, v, v, True)
F.interpolate(img, 3, mode="bilinear"); F.interpolate(img, scale_factor=2); F.interpolate(seq, 3, mode="linear", align_corners=True); F.pixel_shuffle(img.repeat(1, 2, 1, 1), 2)
F.grid_sample(img, u.new_zeros(1, 2, 2, 2) + u[:, :2] * 0.7, align_corners=True); F.local_response_norm(img, 2)
F.mse_loss(x, y); F.l1_loss(x, y); F.smooth_l1_loss(x, y); F.huber_loss(x, y, reduction="none"); F.binary_cross_entropy(u.sigmoid(), y.sigmoid())
F.binary_cross_entropy_with_logits(x, y.sigmoid()); F.kl_div(x, p); F.cross_entropy(x, i); F.cross_entropy(x, y.softmax(1), label_smoothing=0.1); F.nll_loss(x, i)
F.poisson_nll_loss(x, p); F.gaussian_nll_loss(x, y, p); F.soft_margin_loss(x, y.sign()); F.triplet_margin_loss(x, y, p); F.pairwise_distance(x, y)
F.scaled_dot_product_attention(b, d, d); F.scaled_dot_product_attention(b, d, d, is_causal=True); F.multi_margin_loss(x, i); F.hinge_embedding_loss(x, y.sign())
c * c.conj(); c.abs(); c.angle(); c.exp(); c.real; torch.view_as_real(c); torch.complex(x, y).abs(); torch.polar(p, x).real; (c @ c.mH).imag; c.sgn()
torch.fft.fft(x).abs(); torch.fft.rfft(x).real; torch.fft.irfft(c)
"""  # noqa: E501 - a table

CALLS = [call.strip() for line in CALLS.strip().splitlines() for call in line.split(";")]


def inputs():
    """Return the tensors that the calls name, away from kinks, ties and poles."""
    generator = torch.Generator().manual_seed(3)

    def randn(*shape, dtype=torch.float64):
        return torch.randn(*shape, dtype=dtype, generator=generator)

    x = randn(2, 3)
    leaves = {
        "x": x, "y": x.flip(0, 1) * 0.8 + 0.37, "p": x.abs() + 0.4, "u": torch.tanh(randn(2, 3)) * 0.8,
        "v": randn(3) + 0.2,
        "s": randn(3, 3) * 0.3 + torch.eye(3, dtype=torch.float64) * 1.5, "b": randn(2, 2, 3), "d": randn(2, 2, 3),
        "img": randn(1, 2, 4, 4), "seq": randn(1, 2, 5), "c": randn(2, 3, dtype=torch.complex128),
    }  # fmt: skip
    indices = {"i": torch.tensor([1, 0]), "k": torch.tensor([[True, False, True], [False, True, True]]),
               "t": torch.tensor([[2, 0, 1], [1, 2, 0]])}  # fmt: skip
    return leaves, indices | {"torch": torch, "F": F}


LEAVES, OTHERS = inputs()


def used(call):
    """Return the names of the leaves that a call reads."""
    return [name for name in compile(call, "<call>", "eval").co_names if name in LEAVES]


@pytest.mark.parametrize("call", CALLS)
def test_derivatives(call):
    names = used(call)
    code = compile(call, "<call>", "eval")
    leaves = [LEAVES[name].clone().requires_grad_() for name in names]

    def f(*values):
        return eval(code, OTHERS | dict(zip(names, values, strict=True)))

    assert torch.autograd.gradcheck(f, leaves, check_forward_ad=True)
    if f(*leaves).grad_fn is not None:
        assert torch.autograd.gradgradcheck(f, leaves)


def edge_points():
    """The same names at points where derivatives are easily wrong, and over the complex numbers."""
    empty = {name: t[:0] for name, t in LEAVES.items() if name not in "vs"}
    nothing = {"i": OTHERS["i"][:0], "k": OTHERS["k"][:0], "t": OTHERS["t"][:0]}
    generator = torch.Generator().manual_seed(5)
    return {
        "ordinary": ({}, {}),
        "zeros": ({name: torch.zeros_like(t) for name, t in LEAVES.items()}, {}),
        "ties": ({name: torch.full_like(t, 0.5) for name, t in LEAVES.items()}, {}),
        "repeated": ({"s": torch.eye(3, dtype=torch.float64) * 1.5, "x": torch.eye(3, dtype=torch.float64)[:2]}, {}),
        "empty": (empty, nothing),
        "complex": ({n: torch.complex(t, torch.randn(t.shape, dtype=t.dtype, generator=generator) * 0.3)
                     for n, t in LEAVES.items() if n != "c"}, {}),
    }  # fmt: skip


POINTS = edge_points()


def flat(value):
    """Return the tensors that can have derivatives in a result."""
    parts = [value] if isinstance(value, torch.Tensor) else [t for part in value for t in flat(part)]
    return [t for t in parts if t.is_floating_point() or t.is_complex()]


def inner(a, b):
    """Return the real inner product of two lists of tensors, where None stands for zeros."""
    total = 0.0
    for left, right in zip(a, b, strict=True):
        if left is not None and right is not None:
            total += (left.detach().conj() * right.detach()).sum().real.item()
    return total


# The variance is clamped without being recorded, which forward mode follows.
NOT_ADJOINT = {("F.gaussian_nll_loss(x, y, p)", "zeros")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS)
def test_forward_mode_is_the_adjoint_of_reverse_mode(call):
    for point in POINTS:
        if (call, point) not in NOT_ADJOINT:
            check_adjoint(call, point)


def check_adjoint(call, point):
    """Assert <v, J t> = <J^T v, t>, unless the call is impossible at this point or has no finite value there."""
    names = used(call)
    leaves, others = LEAVES | POINTS[point][0], OTHERS | POINTS[point][1]
    code = compile(call, "<call>", "eval")
    values = [leaves[name].clone() for name in names]
    generator = torch.Generator().manual_seed(7)

    def like(t):
        return torch.randn(t.shape, dtype=t.dtype, generator=generator)

    def f(*args):
        return flat(eval(code, others | dict(zip(names, args, strict=True))))

    wanted = [v.clone().requires_grad_() for v in values]
    try:
        outputs = f(*wanted)
    except (RuntimeError, ValueError, IndexError, TypeError):
        assert point != "ordinary", f"{call} at {point}"
        return
    if not all(bool(torch.isfinite(out).all()) for out in outputs):
        return
    outputs = [out for out in outputs if out.requires_grad]
    directions = [like(v) for v in values]
    weights = [like(out) for out in outputs]
    grads = [None] * len(values)
    try:
        if outputs:
            grads = torch.autograd.grad(outputs, wanted, weights, allow_unused=True)
    except (NotImplementedError, ArithmeticError, ValueError):  # no gradient for this dtype, or a singular matrix
        assert point != "ordinary"
        return
    with fwd.dual_level():
        results = f(*[fwd.make_dual(v, t) for v, t in zip(values, directions, strict=True)])
        tangents = [fwd.unpack_dual(out).tangent for out in results]
    tangents = [t for t in tangents if t is not None]
    if not outputs:
        assert all(not t.any() for t in tangents)
        return
    assert [t.shape for t in tangents] == [out.shape for out in outputs]
    assert [t.dtype for t in tangents] == [out.dtype for out in outputs]
    left, right = inner(weights, tangents), inner(grads, directions)
    if math.isfinite(left) or math.isfinite(right):
        size = sum(t.abs().sum().item() for t in tangents) + 1
        assert abs(left - right) <= 1e-9 * size, f"{call} at {point}: {left} is not {right}"

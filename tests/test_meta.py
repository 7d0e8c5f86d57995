"""On the meta device every operation gives the shape, dtype and error of the CPU, without data."""

import pytest

import torch
import torch.nn.functional as F
from torch import nn

# Source text over x (4, 6) and y (4, 6) float32, p positive, v (6,), m (6, 6), b (2, 3, 4), img (2, 3, 8, 8),
# seq (2, 3, 10), i int64 indices below 4 of shape (5,), n int64 (4, 6), k bool (4, 6), c complex64 (4, 6).
CALLS = """
x + y; x - 1; x * n; x / 2; n / 2; x // 2; x % 2; x ** 2; -x; x == y; x < 0; ~k; k & k; n | 1; n ^ n; n << 1; x + v; 1 - x
torch.add(x, y, alpha=2); x.add(n); n.mul(2.5); k + n; c * x; torch.true_divide(n, n); torch.floor_divide(n, 2)
x.exp(); n.exp(); x.sin(); p.log(); p.sqrt(); p.rsqrt(); x.abs(); c.abs(); x.sign(); x.floor(); x.round(); x.tanh(); x.sigmoid()
x.erf(); p.lgamma(); x.isnan(); x.neg(); x.clamp(0, 1); x.clamp(min=v); x.clone(); x.reciprocal(); c.conj(); c.angle(); c.real; c.imag
torch.where(k, x, y); torch.where(k, x, 0.0); torch.maximum(x, y); torch.atan2(x, y); torch.hypot(x, y); torch.lerp(x, y, 0.5)
torch.addcmul(x, x, y); torch.addcdiv(x, x, p); torch.logaddexp(x, y); torch.fmod(x, 2); torch.pow(2, x); torch.xlogy(x, p)
x.sum(); x.sum(0); x.sum((0, 1), keepdim=True); n.sum(); k.sum(1); x.mean(); x.mean(1); x.prod(); x.prod(0); x.var(); x.std(1)
x.max(); x.min(); x.amax(1); x.amin((0, 1)); x.argmax(); x.argmin(1, keepdim=True); k.any(); k.all(1); x.logsumexp(1); x.norm()
x.max(1).values; x.max(1).indices; x.min(0).indices; x.median(); x.median(1).values; x.mode(1).values; x.kthvalue(2, 1).indices
torch.var_mean(x, 1)[1]; torch.std_mean(x)[0]; x.nansum(); x.cumsum(1); n.cumprod(0); x.cummax(1).indices; x.logcumsumexp(0)
x.sort(1).values; x.sort(0).indices; x.argsort(1); x.topk(3).values; x.topk(2, dim=0).indices; torch.aminmax(x).min
torch.linalg.vector_norm(x); torch.linalg.vector_norm(x, 1, dim=1); torch.dist(x, y); x.count_nonzero()
x.view(6, 4); x.reshape(-1); x.t(); x.T; b.mT; x.transpose(0, 1); b.permute(2, 0, 1); x.unsqueeze(1); b.squeeze(); x.expand(3, 4, 6)
x.flatten(); x.unflatten(1, (2, 3)); x.select(0, 1); x.narrow(1, 1, 2); x[1]; x[:, 2:4]; x[..., None]; x[::2]; x[i[:2] * 0]; x[None]
x.unbind(0)[1]; x.split(2)[1]; x.chunk(3, 1)[2]; torch.tensor_split(x, 3)[0]; x.diagonal(); x.as_strided((2, 2), (1, 2)); x.unfold(1, 3, 2)
torch.cat([x, y]); torch.cat([x, n], 1); torch.stack([x, y], 1); torch.hstack([x, y]); x.repeat(2, 1); x.tile(2); x.flip(0); x.roll(1, 0)
x.rot90(); x.repeat_interleave(2, 0); torch.meshgrid(v, v, indexing="ij")[0]; x.tril(); x.triu(1); torch.diag(v); m.trace(); torch.kron(x, x)
torch.gather(x, 0, n * 0); x.index_select(0, i); x.scatter(0, n * 0, y); x.scatter_add(0, n * 0, y); x.index_add(0, i[:4], y)
x.index_fill(0, i, 1.0); x.index_copy(0, i[:4], y); x.masked_fill(k, 0); x.take(i); torch.take_along_dim(x, n * 0, 0); torch.bucketize(x, v)
torch.searchsorted(v, v); torch.isin(n, i); torch.isclose(x, y); torch.logical_and(k, x)
x @ x.T; m @ v; v @ m; v @ v; b @ b.mT; torch.mm(x, m); torch.bmm(b, b.mT); torch.addmm(x, x, m); torch.baddbmm(b @ b.mT, b, b.mT)
torch.outer(v, v); torch.einsum("ij,kj->ik", x, y); torch.tensordot(x, m, 1); torch.matmul(b, b.mT); torch.dot(v, v); torch.mv(m, v)
torch.addmv(v, m, v); torch.cdist(x, y); torch.linalg.multi_dot([x, m, m]); torch.cross(x[:, :3], y[:, :3], dim=1)
F.relu(x); F.gelu(x); F.silu(x); F.elu(x); F.leaky_relu(x); F.softplus(x); F.hardtanh(x); F.mish(x); F.glu(x); F.prelu(x, v[:1]); F.logsigmoid(x)
F.softmax(x, 1); F.log_softmax(x, 0); x.softmax(0, dtype=torch.float64); F.normalize(x); F.dropout(x); F.dropout(x, training=False)
F.linear(x, m); F.linear(x, m, v); F.bilinear(x, x, m.expand(2, 6, 6)); F.embedding(i, x); F.one_hot(i, 4); F.pad(x, (1, 2)); F.pad(seq, (1, 1), "reflect")
F.conv1d(seq, seq); F.conv2d(img, img[:, :, :3, :3], padding=1); F.conv2d(img, img[:1, :, :3, :3], v[:1], 2); F.conv3d(img[:, None], img[:, None, :, :3, :3])
F.conv_transpose2d(img, img.transpose(0, 1)[:, :, :3, :3], stride=2); F.conv_transpose1d(seq, seq.transpose(0, 1)); F.unfold(img, 3); F.fold(seq[:, :, :9].repeat(1, 3, 1), 5, 3)
F.max_pool2d(img, 2); F.avg_pool2d(img, 3, 1, 1); F.max_pool1d(seq, 2); F.adaptive_avg_pool2d(img, 2); F.adaptive_max_pool1d(seq, 3); F.lp_pool2d(img, 2, 2)
F.batch_norm(img, None, None, training=True); F.layer_norm(x, (6,)); F.layer_norm(x, (6,), v, v); F.group_norm(img, 3); F.instance_norm(img); F.rms_norm(x, (6,))
F.interpolate(img, scale_factor=2); F.interpolate(img, 5, mode="bilinear"); F.interpolate(seq, 5, mode="linear"); F.pixel_shuffle(img.repeat(1, 4, 1, 1), 2)
F.grid_sample(img, img[:, :2].permute(0, 2, 3, 1)); F.affine_grid(b[:, :2, :3], (2, 1, 3, 3)); F.local_response_norm(img, 2); F.cosine_similarity(x, y)
F.mse_loss(x, y); F.l1_loss(x, y, reduction="none"); F.smooth_l1_loss(x, y); F.huber_loss(x, y); F.kl_div(x, p); F.binary_cross_entropy_with_logits(x, y)
F.cross_entropy(x, i[:4]); F.cross_entropy(x, y); F.nll_loss(x, i[:4], reduction="none"); F.hinge_embedding_loss(x, y); F.poisson_nll_loss(x, y)
F.triplet_margin_loss(x, y, p); F.scaled_dot_product_attention(b, b, b); F.scaled_dot_product_attention(b, b, b, is_causal=True); F.pairwise_distance(x, y)
x.double(); x.to(torch.bfloat16); n.float(); k.int(); x.half() + x; x.bfloat16() @ m.bfloat16(); x.contiguous(); x.t().contiguous(); x.type_as(n)
torch.zeros_like(x); torch.ones_like(n, dtype=torch.float64); torch.full_like(x, 2); torch.rand_like(x); torch.empty_like(x.t()); x.new_zeros(2, 3)
torch.randn_like(x); x.new_full((2,), 1); torch.sigmoid(x).bernoulli(); torch.normal(x, p); torch.polar(p, x); torch.complex(x, y); torch.view_as_real(c)
torch.special.erfinv(x); torch.special.i0(x); torch.digamma(p); torch.polygamma(1, p); torch.special.entr(p); x.logit(0.1); x.nan_to_num(); x.trunc()
x.clone().add_(1); x.clone().mul_(y); x.clone().zero_(); x.clone().fill_(2); x.clone().copy_(n); x.clone().relu_(); x.clone().t_(); x.clone().normal_()
x.clone().index_put_((i,), v); x.clone().masked_fill_(k, 1); x.clone().scatter_(0, n * 0, 1.0); x.clone().clamp_(0); x.clone().uniform_()
torch.block_diag(x, m); torch.cartesian_prod(v, v); torch.diff(x); torch.trapezoid(x)
torch.vander(v); torch.renorm(x, 2, 0, 1); torch.rsub(x, 1); torch.sgn(c); torch.signbit(x); torch.nextafter(x, y); torch.copysign(x, y); torch.heaviside(x, y)
"""  # noqa: E501 - a table

# The result depends on the data, so there is none without it.
NEEDS_DATA = """
x.nonzero(); x[k]; x.masked_select(k); n.unique(); x.item(); bool(x.sum()); float(x.sum()); x.tolist(); torch.equal(x, y); n.bincount()
x.numpy(); torch.allclose(x, y); torch.unique_consecutive(n); int(n.sum()); x.repeat_interleave(i[:4], 0); torch.where(k); x.cpu()
"""  # noqa: E501 - a table


def calls(text):
    """Return the calls of a table, one string each."""
    return [call.strip() for line in text.strip().splitlines() for call in line.split(";") if call.strip()]


def inputs(device):
    """Return the tensors that the calls name; on the CPU they hold ordinary values."""
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(4, 6, generator=generator), torch.randn(4, 6, generator=generator)
    made = {
        "x": x, "y": y, "p": x.abs() + 0.5, "v": torch.linspace(0.1, 0.6, 6), "m": torch.eye(6) + 0.1,
        "b": torch.randn(2, 3, 4, generator=generator), "img": torch.randn(2, 3, 8, 8, generator=generator),
        "seq": torch.randn(2, 3, 10, generator=generator), "i": torch.tensor([0, 3, 1, 2, 0]),
        "n": torch.arange(24).view(4, 6), "k": x > 0, "c": torch.complex(x, y),
    }  # fmt: skip
    return {name: value.to(device) for name, value in made.items()} | {"torch": torch, "F": F, "nn": nn}


CPU, META = inputs("cpu"), inputs("meta")


@pytest.mark.parametrize("call", calls(CALLS))
def test_shape_and_dtype_as_on_the_cpu(call):
    expected, actual = eval(call, dict(CPU)), eval(call, dict(META))
    assert actual.device.type == "meta" and actual.is_meta
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert actual.stride() == expected.stride()


@pytest.mark.parametrize("call", calls(NEEDS_DATA))
def test_what_needs_data_is_refused(call):
    with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
        eval(call, dict(META))


@pytest.mark.parametrize(
    "call", ["x @ y", "x + b", "x.view(5)", "torch.cat([x, v])", "F.conv2d(img, seq)", "x[9]", "n.mean()"]
)
def test_errors_as_on_the_cpu(call):
    with pytest.raises(Exception) as expected:
        eval(call, dict(CPU))
    with pytest.raises(type(expected.value)) as actual:
        eval(call, dict(META))
    assert str(actual.value) == str(expected.value)


def test_gradients_without_data():
    x = torch.empty(4, 6, device="meta", requires_grad=True)
    w = torch.empty(3, 6, device="meta", requires_grad=True)
    loss = F.cross_entropy(F.linear(x, w).relu(), torch.empty(4, device="meta", dtype=torch.int64))
    loss.backward()
    assert x.grad.shape == (4, 6) and w.grad.shape == (3, 6) and x.grad.is_meta


def test_a_model_on_meta_and_back():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
        out = model(torch.empty(2, 3, 8, 8))
    assert out.shape == (2, 5) and all(p.is_meta for p in model.parameters())
    real = model.to_empty(device="cpu")
    assert not any(p.is_meta for p in real.parameters())


def test_meta_and_cpu_do_not_mix():
    with pytest.raises(RuntimeError, match="on the same device"):
        CPU["x"] + META["x"]
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        META["x"].to("cpu")

"""Calls whose forms in ONNX are tested: expressions of ``x`` and its like, below the tensors that these are."""

import torch

torch.manual_seed(0)
x = torch.randn(2, 3, 4)
y = torch.rand(2, 3, 4) + 0.5
m = torch.randn(3, 4)
n = torch.randn(4, 5)
v = torch.randn(4)
i = torch.randint(-5, 6, (3, 4))
j = torch.randint(1, 6, (3, 4))
t = torch.tensor([[True, False, True, False], [False, False, True, True], [True, True, True, True]])
k = torch.tensor([2, 0, 1, 2])
im = torch.randn(2, 4, 6, 8)
s1 = torch.randn(2, 3, 7)
vol = torch.randn(1, 2, 4, 4, 4)
w2 = torch.randn(6, 4, 3, 3)
w1 = torch.randn(5, 3, 3)
w3 = torch.randn(3, 2, 2, 2, 2)

TENSORS = {name: value for name, value in list(globals().items()) if isinstance(value, torch.Tensor)}

POINTWISE = """
x + y | x - y | x * y | x / y | x + 2 | 2 - x | x * 2.5 | 3 / y | y ** 2 | y ** 0.5 | y ** 2.5 | 2 ** x | -x | x % 2
i + j | i - j | i * j | i / j | i // j | i % j | i + 2.5 | i * 3 | i // 3 | i % -4 | i ** 2 | x // 0.7
x + i[:2, :1, None] | torch.add(x, y, alpha=2) | torch.sub(x, y, alpha=3) | torch.rsub(x, y) | torch.fmod(x, 0.7)
torch.remainder(i, 3) | torch.div(x, y, rounding_mode="floor") | torch.div(x, y, rounding_mode="trunc")
torch.div(i, j, rounding_mode="floor") | torch.div(i, j, rounding_mode="trunc") | torch.maximum(x, y)
torch.minimum(x, y) | x > y | x >= 0 | x < y | x <= 0.5 | x == y | x != y | i == j | i > 2 | i != 0 | t == True
t & t.flip(0) | t | t ^ t.flip(1) | ~t | i & j | i ^ j | ~i | torch.logical_and(t, i > 0)
torch.logical_or(t, i > 0) | torch.logical_xor(t, i > 0) | torch.logical_not(t) | x.abs() | x.clamp(-1, 1)
x.clamp(-0.5, 0.5).acos() | y.acosh() | x.clamp(-0.5, 0.5).asin() | x.asinh() | x.atan()
x.clamp(-0.5, 0.5).atanh() | x.ceil() | x.cos() | x.cosh() | x.erf() | x.erfc() | x.exp() | x.exp2() | x.expm1()
x.floor() | y.log() | y.log2() | y.log10() | y.log1p() | x.neg() | y.reciprocal() | x.round() | y.rsqrt()
x.sigmoid() | x.sign() | x.sin() | x.sinh() | y.sqrt() | x.square() | x.tan() | x.tanh() | x.trunc() | x.frac()
(y / 2).logit() | i.abs() | i.sign() | F.relu(x) | F.relu6(x * 5) | F.gelu(x) | F.gelu(x, approximate="tanh")
F.silu(x) | F.mish(x) | F.hardswish(x) | F.hardsigmoid(x) | F.hardtanh(x) | F.hardtanh(x, -0.5, 0.7)
F.leaky_relu(x, 0.2) | F.elu(x, 0.7) | F.selu(x) | F.celu(x, 0.8) | F.softplus(x) | F.softplus(x, beta=2)
F.logsigmoid(x) | F.softshrink(x, 0.3) | F.hardshrink(x, 0.3) | F.tanhshrink(x) | F.softsign(x)
F.threshold(x, 0.1, 20) | F.prelu(x, torch.tensor([0.25])) | F.prelu(x, torch.tensor([0.1, 0.2, 0.3])) | F.glu(x)
F.glu(x, 2) | x.clamp(min=0.1) | x.clamp(max=0.1) | torch.clamp(x, y - 0.5, y) | torch.where(x > 0, x, y)
torch.where(x > 0, x, 0.0) | torch.where(t, i, 1) | m.masked_fill(t, -1.5) | x.isnan() | (x / 0).isinf()
(x / 0).nan_to_num() | torch.lerp(x, y, 0.3) | torch.lerp(x, y, y) | torch.addcmul(x, x, y, value=0.5)
torch.addcdiv(x, x, y, value=2) | x.to(torch.float64) | x.to(torch.int32) | i.float() | i.bool() | t.float()
x.half().float() | F.dropout(x, 0.5, False) | torch.atan2(x, y) | torch.hypot(x, y) | torch.sinc(x)
torch.deg2rad(x) | x.clone() | x.detach() + 1 | x.add_(1) | x.mul(y).relu_()
"""

REDUCTIONS = """
x.sum() | x.sum(1) | x.sum((0, 2), keepdim=True) | i.sum() | t.sum() | x.mean() | x.mean(-1) | x.mean((1, 2), True)
x.prod() | x.prod(1) | x.amax(1) | x.amin((0, 1)) | x.max() | x.min() | x.max(1) | x.min(2, keepdim=True)
x.argmax() | x.argmax(1) | x.argmin(-1, keepdim=True) | t.any() | t.any(1) | t.all() | t.all(0) | (x > 0).all(2)
x.softmax(-1) | x.softmax(1) | x.log_softmax(-1) | F.softmin(x, 1) | x.logsumexp(1) | x.logsumexp((0, 1))
x.cumsum(1) | i.cumsum(0) | x.var() | x.var(1) | x.var(1, unbiased=False) | x.std() | x.std((1, 2))
x.std(1, correction=0) | torch.var_mean(x, 1) | torch.std_mean(x, 1) | x.topk(2) | x.topk(2, 1, largest=False)
x.sort() | x.sort(1, descending=True) | x.argsort(2) | x.norm() | x.norm(1) | x.norm(dim=1) | x.norm(p=3, dim=2)
torch.linalg.vector_norm(x, float("inf"), 1) | F.normalize(x, dim=1) | torch.cdist(m, m) | F.cosine_similarity(x, y)
x.count_nonzero() | x.median(1) | torch.trapezoid(x) | x.diff()
"""

SHAPES = """
x.view(6, 4) | x.reshape(-1) | x.reshape(2, -1, 2) | x.flatten(1) | x.flatten(0, 1) | x.unflatten(2, (2, 2))
x[:, :1].squeeze(1) | x.unsqueeze(0) | x.unsqueeze(-1) | x.permute(2, 0, 1) | x.transpose(0, 2) | m.t() | m.T | x.mT
x.movedim(0, 2) | x.swapaxes(0, 1) | v.expand(3, 4) | m[None].expand(5, -1, -1) | m.repeat(2, 3) | m.repeat(2, 1, 1)
m.tile(2) | m.repeat_interleave(2, 0) | m.repeat_interleave(3, 1) | m.repeat_interleave(2) | torch.cat([x, y])
torch.cat([x, y], -1) | torch.cat([m, i], 1) | torch.stack([x, y]) | torch.stack([x, y], 2) | torch.hstack([m, m])
torch.vstack([m, m]) | torch.dstack([m, m]) | x.split(2, 1) | x.split([1, 2], 1) | x.chunk(2, 2) | x.chunk(2, 1)
x.unbind(1) | x[0] | x[:, 1] | x[..., -1] | x[:, 1:] | x[:, ::2] | x[1:, :, 1:3] | x[:, None] | x.select(1, -1)
x.narrow(2, 1, 2) | x.flip(0) | x.flip((1, 2)) | x.roll(1) | x.roll((1, 2), (0, 2)) | F.pad(x, (1, 2))
F.pad(x, (1, 0, 2, 1), value=3.0) | F.pad(im, (1, 2, 3, 1), mode="reflect")
F.pad(im, (1, 2, 0, 1), mode="replicate") | F.pad(im, (1, 1, 2, 2), mode="circular") | x.unfold(2, 2, 1) | m.tril()
m.triu(1) | m.tril(-1) | F.pixel_shuffle(im, 2) | F.pixel_unshuffle(im, 2) | F.channel_shuffle(im, 2)
torch.broadcast_to(v, (3, 4)) | x.expand_as(x) | x.ravel() | x.contiguous() | m.diag() | m.diagonal()
m.diagonal(1) | torch.meshgrid(v, v, indexing="ij") | torch.atleast_3d(m) | x.swapdims(0, 1) | x.view_as(y)
"""

PRODUCTS = """
m @ n | x @ n | x @ x.mT | m @ v | v @ v | torch.mm(m, n) | torch.bmm(x, x.mT) | torch.mv(m, v)
F.linear(m, n.t(), n[0]) | F.linear(x, n.t(), n[0]) | F.linear(v, n.t())
torch.addmm(n[0], m, n, beta=0.5, alpha=2) | torch.addmm(m @ n, m, n) | torch.baddbmm(x @ x.mT, x, x.mT)
torch.outer(v, v) | torch.einsum("bij,bkj->bik", x, x) | torch.einsum("ij->ji", m) | torch.einsum("ij,jk->ik", m, n)
torch.tensordot(m, n, 1) | torch.kron(m, m) | F.bilinear(m, m, torch.ones(2, 4, 4))
F.scaled_dot_product_attention(im, im, im) | F.scaled_dot_product_attention(im, im, im, is_causal=True)
torch.chain_matmul(m, n) | F.scaled_dot_product_attention(im, im, im, attn_mask=torch.ones(6, 6).tril().bool())
torch.matmul(v, n) | torch.linalg.multi_dot([m, n])
F.scaled_dot_product_attention(im, im, im, attn_mask=im[0, 0, :, :6], scale=0.3) | torch.inner(m, m)
torch.vdot(v, v) | torch.dot(v, v)
"""

WINDOWS = """
F.conv2d(im, w2) | F.conv2d(im, w2, w2[:, 0, 0, 0], 2, 1) | F.conv2d(im, w2, padding="same")
F.conv2d(im, w2, dilation=2, padding=2) | F.conv2d(im, w2[:, :2], groups=2) | F.conv2d(im[0], w2)
F.conv1d(s1, w1, padding=1) | F.conv3d(vol, w3) | F.max_pool2d(im, 2)
F.conv_transpose2d(im, w2.transpose(0, 1).contiguous(), stride=2, padding=1, output_padding=1)
F.conv_transpose1d(s1, w1.transpose(0, 1).contiguous()) | F.max_pool2d(im, 3, 2, 1)
F.max_pool2d(im, 3, 2, ceil_mode=True) | F.max_pool2d(im, 2, return_indices=True) | F.max_pool1d(s1, 2)
F.max_pool3d(vol, 2) | F.avg_pool2d(im, 2) | F.avg_pool2d(im, 3, 2, 1)
F.avg_pool2d(im, 3, 2, 1, count_include_pad=False) | F.avg_pool1d(s1, 2) | F.avg_pool3d(vol, 2)
F.adaptive_avg_pool2d(im, 1) | F.adaptive_avg_pool2d(im, (3, 4)) | F.adaptive_avg_pool1d(s1, 1)
F.adaptive_max_pool2d(im, (3, 2)) | F.lp_pool2d(im, 2, 2) | F.interpolate(im, scale_factor=2)
F.interpolate(im, size=(9, 5)) | F.interpolate(im, scale_factor=2, mode="bilinear")
F.interpolate(im, size=(9, 5), mode="bilinear", align_corners=True)
F.interpolate(im, size=(12, 16), mode="bicubic") | F.interpolate(s1, scale_factor=2, mode="linear")
F.interpolate(im, size=(3, 4), mode="area") | F.interpolate(im, size=(9, 5), mode="nearest-exact")
F.interpolate(vol, scale_factor=2, mode="trilinear") | F.unfold(im, 2) | F.unfold(im, (2, 3), padding=1, stride=2)
F.grid_sample(im, torch.tanh(torch.arange(24.0).view(2, 3, 2, 2) / 12 - 1), align_corners=False)
"""

NORMS = """
F.layer_norm(x, (4,)) | F.layer_norm(x, (3, 4), m, m) | F.group_norm(im, 2) | F.group_norm(im, 2, v, v)
F.instance_norm(im) | F.batch_norm(im, torch.zeros(4), torch.ones(4)) | F.batch_norm(im, v, v.abs(), v, v)
F.rms_norm(x, (4,)) | F.rms_norm(x, (4,), v, 1e-3) | F.local_response_norm(im, 3)
F.cross_entropy(n, torch.tensor([0, 2, 4, 1])) | F.mse_loss(x, y)
F.cross_entropy(n, torch.tensor([0, 2, 4, 1]), reduction="sum")
F.nll_loss(n.log_softmax(-1), torch.tensor([0, 2, 4, 1])) | F.l1_loss(x, y) | F.mse_loss(x, y, reduction="none")
F.smooth_l1_loss(x, y) | F.huber_loss(x, y) | F.binary_cross_entropy(y / 2, y / 2)
F.binary_cross_entropy_with_logits(x, y / 2) | F.kl_div(x, y, reduction="batchmean")
F.batch_norm(im, None, None, training=True) | F.cross_entropy(n, torch.tensor([0, 2, 4, 1]), label_smoothing=0.1)
F.hinge_embedding_loss(x, y) | F.soft_margin_loss(x, x.sign())
"""

INDEXING = """
F.embedding(k, n) | m.index_select(1, k) | m.gather(1, i.abs() % 4) | m.gather(0, i.abs() % 3)
torch.take_along_dim(m, i.abs() % 4, 1) | m[k[:3] % 3] | m[:, k] | m[k % 3, k] | x[:, k[:3], k[:3]]
x[k[:2] % 2, :, k[:2]] | m[-k - 1 + 0 * k] | n[k][:, k] | m[t] | m[t.any(1)] | m.scatter(1, i.abs() % 4, 1.5)
m.scatter(0, i.abs()[:1] % 3, m) | m.scatter_add(1, i.abs() % 4, m) | m.index_put((k % 3, k), v)
m.index_put((k % 3, k), v, accumulate=True) | m.index_put((k % 3,), m[:1]) | m.masked_select(t) | m.nonzero()
t.nonzero() | F.one_hot(k, 4) | set_row(m.clone()) | set_column(m.clone()) | set_mask(m.clone(), t)
set_slice(x.clone()) | m.index_add(0, k[:3], m) | m.index_fill(0, k[:1], 2.0) | torch.bucketize(x, v.sort().values)
m.take(k) | torch.searchsorted(v.sort().values, x) | m.index_copy(0, k[:3], m) | torch.isin(k, k[:2])
m.scatter_reduce(1, i.abs() % 4, m, "amax") | m.scatter_reduce(0, i.abs() % 3, m, "sum", include_self=False)
"""

MAKING = """
torch.zeros(2, 3) + m[:2, :3] | torch.ones_like(x) + x | torch.full((3, 4), 2.5) * m | m.new_zeros(2)
m.new_full((2, 2), 3) | x.new_ones(3) | torch.arange(4) * v | torch.arange(1, 9, 2) * v
torch.arange(0, 1, 0.25) + v | torch.linspace(0, 1, 4) + v | torch.eye(3) @ m | torch.full_like(x, 2)
torch.zeros_like(x) | torch.empty_like(x).fill_(3) | torch.tensor([1.0, 2, 3, 4]) * v | torch.scalar_tensor(2.0) * v
x.shape[0] * x | torch.zeros(x.shape) + x | x.numel() + x | x.reshape(x.shape[0], -1) | torch.logspace(0, 1, 4) * v
torch.tril_indices(3, 3) + k[:1]
"""

FAMILIES = {
    "pointwise": POINTWISE, "reductions": REDUCTIONS, "shapes": SHAPES, "products": PRODUCTS, "windows": WINDOWS,
    "norms": NORMS, "indexing": INDEXING, "making": MAKING,
}  # fmt: skip


def set_row(a):
    """Write to a row."""
    a[1] = 7
    return a * 2


def set_column(a):
    """Write to a column what another one holds."""
    a[:, 0] = a[:, 1]
    return a + 1


def set_mask(a, mask):
    """Write where a mask says."""
    a[mask] = 0.5
    return a + 1


def set_slice(a):
    """Write to every other element."""
    a[:, :, ::2] = 1
    return a.sum(1)


def cases():
    """All calls: the family and the expression."""
    lines = [(family, line) for family, text in FAMILIES.items() for line in text.splitlines()]
    return [(family, e.strip()) for family, line in lines for e in line.split(" | ") if e.strip()]

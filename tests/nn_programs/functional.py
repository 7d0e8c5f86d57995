"""torch.nn.functional: what its functions refuse, and odd options."""

from programs import attempt, show

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


def wave(*shape):
    n = 1
    for size in shape:
        n *= size
    return torch.sin(torch.arange(n, dtype=torch.float32) * 1.3).view(shape)


x1, x2, x3, x4 = wave(4), wave(2, 4), wave(2, 3, 4), wave(1, 2, 4, 4)
for call in (
    lambda: F.pad(x2, (1, 1)),
    lambda: F.pad(x2, (1, -1, 0, 1), value=2.0),
    lambda: F.pad(x2, (1, 1), "reflect"),
    lambda: F.pad(x2, (4, 1), "reflect"),
    lambda: F.pad(x2, (1, 1), "replicate"),
    lambda: F.pad(x2, (1, 1), "circular"),
    lambda: F.pad(x2, (1, 1), "x"),
    lambda: F.pad(x2, (1, 1, 1)),
    lambda: F.pad(x2, (1,) * 6),
    lambda: F.pad(x4, (1, 1, 1, 1), "reflect").shape,
    lambda: F.pad(x4, (1, 1), "reflect").shape,
    lambda: F.pad(x2, (1, 1), "reflect", 1.0),
    lambda: F.one_hot(torch.tensor([0, 2])),
    lambda: F.one_hot(torch.tensor([0, 2]), 2),
    lambda: F.one_hot(torch.tensor([-1])),
    lambda: F.one_hot(torch.tensor([0.0])),
    lambda: F.one_hot(torch.tensor([]).long()),
    lambda: F.one_hot(torch.tensor([]).long(), 3),
    lambda: F.one_hot(torch.tensor([1]), 0),
    lambda: F.normalize(x2),
    lambda: F.normalize(x2, p=1.0, dim=0),
    lambda: F.normalize(x2, out=torch.empty(2, 4)),
    lambda: F.interpolate(x3, 6),
    lambda: F.interpolate(x3, scale_factor=0.5),
    lambda: F.interpolate(x3, 6, mode="linear", align_corners=True),
    lambda: F.interpolate(x3, 6, 2.0),
    lambda: F.interpolate(x3),
    lambda: F.interpolate(x3, (1, 2)),
    lambda: F.interpolate(x3, scale_factor=(1.0, 2.0)),
    lambda: F.interpolate(x3, 6, mode="bilinear"),
    lambda: F.interpolate(x3, 6, mode="area"),
    lambda: F.interpolate(x3, 6, align_corners=True),
    lambda: F.interpolate(x3, 6, mode="x"),
    lambda: F.interpolate(x2, 6),
    lambda: F.interpolate(x4, 2, mode="bilinear", antialias=True),
    lambda: F.interpolate(x3, 2, mode="linear", antialias=True),
    lambda: F.interpolate(x4, scale_factor=1.5, mode="bicubic", recompute_scale_factor=True),
    lambda: F.interpolate(x4, 3, recompute_scale_factor=True),
    lambda: F.interpolate(x4, 0),
    lambda: F.interpolate(x4, 3, mode="nearest-exact"),
    lambda: F.upsample(x3, 6),
    lambda: F.upsample_nearest(x4, 5),
    lambda: F.upsample_bilinear(x4, 5),
    lambda: F.grid_sample(x4, torch.zeros(1, 2, 2, 2)),
    lambda: F.grid_sample(x4, torch.full((1, 1, 2, 2), 0.3), "nearest", "border", True),
    lambda: F.grid_sample(x4, torch.full((1, 1, 2, 2), 1.3), "bicubic", "reflection", False),
    lambda: F.grid_sample(x4, torch.zeros(1, 2, 2, 3)),
    lambda: F.grid_sample(x4, torch.zeros(2, 2, 2, 2)),
    lambda: F.grid_sample(x4, torch.zeros(1, 2, 2)),
    lambda: F.grid_sample(x4, torch.zeros(1, 2, 2, 2), mode="x"),
    lambda: F.grid_sample(x4, torch.zeros(1, 2, 2, 2), padding_mode="x"),
    lambda: F.affine_grid(torch.eye(2, 3)[None], (1, 1, 2, 2), align_corners=True),
    lambda: F.affine_grid(torch.eye(2, 3)[None], (1, 1, 2, 2)),
    lambda: F.affine_grid(torch.eye(2, 3), (1, 1, 2, 2)),
    lambda: F.affine_grid(torch.eye(2, 3)[None], (1, 1, 2)),
    lambda: F.affine_grid(torch.eye(2, 3)[None], (1, 1, 0, 2)),
    lambda: F.affine_grid(torch.eye(2, 3)[None].long(), (1, 1, 2, 2)),
    lambda: F.gumbel_softmax(x2).shape,
    lambda: F.gumbel_softmax(x2, hard=True).sum(1),
    lambda: F.softmax(x2, dtype=torch.float64, dim=1).dtype,
    lambda: F.softmax(x3),
    lambda: F.log_softmax(x3),
    lambda: F.softmin(x2, 0),
    lambda: F.glu(x2, 5),
    lambda: F.glu(wave(3)),
    lambda: F.prelu(x2, torch.tensor([0.1, 0.2])),
    lambda: F.prelu(x2, torch.ones(4)),
    lambda: F.prelu(x2, torch.ones(2, 2)),
    lambda: F.rrelu(x2, 0.5, 0.1),
    lambda: F.hardtanh(x2, 1.0, -1.0),
    lambda: F.threshold(x2, 0.1, 20.0),
    lambda: F.softplus(x2, beta=0.5),
    lambda: F.elu(torch.arange(3)),
    lambda: F.gelu(x2, approximate="x"),
    lambda: F.dropout(x2, 1.5),
    lambda: F.dropout(x2, 0.5, training=False),
    lambda: F.dropout1d(x1),
    lambda: F.dropout2d(x1),
    lambda: F.dropout3d(x2),
    lambda: F.feature_alpha_dropout(x3, -0.5),
    lambda: F.alpha_dropout(x2, 0.5).shape,
    lambda: F.batch_norm(x2, None, None, training=True),
    lambda: F.batch_norm(x2, None, None),
    lambda: F.batch_norm(x2[:1], None, None, training=True),
    lambda: F.batch_norm(x2, torch.zeros(3), torch.ones(3)),
    lambda: F.instance_norm(x3),
    lambda: F.instance_norm(x3, use_input_stats=False),
    lambda: F.instance_norm(x3[:, :, :1]),
    lambda: F.layer_norm(x2, (3,)),
    lambda: F.layer_norm(x2, (4,), torch.ones(3)),
    lambda: F.layer_norm(x2, ()),
    lambda: F.rms_norm(x2, (3,)),
    lambda: F.rms_norm(x2, (4,)),
    lambda: F.group_norm(x3, 2),
    lambda: F.group_norm(x3[:1, :1, :1], 1),
    lambda: F.local_response_norm(x2, 2),
    lambda: F.linear(x2, torch.ones(3, 4), torch.ones(2)),
    lambda: F.linear(x2, torch.ones(4)),
    lambda: F.linear(x2, torch.ones(2, 3, 4)),
    lambda: F.bilinear(x2, x2, torch.ones(3, 4, 4)),
    lambda: F.embedding(torch.tensor([0]), torch.ones(2, 3), padding_idx=5),
    lambda: F.embedding(torch.tensor([0]), torch.ones(2, 3), padding_idx=-5),
    lambda: F.embedding_bag(torch.tensor([0, 1]), torch.ones(2, 3), torch.tensor([0]), mode="x"),
    lambda: F.embedding_bag(torch.tensor([0, 1]), torch.ones(2, 3), torch.tensor([0.0])),
    lambda: F.embedding_bag(torch.tensor([[0, 1]]), torch.ones(2, 3), torch.tensor([0])),
    lambda: F.unfold(x4, 5),
    lambda: F.unfold(x3, 2).shape,
    lambda: F.fold(wave(1, 8, 9), (4, 4), 2),
    lambda: F.fold(wave(1, 7, 9), (4, 4), 2),
    lambda: F.pixel_shuffle(x4, 2),
    lambda: F.pixel_unshuffle(x4, 3),
    lambda: F.channel_shuffle(x4, 3),
    lambda: F.cosine_similarity(x2, x3),
    lambda: F.cosine_similarity(x2, x2 * 2, dim=0),
    lambda: F.pairwise_distance(x2, x2 + 1, keepdim=True),
    lambda: F.pdist(x2),
    lambda: F.pdist(x3),
    lambda: F.conv1d(x3, wave(2, 3, 2), torch.ones(3)),
    lambda: F.conv1d(x3, wave(2, 3)),
    lambda: F.conv1d(x3, wave(2, 3, 9)),
    lambda: F.conv2d(x4, wave(2, 2, 2, 2), stride=0),
    lambda: F.conv2d(x4, wave(2, 2, 2, 2), padding=-1),
    lambda: F.conv2d(x4, wave(2, 2, 2, 2), padding="same", stride=2),
    lambda: F.conv2d(x4, wave(2, 2, 2, 2), padding="x"),
    lambda: F.conv2d(x4, wave(2, 3, 2, 2)),
    lambda: F.conv2d(x4, wave(3, 1, 2, 2), groups=2),
    lambda: F.conv2d(x4, wave(2, 2, 2, 2), stride=(1, 2, 3)),
    lambda: F.conv_transpose2d(x4, wave(3, 2, 2, 2)),
    lambda: F.conv_transpose2d(x4, wave(2, 2, 2, 2), output_padding=3),
    lambda: F.max_pool1d(x3, 2, return_indices=True),
    lambda: F.max_pool2d(x4, 2, padding=2),
    lambda: F.max_pool2d(x4, 0),
    lambda: F.avg_pool1d(x3, 2, padding=2),
    lambda: F.avg_pool2d(x4, (1, 2, 3)),
    lambda: F.adaptive_avg_pool1d(x3, -1),
    lambda: F.adaptive_max_pool2d(x4, (2, None), return_indices=True)[1],
    lambda: F.lp_pool1d(x3.abs(), 2.0, 2),
    lambda: F.fractional_max_pool2d(x4, 2),
    lambda: F.fractional_max_pool2d(x4, 2, output_size=2, output_ratio=0.5),
    lambda: F.fractional_max_pool2d(x4, 2, 3, _random_samples=torch.full((1, 2, 2), 0.5)),
    lambda: F.fractional_max_pool2d(x4, 2, 3, return_indices=True, _random_samples=torch.full((1, 2, 2), 0.5)),
    lambda: F.fractional_max_pool2d(x4, 3, 4),
    lambda: F.max_unpool1d(x3[:, :, :2], torch.zeros(2, 3, 2).long(), 2, output_size=[2, 3, 4]).shape,
    lambda: F.max_unpool1d(x3[:, :, :2], torch.zeros(2, 3, 2).long(), 2, output_size=[1, 2]),
    lambda: F.logsigmoid(x2),
    lambda: F.tanhshrink(x2),
    lambda: F.sigmoid(x2),
    lambda: F.tanh(x2),
    lambda: F.hardswish(x2),
    lambda: F.silu(x2, inplace=True) is x2,
):
    attempt(call)

# attention
q, k, v = wave(2, 2, 3, 4), wave(2, 2, 5, 4) * 0.5, wave(2, 2, 5, 6)
for call in (
    lambda: F.scaled_dot_product_attention(q, k, v),
    lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(3, 5).tril().bool(), is_causal=True),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(3, 5).tril().bool()),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.zeros(3, 5).bool()),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(3, 5)),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(3, 5).double()),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(3, 5).long()),
    lambda: F.scaled_dot_product_attention(q, k, v, torch.ones(4, 5)),
    lambda: F.scaled_dot_product_attention(q, k, v, scale=0.1),
    lambda: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True),
    lambda: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1]),
    lambda: F.scaled_dot_product_attention(q, k.double(), v),
    lambda: F.scaled_dot_product_attention(q[0, 0, 0], k, v),
    lambda: F.scaled_dot_product_attention(q, k[..., :3], v),
    lambda: F.scaled_dot_product_attention(q, k, v[:, :, :4]),
    lambda: F.scaled_dot_product_attention(q[0], k[0], v[0]).shape,
):
    attempt(call)
for backend in (SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
    with sdpa_kernel(backend):
        attempt(F.scaled_dot_product_attention, q, k, v)
attempt(lambda: sdpa_kernel("x").__enter__())
show(repr(SDPBackend.MATH), str(SDPBackend.MATH))

# gradients of convolutions
from torch.nn import grad  # noqa: E402

weight, image = wave(2, 2, 2, 2), wave(1, 2, 3, 3)
out = wave(1, 2, 2, 2)
attempt(grad.conv2d_input, image.shape, weight, out)
attempt(grad.conv2d_weight, image, weight.shape, out)
attempt(grad.conv1d_input, (1, 2, 3), wave(2, 2, 2), wave(1, 2, 2))
attempt(grad.conv1d_weight, wave(1, 2, 3), (2, 2, 2), wave(1, 2, 2), stride=1, padding=0)
attempt(grad.conv3d_input, (1, 1, 2, 2, 2), wave(1, 1, 2, 2, 2), wave(1, 1, 1, 1, 1))

# parallel on the CPU
attempt(lambda: nn.DataParallel(nn.Linear(4, 1))(x2).shape)
attempt(nn.parallel.DistributedDataParallel, nn.Linear(1, 1))
attempt(nn.parallel.parallel_apply, [nn.ReLU(), nn.ReLU()], [x2], None)
attempt(nn.parallel.scatter_gather.scatter_kwargs, (1, 2), {"a": 3}, [0, 1])
attempt(nn.parallel.comm.broadcast, x2)
attempt(nn.parallel.comm.broadcast, x2, ["cpu"])
attempt(nn.parallel.comm.reduce_add, [x2, x2])
attempt(nn.parallel.comm.scatter, x2, [0], out=[x2])

"""Layers: their repr, their results for odd options, and what they refuse."""

from programs import attempt, show

import torch
from torch import nn


def filled(module):
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p.copy_(torch.cos(torch.arange(p.numel(), dtype=torch.float32) * 0.7 + i).view_as(p) * 0.5)
    return module


def run(make, *inputs, seed=0, train=False):
    def call():
        module = make()
        filled(module)
        module.train(train)
        torch.manual_seed(seed)
        return module(*inputs)

    attempt(call)


def wave(*shape):
    n = 1
    for size in shape:
        n *= size
    return torch.sin(torch.arange(n, dtype=torch.float32) * 1.3).view(shape)


x1, x2, x3, x4, x5 = wave(3), wave(2, 3), wave(2, 3, 4), wave(2, 3, 4, 4), wave(1, 3, 4, 4, 4)

# construction: repr and errors
for make in (
    lambda: nn.Conv1d(3, 4, 2),
    lambda: nn.Conv1d(3, 6, 2, 2, 1, 2, 3, False, "reflect"),
    lambda: nn.Conv2d(3, 4, (2, 3), padding="same"),
    lambda: nn.Conv2d(3, 4, 2, padding="valid"),
    lambda: nn.Conv2d(3, 4, 2, stride=2, padding="same"),
    lambda: nn.Conv2d(3, 4, 2, groups=2),
    lambda: nn.Conv2d(4, 3, 2, groups=2),
    lambda: nn.Conv2d(3, 4, 2, groups=0),
    lambda: nn.Conv2d(3, 4, 2, padding=(1, 2), dilation=2),
    lambda: nn.Conv3d(3, 4, 2, bias=False),
    lambda: nn.ConvTranspose1d(3, 4, 2, 2, 1, 1),
    lambda: nn.ConvTranspose2d(3, 4, 2, padding_mode="reflect"),
    lambda: nn.ConvTranspose3d(3, 4, 2, output_padding=1),
    lambda: nn.LazyConv2d(4, 2),
    lambda: nn.LazyConvTranspose1d(4, 2),
    lambda: nn.LazyLinear(3),
    lambda: nn.LazyBatchNorm1d(),
    lambda: nn.LazyInstanceNorm2d(affine=True),
    lambda: nn.BatchNorm1d(3, momentum=None, affine=False),
    lambda: nn.BatchNorm2d(3, track_running_stats=False),
    lambda: nn.SyncBatchNorm(3),
    lambda: nn.InstanceNorm1d(3),
    lambda: nn.InstanceNorm3d(3, affine=True),
    lambda: nn.GroupNorm(3, 6),
    lambda: nn.GroupNorm(4, 6),
    lambda: nn.LayerNorm((2, 3)),
    lambda: nn.LayerNorm(3, bias=False),
    lambda: nn.LayerNorm(3, elementwise_affine=False),
    lambda: nn.RMSNorm(3),
    lambda: nn.RMSNorm([2, 3], eps=1e-3),
    lambda: nn.LocalResponseNorm(2),
    lambda: nn.CrossMapLRN2d(2),
    lambda: nn.Linear(2, 3, bias=False),
    lambda: nn.Bilinear(2, 3, 4),
    lambda: nn.Bilinear(0, 3, 4),
    lambda: nn.Identity(3, a=4),
    lambda: nn.Embedding(3, 2),
    lambda: nn.Embedding(3, 2, 0, 1.0, scale_grad_by_freq=True, sparse=True),
    lambda: nn.Embedding(3, 2, padding_idx=5),
    lambda: nn.Embedding(3, 2, padding_idx=-5),
    lambda: nn.Embedding(3, 2, -1),
    lambda: nn.Embedding(3, 2, _weight=torch.ones(2, 2)),
    lambda: nn.EmbeddingBag(3, 2, mode="max", padding_idx=1),
    lambda: nn.EmbeddingBag(3, 2, padding_idx=7),
    lambda: nn.Embedding.from_pretrained(torch.ones(2)),
    lambda: nn.Embedding.from_pretrained(torch.ones(2, 3)),
    lambda: nn.EmbeddingBag.from_pretrained(torch.ones(2, 3)),
    lambda: nn.RNN(2, 3),
    lambda: nn.RNN(2, 3, 2, "relu", dropout=0.1),
    lambda: nn.RNN(2, 3, dropout=0.1),
    lambda: nn.RNN(2, 3, nonlinearity="x"),
    lambda: nn.RNN(2, 3, dropout=2),
    lambda: nn.RNN(2, 0),
    lambda: nn.RNN(2, 3, 0),
    lambda: nn.RNN(2, 3.5),
    lambda: nn.RNN(2, 3, proj_size=2),
    lambda: nn.LSTM(2, 3, proj_size=2, bidirectional=True),
    lambda: nn.LSTM(2, 3, proj_size=3),
    lambda: nn.LSTM(2, 3, proj_size=-1),
    lambda: nn.GRU(2, 3, 2, False, True, 0.5, True),
    lambda: nn.GRU(2, 3, proj_size=2),
    lambda: nn.RNNCell(2, 3, False, "relu"),
    lambda: nn.RNNCell(2, 3, True, "x"),
    lambda: nn.LSTMCell(2, 3),
    lambda: nn.GRUCell(2, 3, bias=False),
    lambda: nn.MultiheadAttention(4, 3),
    lambda: nn.MultiheadAttention(4, 2),
    lambda: nn.MultiheadAttention(0, 2),
    lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=2, add_bias_kv=True, add_zero_attn=True),
    lambda: nn.TransformerEncoderLayer(4, 2, 8),
    lambda: nn.TransformerDecoderLayer(4, 2, 8, activation="gelu"),
    lambda: nn.TransformerEncoderLayer(4, 2, 8, activation="x"),
    lambda: nn.Transformer(4, 2, 1, 1, 8),
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2),
    lambda: nn.Transformer(4, 3),
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, norm_first=True, batch_first=True), 1),
    lambda: nn.MaxPool1d(2),
    lambda: nn.MaxPool2d(3, 2, 1, 2, True, True),
    lambda: nn.MaxPool3d(2, ceil_mode=True),
    lambda: nn.AvgPool1d(2),
    lambda: nn.AvgPool2d(2, divisor_override=3),
    lambda: nn.AvgPool3d(2, count_include_pad=False),
    lambda: nn.AdaptiveAvgPool2d((2, None)),
    lambda: nn.AdaptiveMaxPool3d(2, True),
    lambda: nn.LPPool1d(2, 3),
    lambda: nn.LPPool2d(2.5, (2, 3), ceil_mode=True),
    lambda: nn.LPPool3d(1, 2),
    lambda: nn.MaxUnpool1d(2),
    lambda: nn.MaxUnpool2d(2, 1),
    lambda: nn.FractionalMaxPool2d(2, output_size=3),
    lambda: nn.FractionalMaxPool2d(2),
    lambda: nn.FractionalMaxPool2d(2, 3, 0.5),
    lambda: nn.FractionalMaxPool2d(2, output_ratio=2),
    lambda: nn.ReflectionPad1d(2),
    lambda: nn.ReplicationPad2d((1, 2, 3, 4)),
    lambda: nn.ZeroPad3d(1),
    lambda: nn.CircularPad2d(1),
    lambda: nn.ConstantPad1d(1, 3.5),
    lambda: nn.ConstantPad3d(2, 1),
    lambda: nn.ReflectionPad3d(1),
    lambda: nn.Dropout(),
    lambda: nn.Dropout(2.0),
    lambda: nn.Dropout(-1),
    lambda: nn.Dropout2d(0.2, True),
    lambda: nn.Dropout1d(),
    lambda: nn.AlphaDropout(0.1),
    lambda: nn.FeatureAlphaDropout(),
    lambda: nn.Dropout3d(),
    lambda: nn.Flatten(),
    lambda: nn.Flatten(0, 1),
    lambda: nn.Unflatten(1, (2, 3)),
    lambda: nn.Unflatten("a", (("b", 2),)),
    lambda: nn.Unflatten(1, 3),
    lambda: nn.Unflatten("a", (2, 3)),
    lambda: nn.Unflatten(1, (2.0, 3)),
    lambda: nn.Fold((4, 4), 2),
    lambda: nn.Unfold((2, 3), 1, 2, 3),
    lambda: nn.PixelShuffle(2),
    lambda: nn.PixelUnshuffle(2),
    lambda: nn.ChannelShuffle(2),
    lambda: nn.Upsample(4),
    lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
    lambda: nn.UpsamplingNearest2d(scale_factor=2),
    lambda: nn.UpsamplingBilinear2d(4),
    lambda: nn.CosineSimilarity(2),
    lambda: nn.PairwiseDistance(1.0),
    lambda: nn.Threshold(0.1, 20),
    lambda: nn.ReLU(True),
    lambda: nn.ReLU6(),
    lambda: nn.RReLU(0.1, 0.3),
    lambda: nn.Hardtanh(-2, 2),
    lambda: nn.Hardtanh(2, -2),
    lambda: nn.Hardtanh(min_value=-3, max_val=4),
    lambda: nn.ELU(0.5),
    lambda: nn.CELU(0.5, True),
    lambda: nn.SELU(),
    lambda: nn.GLU(1),
    lambda: nn.GELU("tanh"),
    lambda: nn.GELU("x"),
    lambda: nn.Hardshrink(0.3),
    lambda: nn.LeakyReLU(0.2),
    lambda: nn.LogSigmoid(),
    lambda: nn.Softplus(2, 10),
    lambda: nn.Softshrink(0.3),
    lambda: nn.PReLU(3),
    lambda: nn.Softsign(),
    lambda: nn.Tanhshrink(),
    lambda: nn.Softmin(),
    lambda: nn.Softmax(),
    lambda: nn.Softmax(1),
    lambda: nn.Softmax2d(),
    lambda: nn.LogSoftmax(-1),
    lambda: nn.Hardsigmoid(),
    lambda: nn.Hardswish(),
    lambda: nn.Mish(),
    lambda: nn.SiLU(True),
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6]),
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [6, 3]),
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 12]),
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [0, 3]),
    lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, []),
):
    attempt(make)

# results and errors of calls
for make, inputs in [
    (lambda: nn.Linear(3, 2), (x2,)),
    (lambda: nn.Linear(3, 2), (x1,)),
    (lambda: nn.Linear(3, 2), (x3,)),
    (lambda: nn.Linear(3, 2), (x2.double(),)),
    (lambda: nn.Linear(3, 2), (3,)),
    (lambda: nn.Linear(3, 2), ()),
    (lambda: nn.Linear(3, 2), (x2, x2)),
    (lambda: nn.Linear(3, 2), (torch.empty(0, 3),)),
    (lambda: nn.Linear(3, 2), (torch.tensor(1.0),)),
    (lambda: nn.Bilinear(3, 3, 2), (x2, x2)),
    (lambda: nn.Bilinear(3, 3, 2), (x2, x1)),
    (lambda: nn.Conv1d(3, 2, 2), (x3,)),
    (lambda: nn.Conv1d(3, 2, 2), (x3[0],)),
    (lambda: nn.Conv1d(3, 2, 2), (x4,)),
    (lambda: nn.Conv1d(3, 2, 9), (x3,)),
    (lambda: nn.Conv1d(2, 2, 2), (x3,)),
    (lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular"), (x4,)),
    (lambda: nn.Conv2d(3, 2, 2), (x3,)),
    (lambda: nn.Conv2d(3, 2, 3, padding="same", dilation=2), (x4,)),
    (lambda: nn.Conv2d(3, 2, 2), (x2,)),
    (lambda: nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect", groups=3), (x4,)),
    (lambda: nn.ConvTranspose2d(3, 2, 2, 2), (x4,)),
    (lambda: nn.ConvTranspose2d(3, 2, 2, 2), (x4, (9, 9))),
    (lambda: nn.ConvTranspose2d(3, 2, 3, 2), (x4, [10, 10])),
    (lambda: nn.ConvTranspose2d(3, 2, 2), (x4, [1])),
    (lambda: nn.ConvTranspose1d(3, 2, 2), (x4,)),
    (lambda: nn.Conv3d(3, 1, 2), (x5,)),
    (lambda: nn.Conv3d(3, 1, 2), (x4,)),
    (lambda: nn.BatchNorm1d(3), (x2,)),
    (lambda: nn.BatchNorm1d(3), (x3,)),
    (lambda: nn.BatchNorm1d(3), (x4,)),
    (lambda: nn.BatchNorm1d(3), (x1,)),
    (lambda: nn.BatchNorm1d(4), (x2,)),
    (lambda: nn.BatchNorm2d(3), (x3,)),
    (lambda: nn.BatchNorm3d(3), (x4,)),
    (lambda: nn.SyncBatchNorm(3), (x2,)),
    (lambda: nn.SyncBatchNorm(3), (x1,)),
    (lambda: nn.InstanceNorm1d(3), (x3,)),
    (lambda: nn.InstanceNorm1d(3), (x2,)),
    (lambda: nn.InstanceNorm1d(4), (x3,)),
    (lambda: nn.InstanceNorm2d(4), (x4,)),
    (lambda: nn.InstanceNorm2d(4, affine=True), (x4,)),
    (lambda: nn.InstanceNorm2d(3), (x2,)),
    (lambda: nn.InstanceNorm3d(3), (x5[0],)),
    (lambda: nn.InstanceNorm1d(3), (x3[:, :, :1],)),
    (lambda: nn.GroupNorm(3, 3), (x3,)),
    (lambda: nn.GroupNorm(3, 6), (x3,)),
    (lambda: nn.GroupNorm(1, 3), (x1,)),
    (lambda: nn.LayerNorm(4), (x3,)),
    (lambda: nn.LayerNorm((3, 4)), (x3,)),
    (lambda: nn.LayerNorm(5), (x3,)),
    (lambda: nn.RMSNorm(4), (x3,)),
    (lambda: nn.RMSNorm((5,)), (x3,)),
    (lambda: nn.LocalResponseNorm(2), (x3,)),
    (lambda: nn.LocalResponseNorm(2), (x2,)),
    (lambda: nn.CrossMapLRN2d(2), (x4,)),
    (lambda: nn.Embedding(3, 2), (torch.tensor([0, 2]),)),
    (lambda: nn.Embedding(3, 2), (torch.tensor([3]),)),
    (lambda: nn.Embedding(3, 2), (torch.tensor([0.0]),)),
    (lambda: nn.Embedding(3, 2), (torch.tensor([-1]),)),
    (lambda: nn.Embedding(3, 2, max_norm=0.1), (torch.tensor([0, 2]),)),
    (lambda: nn.Embedding(3, 2), (torch.tensor(1, dtype=torch.int32),)),
    (lambda: nn.EmbeddingBag(3, 2), (torch.tensor([0, 2, 1]), torch.tensor([0, 2]))),
    (lambda: nn.EmbeddingBag(3, 2), (torch.tensor([[0, 2], [1, 1]]),)),
    (lambda: nn.EmbeddingBag(3, 2), (torch.tensor([0, 1]),)),
    (lambda: nn.EmbeddingBag(3, 2, mode="sum"), (torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([0.5, 2.0]))),
    (lambda: nn.EmbeddingBag(3, 2), (torch.tensor([0, 1]), torch.tensor([0]), torch.tensor([0.5, 2.0]))),
    (lambda: nn.EmbeddingBag(3, 2, mode="max"), (torch.tensor([0, 1]), torch.tensor([0]))),
    (lambda: nn.EmbeddingBag(3, 2, include_last_offset=True), (torch.tensor([0, 1]), torch.tensor([0, 2]))),
    (lambda: nn.MaxPool1d(2), (x3,)),
    (lambda: nn.MaxPool1d(2), (x4,)),
    (lambda: nn.MaxPool2d(2, return_indices=True), (x4,)),
    (lambda: nn.MaxPool2d(9), (x4,)),
    (lambda: nn.MaxPool2d(2, padding=2), (x4,)),
    (lambda: nn.MaxPool2d((1, 2, 3)), (x4,)),
    (lambda: nn.MaxPool2d(2, stride=0), (x4,)),
    (lambda: nn.MaxPool3d(2), (x5,)),
    (lambda: nn.MaxPool2d(2), (x2,)),
    (lambda: nn.AvgPool2d(2), (x4,)),
    (lambda: nn.AvgPool2d(2, padding=2), (x4,)),
    (lambda: nn.AvgPool2d(2, divisor_override=0), (x4,)),
    (lambda: nn.AdaptiveAvgPool2d((2, None)), (x4,)),
    (lambda: nn.AdaptiveAvgPool2d(2), (x2,)),
    (lambda: nn.AdaptiveMaxPool1d(2), (x3,)),
    (lambda: nn.AdaptiveAvgPool2d((2, 2, 2)), (x4,)),
    (lambda: nn.LPPool1d(2, 2), (x3.abs(),)),
    (lambda: nn.LPPool2d(2, 2), (x4.abs(),)),
    (lambda: nn.MaxUnpool1d(2), (x3[:, :, :2], torch.tensor([[[0, 2]] * 3] * 2))),
    (lambda: nn.MaxUnpool1d(2), (x3[:, :, :2], torch.tensor([[[0, 2]] * 3] * 2), [5])),
    (lambda: nn.MaxUnpool1d(2), (x3[:, :, :2], torch.tensor([[[0, 2]] * 3] * 2), [50])),
    (lambda: nn.ReflectionPad1d(2), (x3,)),
    (lambda: nn.ReflectionPad1d(4), (x3,)),
    (lambda: nn.ReflectionPad2d(1), (x3,)),
    (lambda: nn.CircularPad1d(5), (x3,)),
    (lambda: nn.CircularPad1d((1, 2)), (x3,)),
    (lambda: nn.ReplicationPad1d(2), (x3,)),
    (lambda: nn.ConstantPad1d((1, -1), 2.0), (x3,)),
    (lambda: nn.ZeroPad2d((1, 0, 0, 1)), (x3,)),
    (lambda: nn.ReplicationPad3d(1), (x5[:, :1, :1],)),
    (lambda: nn.Flatten(), (x3,)),
    (lambda: nn.Flatten(2, 1), (x3,)),
    (lambda: nn.Unflatten(1, (3, 1)), (x3,)),
    (lambda: nn.Unflatten(1, (2, 2)), (x3,)),
    (lambda: nn.Fold((3, 3), 2), (wave(1, 4, 4),)),
    (lambda: nn.Fold((3, 3), 2), (wave(1, 4, 5),)),
    (lambda: nn.Unfold(2), (x4[:1, :1],)),
    (lambda: nn.Unfold(2), (x3,)),
    (lambda: nn.Unfold(9), (x4,)),
    (lambda: nn.PixelShuffle(2), (wave(1, 4, 2, 2),)),
    (lambda: nn.PixelShuffle(2), (x4,)),
    (lambda: nn.PixelUnshuffle(2), (x4[:1, :1],)),
    (lambda: nn.PixelUnshuffle(3), (x4,)),
    (lambda: nn.ChannelShuffle(3), (x4,)),
    (lambda: nn.ChannelShuffle(2), (x4,)),
    (lambda: nn.Upsample(3), (x3[:1, :1],)),
    (lambda: nn.Upsample(scale_factor=1.5, mode="linear"), (x3[:1, :1],)),
    (lambda: nn.Upsample(3, mode="bilinear"), (x3,)),
    (lambda: nn.Upsample(), (x3,)),
    (lambda: nn.Upsample(3, 2), (x3,)),
    (lambda: nn.Upsample((2, 3)), (x3,)),
    (lambda: nn.Upsample(3, mode="x"), (x3,)),
    (lambda: nn.Upsample(3, align_corners=True), (x3,)),
    (lambda: nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True), (x4[:1, :1],)),
    (lambda: nn.CosineSimilarity(), (x2, x2 * 2)),
    (lambda: nn.PairwiseDistance(), (x2, x2 + 1)),
    (lambda: nn.PairwiseDistance(), (x2, x1)),
    (lambda: nn.GLU(), (x3,)),
    (lambda: nn.GLU(1), (x3,)),
    (lambda: nn.GLU(7), (x3,)),
    (lambda: nn.PReLU(3), (x2,)),
    (lambda: nn.PReLU(2), (x2,)),
    (lambda: nn.PReLU(), (x1,)),
    (lambda: nn.Softmax(), (x3,)),
    (lambda: nn.Softmax(5), (x3,)),
    (lambda: nn.Softmax2d(), (x4[:1],)),
    (lambda: nn.Softmax2d(), (x2,)),
    (lambda: nn.LogSoftmax(), (x2,)),
    (lambda: nn.Softmin(), (x2,)),
    (lambda: nn.RReLU(), (x2,)),
    (lambda: nn.RReLU(0.9, 0.1), (x2,)),
    (lambda: nn.Softshrink(-1.0), (x2,)),
    (lambda: nn.Dropout(0.5), (x2,)),
    (lambda: nn.Threshold(0.0, 5.0), (x2,)),
    (lambda: nn.ReLU(inplace=True), (x2.clone(),)),
    (lambda: nn.Hardtanh(), (torch.tensor([3, -3]),)),
    (lambda: nn.ReLU6(), (torch.tensor([30, -3]),)),
    (lambda: nn.Softplus(), (torch.tensor([3]),)),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x2, torch.tensor([1, 5]))),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x1, torch.tensor(3))),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x2, torch.tensor([1, 6]))),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x2, torch.tensor([1]))),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x1, torch.tensor([1, 2]))),
    (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4]), (x2, torch.tensor([[1], [2]]))),
]:
    run(make, *inputs)
for make, inputs in [
    (lambda: nn.BatchNorm1d(3), (x2,)),
    (lambda: nn.BatchNorm1d(3), (x2[:1],)),
    (lambda: nn.BatchNorm2d(3), (x4[:1, :, :1, :1],)),
    (lambda: nn.BatchNorm1d(3), (torch.empty(0, 3),)),
    (lambda: nn.Dropout(0.5), (x3,)),
    (lambda: nn.Dropout(0.0), (x2,)),
    (lambda: nn.Dropout(1.0), (x2,)),
    (lambda: nn.Dropout1d(0.5), (x3,)),
    (lambda: nn.Dropout1d(0.5), (x4,)),
    (lambda: nn.Dropout2d(0.5), (x4,)),
    (lambda: nn.Dropout2d(0.5), (x3,)),
    (lambda: nn.Dropout2d(0.5), (x2,)),
    (lambda: nn.Dropout3d(0.5), (x5,)),
    (lambda: nn.AlphaDropout(0.5), (x2,)),
    (lambda: nn.FeatureAlphaDropout(0.5), (x4,)),
    (lambda: nn.RReLU(), (x2,)),
    (lambda: nn.InstanceNorm1d(3, track_running_stats=True), (x3,)),
    (lambda: nn.InstanceNorm1d(3), (x3[:, :, :1],)),
    (lambda: nn.GroupNorm(3, 3), (x2[:1],)),
    (lambda: nn.SyncBatchNorm(3), (x2,)),
    (lambda: nn.Sequential(nn.BatchNorm1d(3, momentum=None)), (x2,)),
]:
    run(make, *inputs, train=True)
norm = nn.BatchNorm1d(3, momentum=None)
for _ in range(2):
    norm(x2)
show(norm.running_mean, norm.running_var, norm.num_batches_tracked)
norm.reset_running_stats()
show(norm.running_mean, norm.num_batches_tracked)
show(nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(2), nn.ReLU())))

# recurrence
for kind in ("RNN", "LSTM", "GRU"):
    cls = getattr(nn, kind)
    for make, inputs in [
        (lambda cls=cls: cls(4, 2), (x3,)),
        (lambda cls=cls: cls(4, 2, 2, bidirectional=True, batch_first=True), (x3,)),
        (lambda cls=cls: cls(4, 2), (x3[0],)),
        (lambda cls=cls: cls(4, 2), (x4,)),
        (lambda cls=cls: cls(3, 2), (x3,)),
        (lambda cls=cls: cls(4, 2), (x3, torch.zeros(1, 3, 2))),
        (lambda cls=cls: cls(4, 2), (x3, torch.zeros(1, 3, 5))),
        (lambda cls=cls: cls(4, 2), (x3, torch.zeros(1, 2))),
        (lambda cls=cls: cls(4, 2), (x3[0], torch.zeros(1, 3, 2))),
        (lambda cls=cls: cls(4, 2), (x3, (torch.zeros(1, 3, 2), torch.zeros(1, 3, 2)))),
        (lambda cls=cls: cls(4, 2), (x3, (torch.zeros(1, 3, 2), torch.zeros(1, 2, 2)))),
        (lambda cls=cls: cls(4, 2), (x3.double(),)),
        (lambda cls=cls: cls(4, 2), (nn.utils.rnn.pack_sequence([x3[0], x3[1, :2]]),)),
        (lambda cls=cls: cls(4, 2), (nn.utils.rnn.pack_sequence([x3[1, :2], x3[0]], enforce_sorted=False),)),
        (lambda cls=cls: cls(4, 2), (torch.empty(0, 3, 4),)),
    ]:
        run(make, *inputs)
    cell = getattr(nn, kind + "Cell")
    for make, inputs in [
        (lambda cell=cell: cell(3, 2), (x2,)),
        (lambda cell=cell: cell(3, 2), (x1,)),
        (lambda cell=cell: cell(3, 2), (x3,)),
        (lambda cell=cell: cell(4, 2), (x2,)),
        (lambda cell=cell: cell(3, 2), (x2, torch.zeros(2, 2))),
        (lambda cell=cell: cell(3, 2), (x2, torch.zeros(2, 3))),
        (lambda cell=cell: cell(3, 2), (x2, (torch.zeros(2, 2), torch.zeros(2, 2)))),
    ]:
        run(make, *inputs)
run(lambda: nn.LSTM(4, 3, proj_size=2), x3)
lstm = nn.LSTM(2, 3, 2)
show([n for n, _ in lstm.named_parameters()], lstm.all_weights[0][0].shape, lstm.flatten_parameters())

# lazy layers
for make, value in [
    (lambda: nn.LazyLinear(2), x2),
    (lambda: nn.LazyLinear(2, bias=False), x3),
    (lambda: nn.LazyConv1d(2, 2), x3),
    (lambda: nn.LazyConv2d(2, 2), x4),
    (lambda: nn.LazyConv2d(2, 2), x2),
    (lambda: nn.LazyConvTranspose2d(2, 2), x4),
    (lambda: nn.LazyBatchNorm1d(), x2),
    (lambda: nn.LazyBatchNorm2d(), x3),
    (lambda: nn.LazyInstanceNorm1d(), x3),
    (lambda: nn.LazyConv3d(2, 1), x5),
]:

    def lazy(make=make, value=value):
        module = make()
        before = module.has_uninitialized_params(), [type(p).__name__ for p in module.parameters()]
        torch.manual_seed(0)
        out = module(value)
        return before, type(module).__name__, module, [p.shape for p in module.parameters()], out.shape

    attempt(lazy)
lazy_one = nn.LazyLinear(2)
attempt(lambda: list(lazy_one.state_dict().items()))
attempt(lambda: nn.LazyLinear(2).load_state_dict(nn.Linear(3, 2).state_dict()))
attempt(lambda: nn.Linear(3, 2).load_state_dict(nn.LazyLinear(2).state_dict()))
attempt(lambda: nn.LazyLinear(2).double().weight.dtype)
attempt(lambda: nn.LazyLinear(2).share_memory())
attempt(lambda: nn.LazyLinear(2).apply(lambda m: nn.init.ones_(m.weight)))
attempt(lambda: torch.optim.SGD(nn.LazyLinear(2).parameters(), lr=0.1))

# attention and transformers
encoder_layer = filled(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)).eval()
encoder = nn.TransformerEncoder(encoder_layer, 2).eval()
sequence = wave(2, 3, 4)
padding = torch.tensor([[False, False, True], [False, True, True]])
scattered = torch.tensor([[True, False, False], [False, True, True]])
causal = nn.Transformer.generate_square_subsequent_mask(3)
show(causal)
for grad in (False, True):
    with torch.set_grad_enabled(grad):
        for mask in (padding, scattered):
            attempt(encoder, sequence, src_key_padding_mask=mask)
        attempt(encoder, sequence, mask=causal, is_causal=True)
        attempt(encoder, sequence, causal, padding)
        attempt(encoder_layer, sequence, src_key_padding_mask=padding)
for cls, arguments in (
    (nn.TransformerEncoderLayer, (sequence,)),
    (nn.TransformerDecoderLayer, (sequence, wave(2, 5, 4))),
):
    for options in ({}, {"norm_first": True}, {"activation": "gelu", "bias": False}, {"batch_first": True}):
        layer = filled(cls(4, 2, 8, **options)).eval()
        attempt(layer, *(arguments if options.get("batch_first") else (a.transpose(0, 1) for a in arguments)))
model = filled(nn.Transformer(4, 2, 1, 1, 8, batch_first=True)).eval()
attempt(model, wave(2, 5, 4), sequence)
attempt(
    model, wave(2, 5, 4), sequence, tgt_mask=causal, tgt_is_causal=True, src_key_padding_mask=torch.zeros(2, 5).bool()
)
attempt(model, wave(5, 4), wave(3, 4))
attempt(model, wave(2, 5, 4), wave(3, 3, 4))
attempt(model, wave(2, 5, 3), sequence)
attention = filled(nn.MultiheadAttention(4, 2, batch_first=True)).eval()
other = wave(2, 5, 4)
for arguments, options in [
    ((sequence, sequence, sequence), {}),
    ((sequence, other, other), {}),
    ((sequence, other, other), {"need_weights": False}),
    ((sequence, other, other), {"average_attn_weights": False}),
    ((sequence, sequence, sequence), {"attn_mask": causal}),
    ((sequence, sequence, sequence), {"attn_mask": causal, "is_causal": True, "need_weights": False}),
    ((sequence, sequence, sequence), {"is_causal": True}),
    ((sequence, sequence, sequence), {"attn_mask": causal < 0, "key_padding_mask": padding}),
    ((sequence, sequence, sequence), {"key_padding_mask": padding}),
    ((sequence, sequence, sequence), {"key_padding_mask": padding.float()}),
    ((sequence, sequence, sequence), {"key_padding_mask": padding.long()}),
    ((sequence, sequence, sequence), {"attn_mask": torch.zeros(4, 3, 3)}),
    ((sequence, sequence, sequence), {"attn_mask": torch.zeros(2, 3, 3)}),
    ((sequence, sequence, sequence), {"attn_mask": torch.zeros(2, 3)}),
    ((sequence, sequence, sequence), {"attn_mask": torch.zeros(3)}),
    ((sequence, sequence, sequence), {"key_padding_mask": padding[:, :2]}),
    ((sequence[0], other[0], other[0]), {}),
    ((sequence[0], other, other), {}),
    ((sequence, other, other[:, :4]), {}),
    ((sequence[..., :3], other, other), {}),
    ((sequence, other[..., :3], other), {}),
    ((wave(1, 2, 3, 4), other, other), {}),
]:
    attempt(attention, *arguments, **options)
for options in (
    {"kdim": 3, "vdim": 2},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"bias": False},
    {"add_bias_kv": True, "add_zero_attn": True, "kdim": 3, "vdim": 2},
):
    attempt(
        filled(nn.MultiheadAttention(4, 2, **options)).eval(),
        wave(3, 2, 4),
        *((wave(5, 2, 3), wave(5, 2, 2)) if "kdim" in options else (wave(5, 2, 4), wave(5, 2, 4))),
    )

"""Networks to trace: those of the examples, forms of well-known ones, and single layers; with inputs of two sizes."""

import importlib
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


# Those that need what the examples need.
OF_EXAMPLES = frozenset(
    """
    mlp lenet resnet digits vit unet autoencoder generator discriminator denoiser siamese gpt lstm transformer flow dqn
    """.split()
) | {"attention over a graph"}


def of_example(module, name, *args, **kwargs):
    """A network of an example."""
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))
    return getattr(importlib.import_module(module), name)(*args, **kwargs)


class Bottleneck(nn.Module):
    """ResNet's block of three convolutions."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.reduce, self.conv = nn.Conv2d(width, out // 4, 1), nn.Conv2d(out // 4, out // 4, 3, stride, 1, groups=2)
        self.expand, self.norm = nn.Conv2d(out // 4, out, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut = nn.Identity() if width == out and stride == 1 else nn.Conv2d(width, out, 1, stride)

    def forward(self, x):
        y = F.relu(self.reduce(x), inplace=True)
        y = self.norm(self.expand(F.relu6(self.conv(y))))
        return F.relu(y + self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Weights for channels, from their means."""

    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x):
        weight = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(F.silu(self.down(weight))))


class Inverted(nn.Module):
    """MobileNet's block."""

    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1), nn.BatchNorm2d(3 * width), nn.Hardswish(),
            nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width), nn.BatchNorm2d(3 * width), nn.ReLU6(),
            SqueezeExcite(3 * width), nn.Conv2d(3 * width, width, 1),
        )  # fmt: skip

    def forward(self, x):
        return x + self.layers(x)


class Classifier(nn.Module):
    """A stem, blocks, and a head over the mean of the picture."""

    def __init__(self, *blocks, width=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.blocks, self.head = nn.ModuleList(blocks), nn.LazyLinear(5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Dense(nn.Module):
    """DenseNet's block: each layer sees all before it."""

    def __init__(self, width, grow=8, layers=3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width + i * grow, grow, 3, padding=1) for i in range(layers))

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(F.elu(layer(torch.cat(seen, 1))))
        return torch.cat(seen, dim=1)


class Inception(nn.Module):
    """Paths of several widths."""

    def __init__(self, width):
        super().__init__()
        self.one, self.three = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 4, 3, padding="same")
        self.five = nn.Conv2d(width, 4, 5, padding=2)

    def forward(self, x):
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1)
        return torch.cat([self.one(x), self.three(x), self.five(x), F.max_pool2d(pooled, 3, 1, 1)], 1)


class Segmenter(nn.Module):
    """Features of two scales, brought to the picture's size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1, dilation=1)
        self.lateral, self.head = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        size = x.shape[-2:]
        low = F.leaky_relu(self.first(x), 0.1)
        high = F.gelu(self.second(low))
        up = F.interpolate(self.lateral(high), size=low.shape[-2:], mode="nearest") + low
        out = F.interpolate(self.head(up), size=size, mode="bilinear", align_corners=False)
        return {"out": out, "mask": out.argmax(1)}


class Detector(nn.Module):
    """Boxes and scores for each cell of a grid."""

    def __init__(self):
        super().__init__()
        self.body, self.boxes, self.scores = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 12, 1), nn.Conv2d(8, 6, 1)

    def forward(self, pictures):
        features = torch.stack([F.mish(self.body(p[None]))[0] for p in pictures])
        batch, _, height, width = features.shape
        boxes = self.boxes(features).view(batch, 3, 4, height, width).permute(0, 3, 4, 1, 2).reshape(batch, -1, 4)
        ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack((xs, ys), -1).reshape(1, -1, 1, 2).to(boxes.dtype).expand(-1, -1, 3, -1).flatten(1, 2)
        centre = (boxes[..., :2].sigmoid() * 2 - 0.5 + grid) * 4
        scores = self.scores(features).flatten(2).softmax(1)
        return torch.cat([centre, boxes[..., 2:].exp()], -1), scores.topk(3, dim=-1)[0]


class Mixer(nn.Module):
    """Patches mixed by transposed linear layers."""

    def __init__(self, width=16, tokens=16):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, width, 4, 4), nn.LayerNorm(width)
        self.tokens, self.channels = nn.Linear(tokens, tokens), nn.Sequential(nn.Linear(width, width), nn.GELU())

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return (x + self.channels(self.norm(x))).mean(dim=1)


class Windows(nn.Module):
    """Attention in windows of a picture, shifted by half of one."""

    def __init__(self, width=8, window=4, heads=2):
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.window, self.heads = window, heads
        self.bias = nn.Parameter(torch.randn(heads, window * window, window * window))

    def forward(self, x):
        batch, height, width, channels = x.shape
        w = self.window
        x = torch.roll(x, (-w // 2, -w // 2), dims=(1, 2))
        x = x.view(batch, height // w, w, width // w, w, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(-1, w * w, channels)
        q, k, v = self.qkv(x).reshape(x.shape[0], x.shape[1], 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * (channels // self.heads) ** -0.5) @ k.transpose(-2, -1) + self.bias
        x = self.out((weights.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))
        x = x.view(batch, height // w, width // w, w, w, channels).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(x.reshape(batch, height, width, channels), (w // 2, w // 2), dims=(1, 2))


class Rotary(nn.Module):
    """Causal attention with rotated positions, and a gated feed-forward layer."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, n, bias=False) for n in (width, width // 2, width // 2))
        self.norm, self.heads = nn.RMSNorm(width), heads
        self.gate, self.up, self.down = nn.Linear(width, 24), nn.Linear(width, 24), nn.Linear(24, width)
        self.register_buffer("frequencies", 10000.0 ** -torch.arange(0, 4, 2).div(4), persistent=False)

    def rotate(self, x):
        angles = torch.outer(torch.arange(x.shape[1], device=x.device).float(), self.frequencies)
        cos, sin = angles.cos()[None, :, None], angles.sin()[None, :, None]
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

    def forward(self, x):
        y = self.norm(x)
        batch, length, _ = y.shape
        q, k, v = (layer(y).view(batch, length, -1, 4) for layer in (self.q, self.k, self.v))
        q, k = self.rotate(q).transpose(1, 2), self.rotate(k).transpose(1, 2).repeat_interleave(2, dim=1)
        v = v.transpose(1, 2).repeat_interleave(2, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, -1)
        x = x + y
        return x + self.down(F.silu(self.gate(x)) * self.up(x))


class Positions(nn.Module):
    """A transformer encoder over embeddings with learned positions, and a mask."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(30, 16, padding_idx=0), nn.Embedding(64, 16)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.head = nn.Linear(16, 30)
        self.head.weight = nn.Parameter(torch.randn(30, 16))

    def forward(self, words):
        x = self.words(words) + self.places(torch.arange(words.size(1)))
        x = self.encoder(x, src_key_padding_mask=words == 0)
        return F.log_softmax(self.head(x.masked_fill((words == 0).unsqueeze(-1), 0.0)), dim=-1)


class Recurrent(nn.Module):
    """LSTM and GRU, both ways, over each other."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True)
        self.gru, self.rnn = nn.GRU(12, 4), nn.RNN(4, 3, nonlinearity="relu")
        self.cell, self.step = nn.LSTMCell(3, 4), nn.GRUCell(4, 2)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        z, last = self.gru(y.transpose(0, 1))
        r, _ = self.rnn(z)
        a, b = self.cell(r[-1])
        return y, h + c, last, self.step(a), b


class Mixture(nn.Module):
    """Experts weighed by a gate, shared parameters, and a state that each call changes."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)})
        self.gate, self.scale = nn.Linear(4, 2), nn.ParameterDict({"s": nn.Parameter(torch.ones(4))})
        self.experts["a"].bias = self.experts["b"].bias
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, batch):
        x = batch["x"] + batch["more"]
        weights = self.gate(x).softmax(-1)
        parts = torch.stack([expert(x) for expert in self.experts.values()], -1)
        self.seen += 1
        return (parts * weights.unsqueeze(1)).sum(-1) * self.scale["s"], (self.seen, weights)


class Bilateral(nn.Module):
    """Two inputs of one encoder, compared in several ways."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        self.bilinear = nn.Bilinear(4, 4, 2)

    def forward(self, left, right):
        a, b = self.encoder(left), self.encoder(right)
        return self.bilinear(a, b), F.cosine_similarity(a, b), torch.cdist(a, b), (a - b).abs().sum(-1, keepdim=True)


def pictures(batch, size=16):
    return torch.rand(batch, 3, size, size)


def letters(batch, length, most=30):
    return torch.randint(1, most, (batch, length))


def _networks():
    one = lambda *shape: (torch.rand(*shape),)  # noqa: E731
    yield "mlp", lambda: of_example("mlp", "MLP", 7), one(4, 7), one(9, 7)
    yield "lenet", lambda: of_example("lenet", "LeNet"), one(2, 1, 28, 28), one(3, 1, 28, 28)
    yield "resnet", lambda: of_example("resnet", "ResNet"), one(2, 1, 28, 28), one(3, 1, 28, 28)
    yield "digits", lambda: of_example("digits", "DigitNet"), one(2, 1, 8, 8), one(5, 1, 8, 8)
    yield "vit", lambda: of_example("vit", "VisionTransformer"), one(2, 1, 28, 28), one(2, 1, 28, 28)
    yield "unet", lambda: of_example("unet", "UNet"), one(1, 1, 32, 32), one(2, 1, 64, 48)
    yield "autoencoder", lambda: of_example("autoencoder", "Autoencoder"), one(2, 1, 25, 25), one(3, 1, 25, 25)
    yield "generator", lambda: of_example("dcgan", "Generator"), one(2, 32), one(3, 32)
    yield "discriminator", lambda: of_example("dcgan", "Discriminator"), one(2, 1, 28, 28), one(3, 1, 28, 28)
    yield "denoiser", lambda: of_example("diffusion", "Denoiser"), (torch.rand(2, 1, 8, 8), torch.tensor([1, 5])), (
        torch.rand(3, 1, 8, 8), torch.tensor([2, 7, 11]))  # fmt: skip
    yield "siamese", lambda: of_example("siamese", "Embedding"), one(2, 1, 8, 8), one(3, 1, 8, 8)
    yield "gpt", lambda: of_example("gpt", "GPT", 30), (letters(2, 12),), (letters(3, 12),)
    yield "lstm", lambda: of_example("lstm", "CharacterLSTM", 30), (letters(7, 2),), (letters(9, 3),)
    yield "transformer", lambda: of_example("transformer", "Translator"), (letters(2, 9), letters(2, 7)), (
        letters(3, 9), letters(3, 7))  # fmt: skip
    yield "flow", lambda: of_example("flow", "Coupling"), one(3, 2), one(5, 2)
    yield "dqn", lambda: of_example("dqn", "DuelingNetwork"), one(3, 4), one(5, 4)
    yield "attention over a graph", lambda: of_example("graph_attention", "GAT", 5, 3), (
        torch.rand(4, 5), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])), (
        torch.rand(4, 5), torch.tensor([[3, 1, 0, 3], [1, 2, 2, 0]]))  # fmt: skip
    two = (pictures(2),), (pictures(3, 20),)
    yield "bottlenecks", lambda: Classifier(Bottleneck(16, 16), Bottleneck(16, 32, 2)), *two
    yield "mobile", lambda: Classifier(Inverted(16), Inverted(16)), *two
    yield "dense", lambda: Classifier(Dense(16)), *two
    yield "inception", lambda: Classifier(Inception(16)), *two
    yield "segmenter", Segmenter, (pictures(2),), (pictures(3, 24),)
    yield "detector", Detector, (pictures(2),), (pictures(2, 24),)
    yield "mixer", Mixer, (pictures(2),), (pictures(3),)
    yield "windows", Windows, one(2, 8, 8, 8), one(3, 12, 8, 8)
    yield "rotary", Rotary, one(2, 5, 16), one(3, 9, 16)
    yield "positions", Positions, (letters(2, 6),), (letters(3, 6),)
    yield "recurrent", Recurrent, one(3, 4, 5), one(2, 7, 5)
    yield "mixture", Mixture, ({"x": torch.rand(3, 4), "more": torch.rand(3, 4)},), (
        {"x": torch.rand(5, 4), "more": torch.rand(5, 4)},)  # fmt: skip
    yield "bilateral", Bilateral, (torch.rand(3, 6), torch.rand(3, 6)), (torch.rand(5, 6), torch.rand(5, 6))
    yield "attention", lambda: nn.MultiheadAttention(8, 2, batch_first=True), (torch.rand(2, 3, 8),) * 3, (
        torch.rand(3, 5, 8),) * 3  # fmt: skip
    yield "decoder", lambda: nn.TransformerDecoderLayer(8, 2, 16), (torch.rand(3, 2, 8), torch.rand(4, 2, 8)), (
        torch.rand(5, 3, 8), torch.rand(2, 3, 8))  # fmt: skip
    yield "encoder and decoder", lambda: nn.Transformer(8, 2, 1, 1, 16), (torch.rand(3, 2, 8), torch.rand(4, 2, 8)), (
        torch.rand(5, 3, 8), torch.rand(2, 3, 8))  # fmt: skip


def networks():
    """{name: (a function that makes the network, its inputs, other inputs)}."""
    torch.manual_seed(0)
    return {name: (make, first, second) for name, make, first, second in _networks()}

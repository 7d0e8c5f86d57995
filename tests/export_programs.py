"""Programs that are exported, saved and loaded, by this package and by PyTorch.

``PROGRAMS`` maps a name to a function that gives the module, its arguments, keyword arguments, dynamic shapes, and
further arguments that the exported program has to run with. Nothing here depends on which of the two runs it.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

PROGRAMS = {}


def program(function):
    """Note a function that makes a program."""
    PROGRAMS[function.__name__] = function
    return function


def inputs_of(made):
    """All the arguments of a program: those of its example, then the further ones."""
    _, args, kwargs, _, more = made
    return [(args, kwargs), *more]


@program
def mlp():
    m = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return m, (torch.randn(2, 4),), {}, None, [((torch.randn(2, 4),), {})]


@program
def mlp_dynamic():
    m = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3), nn.Softmax(-1))
    return m, (torch.randn(2, 4),), {}, ({0: Dim("batch")},), [((torch.randn(7, 4),), {})]


@program
def convnet():
    m = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16, 5)
    ).eval()
    return m, (torch.randn(2, 3, 8, 8),), {}, ({0: Dim("b")},), [((torch.randn(5, 3, 8, 8),), {})]


@program
def convnet_train():
    m = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    return m, (torch.randn(2, 3, 8, 8),), {}, None, [((torch.randn(2, 3, 8, 8),), {})]


class LSTMNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.out = nn.Linear(5, 11)

    def forward(self, x):
        y, (h, c) = self.lstm(self.emb(x))
        return self.out(y), h


@program
def lstm():
    return LSTMNet(), (torch.randint(0, 11, (2, 7)),), {}, None, [((torch.randint(0, 11, (2, 7)),), {})]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)

    def forward(self, x, mask=None):
        b, t, c = x.shape
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (z.view(b, t, 2, c // 2).transpose(1, 2) for z in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(b, t, c))


@program
def attention_dynamic():
    return (
        Attention(),
        (torch.randn(2, 5, 8),),
        {},
        {"x": {0: Dim("batch"), 1: Dim("seq", max=64)}},
        [((torch.randn(3, 9, 8),), {})],
    )


@program
def transformer_layer():
    m = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    return m, (torch.randn(2, 5, 8),), {}, None, [((torch.randn(2, 5, 8),), {})]


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n", torch.zeros(()))
        self.register_buffer("scratch", torch.ones(3), persistent=False)

    def forward(self, x):
        self.n.add_(1)
        self.scratch.mul_(2)
        return x * self.n + self.scratch


@program
def buffers_mutated():
    return Counter(), (torch.randn(3),), {}, None, [((torch.randn(3),), {})]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(9, 4)
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x):
        return self.head(self.emb(x))


@program
def tied():
    return Tied(), (torch.randint(0, 9, (2, 3)),), {}, None, [((torch.randint(0, 9, (2, 3)),), {})]


class KwDict(nn.Module):
    def forward(self, x, *, scale, extra):
        return {"y": x * scale + extra["bias"], "parts": [x, (extra["bias"], 3)], "n": None}


@program
def kwargs_dict():
    return (
        KwDict(),
        (torch.randn(2, 3),),
        {"scale": torch.tensor(2.0), "extra": {"bias": torch.randn(3)}},
        None,
        [((torch.randn(2, 3),), {"scale": torch.tensor(3.0), "extra": {"bias": torch.randn(3)}})],
    )


class Const(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = torch.tensor([1.0, 2.0, 3.0])

    def forward(self, x):
        return x + self.c + torch.tensor([5.0, 6.0, 7.0]) + torch.arange(3, dtype=torch.float64)


@program
def constants():
    return Const(), (torch.randn(2, 3),), {}, None, [((torch.randn(2, 3),), {})]


class Cond(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: self.a(x), lambda x: self.b(x).sin(), (x,))


@program
def cond():
    return Cond(), (torch.ones(2, 3),), {}, None, [((-torch.ones(2, 3),), {})]


class CondShape(nn.Module):
    def forward(self, x):
        return torch.cond(x.shape[0] > 4, lambda x: x.cos(), lambda x: x.sin(), (x,))


@program
def cond_shape():
    return CondShape(), (torch.ones(3, 3),), {}, ({0: Dim("b", min=2)},), [((torch.ones(6, 3),), {})]


class NonZero(nn.Module):
    def forward(self, x):
        i = x.nonzero()
        return i * 2, i.shape[0]


@program
def nonzero():
    return NonZero(), (torch.tensor([0, 1, 2, 0, 3]),), {}, None, [((torch.tensor([1, 1, 2, 0, 3]),), {})]


class Item(nn.Module):
    def forward(self, n, x):
        k = n.item()
        torch._check(k >= 0)
        torch._check(k <= x.shape[0])
        return x.narrow(0, 0, k), torch.zeros(k)


@program
def item():
    return Item(), (torch.tensor(2), torch.randn(5, 2)), {}, None, [((torch.tensor(3), torch.randn(5, 2)), {})]


class Auto(nn.Module):
    def forward(self, x, y):
        return torch.cat([x, y], 0) @ y.t(), x.shape[0] * 2


@program
def auto():
    return (
        Auto(),
        (torch.randn(3, 4), torch.randn(5, 4)),
        {},
        ({0: Dim.AUTO}, {0: Dim.DYNAMIC}),
        [((torch.randn(6, 4), torch.randn(2, 4)), {})],
    )


class Derived(nn.Module):
    def forward(self, x, y):
        return x[1:] + y


@program
def derived():
    d = Dim("d", min=3, max=20)
    return (
        Derived(),
        (torch.randn(5), torch.randn(4)),
        {},
        ({0: d}, {0: d - 1}),
        [((torch.randn(8), torch.randn(7)), {})],
    )


class Views(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[0] = 1
        y[:, 1].mul_(2)
        return y.reshape(-1, 2).permute(1, 0), x.view(x.shape[0], -1), x[..., None], x.expand(2, *x.shape)


@program
def views():
    return Views(), (torch.randn(3, 4),), {}, ({0: Dim("b")},), [((torch.randn(6, 4),), {})]


class InputMutation(nn.Module):
    def forward(self, x, y):
        x.add_(y)
        return x * 2


@program
def input_mutation():
    return InputMutation(), (torch.randn(3), torch.randn(3)), {}, None, [((torch.randn(3), torch.randn(3)), {})]


class Scalars(nn.Module):
    def forward(self, x, n, flag, name, s=None):
        if flag:
            x = x * n
        return x + len(name), n


@program
def scalars():
    return Scalars(), (torch.randn(3), 3, True, "abc"), {}, None, [((torch.randn(3), 3, True, "abc"), {})]


class IntInput(nn.Module):
    def forward(self, x, n):
        return x * n, torch.full((n,), 2.5)


@program
def int_input():
    return IntInput(), (torch.randn(3), 4), {}, (None, Dim.DYNAMIC), [((torch.randn(3), 6), {})]


class Dtypes(nn.Module):
    def forward(self, x):
        a = x.to(torch.float16).to(torch.bfloat16)
        return (
            a.float(),
            x.to(torch.int32),
            x > 0,
            x.to(torch.complex64),
            x.double(),
            torch.zeros_like(x, dtype=torch.uint8),
        )


@program
def dtypes():
    return Dtypes(), (torch.randn(3),), {}, None, [((torch.randn(3),), {})]


class NoGrad(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 3)

    def forward(self, x):
        with torch.no_grad():
            y = self.l(x)
        return self.l(y + x)


@program
def nograd():
    return NoGrad(), (torch.randn(2, 3),), {}, None, [((torch.randn(2, 3),), {})]


class MultiOut(nn.Module):
    def forward(self, x):
        v, i = x.max(1)
        w, j = torch.topk(x, 2)
        a, b = x.split([1, 3], dim=1)
        return v, i, w, j, a + b, torch.var_mean(x, 1), x.unbind(0)[1], x.argmax(-1, keepdim=True)


@program
def multiout():
    return MultiOut(), (torch.randn(3, 4),), {}, None, [((torch.randn(3, 4),), {})]


class Interp(nn.Module):
    def forward(self, x):
        return (
            F.interpolate(x, scale_factor=2.0),
            F.interpolate(x, size=(5, 7), mode="bilinear"),
            F.pad(x, (1, 1, 0, 2)),
            F.avg_pool2d(x, 2),
        )


@program
def interpolate():
    return Interp(), (torch.randn(1, 2, 4, 4),), {}, None, [((torch.randn(1, 2, 4, 4),), {})]


class Dropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.LayerNorm(4)
        self.g = nn.GroupNorm(2, 4)
        self.d = nn.Dropout(0.5)

    def forward(self, x):
        return self.d(self.g(self.n(x)))


@program
def norms():
    return Dropout().eval(), (torch.randn(3, 4),), {}, None, [((torch.randn(3, 4),), {})]


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2)])

    def forward(self, xs):
        a, (b, c) = xs["a"], xs["bc"]
        for m in self.blocks:
            a = a + m(b)
        return a, c.mean(dim=(0, 1), keepdim=True)


@program
def nested_inputs():
    d = Dim("b")

    def mk(n):
        return ({"a": torch.randn(n, 4), "bc": (torch.randn(n, 4), torch.randn(2, 2))},)

    return Nested(), mk(3), {}, {"xs": {"a": {0: d}, "bc": ({0: d}, None)}}, [(mk(5), {})]


@program
def gru_bidirectional():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.g = nn.GRU(3, 4, 2, bidirectional=True)

        def forward(self, x):
            return self.g(x)

    return Net(), (torch.randn(5, 2, 3),), {}, None, [((torch.randn(5, 2, 3),), {})]


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, x, y):
        z = self.l(x)
        return F.cross_entropy(z, y), F.mse_loss(z, z.detach()), z.log_softmax(-1).exp().sum()


@program
def loss():
    return (
        Loss(),
        (torch.randn(2, 4), torch.tensor([0, 2])),
        {},
        None,
        [((torch.randn(2, 4), torch.tensor([1, 1])), {})],
    )


class Einsum(nn.Module):
    def forward(self, x, y):
        return (
            torch.einsum("bij,bjk->bik", x, y),
            torch.where(x > 0, x, 0.0),
            torch.tril(x),
            x.masked_fill(x < 0, float("-inf")).softmax(-1),
            x.cumsum(1),
            x.gather(2, torch.zeros_like(x, dtype=torch.long)),
        )


@program
def einsum():
    return (
        Einsum(),
        (torch.randn(2, 3, 3), torch.randn(2, 3, 4)),
        {},
        None,
        [((torch.randn(2, 3, 3), torch.randn(2, 3, 4)), {})],
    )

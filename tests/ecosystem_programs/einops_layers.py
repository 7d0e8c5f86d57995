"""einops.layers.torch: Rearrange, Reduce and EinMix in modules that are trained, saved and copied."""

import copy
import io
import pickle

from einops import repeat
from einops.layers.torch import EinMix, Rearrange, Reduce
from programs import attempt, show

import torch
from torch import nn

net = nn.Sequential(
    nn.Conv2d(1, 6, 3),
    Reduce("b c (h 2) (w 2) -> b c h w", "max"),
    nn.ReLU(),
    Rearrange("b c h w -> b (c h w)"),
    nn.Linear(6 * 3 * 3, 5),
    Rearrange("b (one classes) -> (one b) classes", one=1),
)
show(repr(net))
images = torch.randn(7, 1, 8, 8)
show(net(images).shape, net(images)[0])
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for _ in range(5):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(images), torch.arange(7) % 5)
    loss.backward()
    optimizer.step()
    show(loss)

file = io.BytesIO()
torch.save(net.state_dict(), file)
file.seek(0)
show([*net.state_dict()], net.load_state_dict(torch.load(file)))
show(torch.equal(copy.deepcopy(net)(images), net(images)))
show(torch.equal(pickle.loads(pickle.dumps(net))(images), net(images)))

mixers = [
    EinMix("b t c -> b t c_out", weight_shape="c c_out", bias_shape="c_out", c=4, c_out=3),
    EinMix("b t c -> b (t_out c)", weight_shape="t t_out c", t=5, t_out=2, c=4),
    EinMix("b t (h c) -> b h t c_out", weight_shape="h c c_out", bias_shape="h c_out", h=2, c=2, c_out=6),
    EinMix("b t c -> b t c", weight_shape="c", c=4),
    EinMix("... c -> ... c_out", weight_shape="c c_out", c=4, c_out=1),
]
x = torch.randn(2, 5, 4)
for mixer in mixers:
    out = mixer(x)
    out.square().sum().backward()
    show(repr(mixer), {name: parameter.shape for name, parameter in mixer.named_parameters()})
    show(out.shape, out.mean(), mixer.weight.grad.sum())


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.split = Rearrange("b t (qkv h d) -> qkv b h t d", qkv=3, h=heads)
        self.join = Rearrange("b h t d -> b t (h d)")

    def forward(self, x):
        q, k, v = self.split(self.to_qkv(x))
        return self.join(nn.functional.scaled_dot_product_attention(q, k, v))


attention = Attention(8, 2)
tokens = repeat(torch.linspace(-1, 1, 8), "d -> b t d", b=2, t=3) + torch.arange(3.0)[:, None]
show(attention(tokens), attention(tokens).sum().requires_grad)
attempt(Rearrange("b c -> c b", c=3), torch.zeros(2, 4))
attempt(Reduce, "b c -> b d", "max")
attempt(EinMix, "b c -> b d", weight_shape="c d", c=3)

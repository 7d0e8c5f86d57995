"""einops over tensors: every operation, gradients, in each of the ways in which einops names its axes."""

import numpy as np
from einops import EinopsError, asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from programs import attempt, show

import torch

x = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)
show(rearrange(x, "b c h w -> b (c h) w").sum(-1))
show(rearrange(x, "b c (h h2) (w w2) -> (b h2 w2) c h w", h2=2, w2=3).shape)
show(rearrange(x, "b c (h h2) (w w2) -> (b h2 w2) c h w", h2=2, w2=3)[3, 1])
show(rearrange(x, "b ... -> ... b")[0, 1, 2])
show(rearrange(x, "b c h w -> () (b c h w) 1").shape)
show(rearrange([x[0], x[1]], "b c h w -> c h (b w)").shape)
show(
    rearrange(x, "b c h w -> c b w h").is_contiguous(), rearrange(x, "b c h w -> b (c h w)").data_ptr() == x.data_ptr()
)

for operation in ("min", "max", "sum", "mean", "prod"):
    show(operation, reduce(x / 50, "b c h w -> b c", operation))
    show(reduce(x / 50, "b c (h 2) (w 2) -> c h w", operation)[1])
booleans = x % 5 == 0
show(reduce(booleans, "b c h w -> b c", "any"), reduce(booleans, "b c h w -> b c", "all"))
show(reduce(x, "b c h w -> b 1 1 w", lambda t, axes: t.std(axes)).shape)
attempt(reduce, x.long(), "b c h w -> b c", "mean")
show(reduce(x.long(), "b c h w -> b c", "sum"), reduce(x.double(), "b c h w -> b c", "mean"))

show(repeat(torch.arange(3), "a -> a b", b=2), repeat(torch.arange(3), "a -> (b a)", b=2))
show(repeat(x[0, 0], "h w -> h (w 2) c", c=2).shape, repeat(x[0, 0], "h w -> (h 2) w")[:, 0])

a, b = torch.linspace(-1, 1, 6).reshape(2, 3), torch.linspace(0, 2, 12).reshape(3, 4)
show(einsum(a, b, "row inner, inner column -> row column"), einsum(a, a, "i j, i j ->"))
show(einsum(a, "i j -> j i"), einsum(a, b, a, "i j, j k, i l -> k l"))

packed, shapes = pack([x[:, 0, 0, :2], x[:, 1], x[:, 2, 0, 0]], "b *")
show(packed.shape, shapes, [part.shape for part in unpack(packed, shapes, "b *")])
show([part.shape for part in unpack(torch.zeros(2, 7, 3), [[2], [5]], "b * c")], [*parse_shape(x, "b _ h w").items()])

weights = torch.linspace(0, 1, x.numel()).reshape(x.shape).requires_grad_()
(rearrange(weights, "b c (h p) w -> (b p) (h w) c", p=2) ** 2).sum().backward()
show(weights.grad.sum(), weights.grad[1, 2, 3])
weights.grad = None
reduce(weights, "b c (h 2) w -> b h", "max").sum().backward()
show(weights.grad.nonzero())
weights.grad = None
repeat(weights, "b c h w -> b c (h r) w", r=3).mul(2).sum().backward()
show(weights.grad.unique())

show(type(asnumpy(x)) is np.ndarray, asnumpy(weights).shape)
for pattern in (
    "b c h -> b c h",
    "b c h w -> b c h",
    "b b h w -> b h w",
    "b c h w -> b c h",
):
    attempt(rearrange, x, pattern)
attempt(rearrange, x, "b c (h h2) w -> b c h h2 w", h2=3)
attempt(repeat, x, "b c h w -> b c h w d")
attempt(einsum, a, b, "i j, j k")
show(issubclass(EinopsError, RuntimeError))
meta = torch.empty(2, 3, 4, device="meta")
show(rearrange(meta, "a b c -> c (a b)"), reduce(meta, "a b c -> a", "max"))
show(torch.func.vmap(lambda t: rearrange(t, "(a b) c -> a b c", a=3))(torch.zeros(4, 6, 2)).shape)
show(rearrange(x.to(torch.bfloat16), "b c h w -> w (b c h)").sum(1), rearrange(x + 1j, "b c h w -> w (b c h)").sum(1))

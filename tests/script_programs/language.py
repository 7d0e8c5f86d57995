"""TorchScript's language: control flow, containers, numbers, tensors, classes."""

# ruff: noqa: E501, E701, E702, I001, E741, F821, F841, UP006, UP007, UP035, UP045, B018
import math
import warnings
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from programs import attempt
from torch import Tensor

warnings.filterwarnings("ignore", category=DeprecationWarning)

@torch.jit.script
def early(x, n: int):
    for i in range(n):
        if i == 3:
            return x * i
        if i > 5:
            break
        x = x + i
    while n > 0:
        n -= 1
        if n == 4: continue
        if n % 2 == 0:
            if n == 2:
                return x - 100
        x = x + n
    return x
attempt(early, torch.ones(2), 2); attempt(early, torch.ones(2), 7); attempt(early, torch.ones(2), 1)
@torch.jit.script
def lists(a: List[int], s: str) -> Tuple[List[int], int, str, bool, List[str]]:
    b = a + [1,2]
    b.append(3); b.extend([4]); b.insert(0, 9); b.pop(); b.remove(9)
    b[0] = 7
    c = b[1:] + b[::-1]
    c.sort()
    d = [x * 2 for x in c]
    d.reverse()
    z = sorted(d)
    return d, len(c) + sum(a) + max(a) + min(1, 2), s.upper() + "%d" % 3 + s[1:3], 3 in a and 4 not in a, s.split(",")
attempt(lists, [1,2,3], "a,bc,d")
@torch.jit.script
def dicts(d: Dict[str, int]):
    out: Dict[str, List[int]] = {}
    for k, v in d.items():
        out[k] = [v, v + 1]
    for k in d: out[k].append(0)
    e = {"a": 1.5}
    e.update({"b": 2.0})
    if "a" in d: del d["a"]
    return out, d, list(e.keys()), e.get("zz"), e["a"], len(d), d.get("b", 3)
attempt(dicts, {"a": 1, "b": 2})
@torch.jit.script
def opt(x: Optional[Tensor], y: Optional[int] = None) -> Tensor:
    if x is None or y is None:
        return torch.zeros(2)
    z = x + y
    if x is not None and y > 2:
        z = z * 2
    assert y is not None
    return z if y != 7 else torch.neg(z)
attempt(opt, None); attempt(opt, torch.ones(2), 3); attempt(opt, torch.ones(2), 7)
@torch.jit.script
def un(x: Union[int, str, List[int]]) -> int:
    if isinstance(x, int):
        return x + 1
    elif isinstance(x, str):
        return len(x)
    else:
        return x[0]
attempt(un, 3); attempt(un, "abc"); attempt(un, [5])
@torch.jit.script
def idx(x):
    a = x[0]; b = x[:, 1]; c = x[..., None]; d = x[None, 1:, ::2]; e = x[torch.tensor([0, 1])]; f = x[x > 0]
    x[0, 0] = 5.0
    x[1] += 2
    x[:, 2] = torch.tensor([7., 8.])
    return a, b, c.shape, d.shape, e, f.sum(), x, x[-1, -1], x[[0, 1], [1, 0]]
attempt(idx, torch.arange(6.).reshape(2,3))
@torch.jit.script
def num(x: float, n: int):
    return x // 2, n // 2, x % 3, n % 3, x ** 2, n ** 2, n / 2, -x, abs(-n), round(x), int(x), float(n), bool(n), str(n), n & 3, n | 8, n ^ 1, n << 2, n >> 1, 1 < n < 5, x if n > 3 else x + 1, not (n == 2), divmod(n, 3), 7.0 // n, complex(1, 2)
attempt(num, 7.5, 5)
@torch.jit.script
def mth(x: float):
    return math.sqrt(x), math.floor(x), math.ceil(x), math.pi, math.log(x), math.exp(1.0), math.pow(x, 2), math.inf, math.fabs(-x), math.isnan(x)
attempt(mth, 2.5)
@torch.jit.script
def tens(x, y):
    z = x.view(-1, 2).t().contiguous() @ y.reshape([3, 2])
    a, b = z.max(dim=1)
    v, i = torch.topk(z.flatten(), 2)
    p, q, r = torch.chunk(x.flatten(), 3)
    u = torch.cat([a, v], dim=0)
    w = torch.stack((a, v))
    s = x.size(); h, k = x.shape
    m = torch.where(x > 2, x, torch.zeros_like(x))
    n = torch.zeros(2, 3, dtype=torch.int64, device=x.device)
    o = torch.arange(0, 6, 2).to(torch.float32) + torch.full([3], 1.5) + torch.tensor(2)
    return z.sum() + u.mean(), b, i, p + q + r, w.shape, s, h * k, m.float().long().dtype, n.dtype, o, F.softmax(x, dim=-1).sum(), F.relu(-x).sum(), torch.norm(x), x.numel(), x.dim(), 2 - x, 2 / (x + 1), 3 * x, 1 + x, x.mean(dim=[0]), x.sum(0, keepdim=True), 1
attempt(tens, torch.arange(6.).reshape(2,3), torch.ones(2,3))
class P(NamedTuple):
    a: Tensor
    b: int = 3
@torch.jit.script
def nt(x) -> P:
    p = P(x, 2)
    q = P(x)
    a, b = p
    return P(p.a + q.b + b, p.b)
attempt(nt, torch.ones(2))
@torch.jit.script
class Counter:
    def __init__(self, start: int):
        self.n = start
        self.items: List[int] = []
    def add(self, k: int) -> "Counter":
        self.n += k
        self.items.append(k)
        return self
    def __len__(self) -> int:
        return len(self.items)
    def __add__(self, o: "Counter") -> int:
        return self.n + o.n
@torch.jit.script
def cls(k: int):
    c = Counter(2)
    c.add(k).add(3)
    return c.n, c.items, len(c), c + Counter(5), c
def cc(k):
    r = cls(k); return r[:4], type(r[4]).__name__, r[4].n
attempt(cc, 4)

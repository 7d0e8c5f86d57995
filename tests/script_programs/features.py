"""Properties, enums, interfaces, magic methods, hooks, forms of tensors and texts in compiled programs."""

# ruff: noqa: E501, E701, E702, E731, E741, F821, F841, I001, UP006, UP007, UP035, UP045
import enum

import warnings
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from programs import attempt
from torch import Tensor, nn

warnings.filterwarnings("ignore", category=DeprecationWarning)
warnings.filterwarnings("ignore", message="The TorchScript type system")


class Mode(enum.Enum):
    A = "a"
    B = "b"
class Ret(NamedTuple):
    y: Tensor
    n: Optional[int]
class Base(nn.Module):
    def __init__(self): super().__init__(); self.lin = nn.Linear(2, 2); nn.init.constant_(self.lin.weight, 0.5); nn.init.constant_(self.lin.bias, 0.)
    def pre(self, x): return x * 2
    def forward(self, x): return self.lin(self.pre(x))
class Child(Base):
    modes: List[str]
    def __init__(self):
        super().__init__(); self.mode = Mode.B; self.modes = []; self.register_buffer("nb", None); self.register_parameter("np_", None); self.count = 0; self.sf = torch.jit.script(ext); self.act = F.relu; self._v = 3; self.tup = (nn.functional.relu, 2); self.attr = torch.jit.Attribute([], List[int])
    def pre(self, x): return x * 3
    @property
    def v(self) -> int: return self._v
    @v.setter
    def v(self, k: int): self._v = k
    def forward(self, x) -> Ret:
        # type: (Tensor) -> Ret
        y = self.lin(self.pre(x))
        if self.mode == Mode.A: y = y + 1
        elif self.mode is Mode.B or self.mode.value == "b": y = y + 2
        self.modes.append(self.mode.name)
        self.count += 1
        self.v = self.v + 1
        if self.nb is None: y = y + 1
        if self.np_ is not None: y = y * self.np_
        y = self.act(self.sf(y))
        self.attr = self.attr + [self.count]
        return Ret(y, self.count if self.count > 1 else None)
def ext(x): return x - 1
c = torch.jit.script(Child())
attempt(lambda: c(torch.ones(1, 2))); attempt(lambda: c(torch.ones(1, 2))); attempt(lambda: (c.modes, c.count, c.attr, c.mode.name))
attempt(lambda: c.code)
@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: Tensor, k: int = 1) -> Tensor: pass
class S1(nn.Module):
    def forward(self, x: Tensor, k: int = 1) -> Tensor: return x + k
class S2(nn.Module):
    def forward(self, x: Tensor, k: int = 1) -> Tensor: return x * k
class Run(nn.Module):
    step: Step
    def __init__(self): super().__init__(); self.step = S1(); self.l = nn.ModuleList([S1(), S2()]); self.d = nn.ModuleDict({"a": S1()})
    def forward(self, x: Tensor, i: int):
        y = self.step.forward(x, 3)
        m: Step = self.l[i]
        return m.forward(y, 2)
r = None
def mk():
    global r; r = torch.jit.script(Run()); return r(torch.ones(1), 0), r(torch.ones(1), 1)
attempt(mk)
def swap(): r.step = torch.jit.script(S2()); return r(torch.ones(1), 0)
attempt(swap)
class V:
    def __init__(self, x: float, y: float):
        self.x = x; self.y = y
    def __add__(self, o: "V") -> "V": return V(self.x + o.x, self.y + o.y)
    def __eq__(self, o: "V") -> bool: return self.x == o.x
    def __lt__(self, o: "V") -> bool: return self.x < o.x
    def __getitem__(self, i: int) -> float: return self.x if i == 0 else self.y
    def __str__(self) -> str: return f"V({self.x}, {self.y})"
    def __bool__(self) -> bool: return self.x > 0
    def __neg__(self) -> "V": return V(-self.x, -self.y)
    def norm(self) -> float: return (self.x ** 2 + self.y ** 2) ** 0.5
    def __len__(self) -> int: return 2
    def __contains__(self, k: float) -> bool: return k == self.x
def vs():
    a = V(3.0, 4.0); b = V(1.0, 1.0)
    c = a + b
    vs_ = [a, b]
    d: Dict[str, V] = {"a": a}
    d["a"].x = 9.0
    return c.x, a == b, a < b, c[1], str(c), bool(a), (-a).y, b.norm(), len(a), vs_[1].y, a.x, 3.0 in b, 1 if b else 0
attempt(lambda: torch.jit.script(vs)())
def nested(x: List[List[int]], d: Dict[str, List[Tuple[int, str]]]):
    t = 0
    for r in x:
        for v in r: t += v
    s = ""
    for k, v in d.items():
        for n, w in v: s = s + k + str(n) + w
    return t, s, [[i * j for i in range(2)] for j in range(2)] if False else t
attempt(lambda: torch.jit.script(nested)([[1, 2], [3]], {"a": [(1, "x")]}))
def strs(a: str, n: int): return f"{a}-{n}", "{}:{}".format(a, n), a % () if False else a, "%s=%d" % (a, n), a.join(["x", "y"]), a[0:1], [c for c in a]
attempt(lambda: torch.jit.script(strs)("ab", 2))
def devs(x): return x.to("cpu"), x.to(torch.device("cpu")), x.device.type, x.device == torch.device("cpu"), x.cpu().dtype, x.to(dtype=torch.float64).dtype, x.is_cuda, x.long(), x.new_zeros([2]), torch.zeros_like(x), x.dtype == torch.float32, x.requires_grad, x.type_as(x), x.is_floating_point(), torch.tensor([[1, 2]], dtype=torch.float32), torch.as_tensor(3), torch.scalar_tensor(2.0), x.element_size(), x.ndim, x.T.shape, x.data, x.detach(), torch.numel(x), x.is_contiguous(), x.stride(), x.storage_offset()
attempt(lambda: torch.jit.script(devs)(torch.ones(2, 2)))
def reds(x): return x.max(), x.max(0)[0], x.max(dim=0).values, torch.max(x, x), x.min(1).indices, x.argmax(), x.argmax(dim=1), x.sum(dim=1), x.sum([0, 1]), x.mean(), x.std(), x.var(0, False), x.norm(), x.norm(2, 1), x.prod(), x.cumsum(0), x.sort(1)[0], x.topk(1)[0], torch.median(x), x.all(), (x > 1).any(), x.abs().clamp(0, 1).clamp(min=0.5).pow(2).sqrt().exp().log(), x.unbind(0)[0], x.split(1)[0], torch.split(x, [1, 1]), x.chunk(2, 1)[1], torch.stack([x, x], 1).shape, torch.cat((x, x), 0).shape, x.repeat(1, 2).shape, x.gather(1, torch.zeros(2, 1, dtype=torch.long)), x.index_select(0, torch.tensor([0])), x.masked_fill(x > 1, 0.), torch.where(x > 1, x, 0. * x), x.nonzero(), torch.triu(x), x.diagonal(), torch.eye(2), x @ x, torch.dot(x[0], x[1]), torch.outer(x[0], x[0]), x.flatten(), x.unsqueeze(-1).squeeze(), torch.linspace(0, 1, 3), torch.full((2,), 3), torch.clamp(x, max=1.0)
attempt(lambda: torch.jit.script(reds)(torch.arange(4.).reshape(2, 2)))
class Old(torch.jit.ScriptModule):
    __constants__ = ["k"]
    def __init__(self):
        super().__init__(); self.k = 2; self.w = nn.Parameter(torch.ones(2)); self.lin = nn.Linear(2,2); nn.init.constant_(self.lin.weight, 1.); nn.init.constant_(self.lin.bias, 0.)
    @torch.jit.script_method
    def forward(self, x):
        return self.lin(x) * self.w * self.k + self.helper(x)
    @torch.jit.script_method
    def helper(self, x): return x + 1
attempt(lambda: Old()(torch.ones(1,2))); attempt(lambda: isinstance(Old(), torch.jit.ScriptModule)); attempt(lambda: list(Old().state_dict()))
attempt(lambda: [n for n,_ in Old().named_parameters()])
class H(nn.Module):
    def __init__(self): super().__init__(); self.lin = nn.Linear(2, 2)
    def forward(self, x: Tensor) -> Tensor: return self.lin(x)
def hook(self, inp: Tuple[Tensor], out: Tensor): return out * 0 + 5
def pre(self, inp: Tuple[Tensor]) -> Tuple[Tensor]: return (inp[0] * 2,)
h = H(); h.register_forward_hook(hook); h.register_forward_pre_hook(pre)
attempt(lambda: torch.jit.script(h)(torch.ones(1, 2)))
h2 = H(); h2.lin.register_forward_hook(hook)
attempt(lambda: torch.jit.script(h2)(torch.ones(1, 2)))
def rec(n: int) -> int:
    if n == 0: return 0
    return rec(n - 1) + 1
attempt(lambda: torch.jit.script(rec)(3))
def anyf(x: Any) -> str:
    if isinstance(x, int): return "int"
    if isinstance(x, List[int]) if False else isinstance(x, str): return "str"
    return "other"
attempt(lambda: [torch.jit.script(anyf)(v) for v in (1, "a", 2.5)])
def numf(x: Union[int, float], t):
    y = t * x if isinstance(x, int) else t
    return y
attempt(lambda: torch.jit.script(numf)(2, torch.ones(1)))
def kw(x, *, k: int): return x * k
attempt(lambda: torch.jit.script(kw)(torch.ones(1), k=3)); attempt(lambda: torch.jit.script(kw).schema)
def gen(x: Tensor, g: Optional[torch.Generator] = None) -> Tensor: return torch.rand(2, generator=g) * 0 + x
attempt(lambda: torch.jit.script(gen)(torch.ones(2)))
def inpl(x):
    x.add_(1).mul_(2)
    x += 1
    y = x[0]
    y += 5
    x.zero_() if False else x.sub_(1)
    return x
attempt(lambda: torch.jit.script(inpl)(torch.ones(2)))
def futs(xs: List[Tensor]) -> List[Tensor]:
    fs = [torch.jit.fork(dbl, x) for x in xs]
    return [torch.jit.wait(f) for f in fs]
def dbl(x): return x * 2
attempt(lambda: torch.jit.script(futs)([torch.ones(1), torch.zeros(1)]))


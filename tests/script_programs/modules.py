"""Compiled modules: attributes, containers, text, frozen forms."""

# ruff: noqa: E501, E701, E702, I001, E741, F821, F841, UP006, UP007, UP035, UP045, B018
import warnings
from typing import Dict, Final, List, Optional

import torch
import torch.nn.functional as F
from programs import attempt, show
from torch import Tensor, nn

warnings.filterwarnings("ignore", category=DeprecationWarning)

class M(nn.Module):
    K: Final[int] = 3
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        self.act = nn.ModuleDict({"r": nn.ReLU(), "t": nn.Tanh()})
        self.flag = True; self.names = ["x", "y"]; self.register_buffer("cnt", torch.zeros(1)); self.f = F.relu; self.scale = torch.jit.Attribute(None, Optional[float])
        for p in self.parameters(): nn.init.constant_(p, 0.5)
    def forward(self, x, k: int = 2):
        for i, l in enumerate(self.layers):
            x = l(x) * (i + 1)
        for name, a in self.act.items():
            x = a(x) if name == "r" else x
        x = self.act["t"](x) + self.K
        if self.flag and self.training:
            x = x + 1
        self.cnt += 1
        scale = self.scale
        if scale is not None:
            x = x * scale
        x = self.layers[0](x) + len(self.layers) + self.helper(x, k=k) + self.f(x)
        if hasattr(self, "nothing"):
            x = self.nothing(x)
        return x, self.names[0]
    def helper(self, x, k: int):
        return x * k
    @torch.jit.export
    def other(self, a: List[Tensor]) -> List[Tensor]:
        return [t + self.cnt for t in a]
    @torch.jit.unused
    def bad(self, x): return undefined_thing(x)
    @torch.jit.ignore
    def py(self, x: Tensor) -> Tensor: return x + float(str(1))
m = torch.jit.script(M())
attempt(m, torch.ones(1, 2)); attempt(m.eval(), torch.ones(1,2), 3); attempt(m.other, [torch.ones(1)])
show(str(m)); show(m.helper.code); show(list(m.state_dict()))
show(m.training, m.layers[0].weight.shape, m.K, m.flag, m.names, m.original_name, len(list(m.named_modules())))
show(len(m.layers), "r" in m.act, [n for n in m.act])
attempt(lambda: m.nothing)
attempt(m, 3)
attempt(m)
attempt(m, torch.ones(1, 2), 2, 3)
attempt(lambda: m(x=torch.ones(1, 2), k=1))
attempt(lambda: m.train()(torch.ones(1, 2)))
attempt(lambda: m.bad(1))
attempt(lambda: m.py(torch.ones(1)))
attempt(setattr, m, "names", 3)
attempt(setattr, m, "names", ["q"])
attempt(lambda: m.names)
attempt(lambda: m.cnt)
attempt(lambda: m.double().layers[0].weight.dtype)
m = m.float()


class Sub(nn.Module):
    def __init__(self, k: int):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.k = k
        self.register_buffer("b", torch.zeros(3))
        for p in self.parameters(): nn.init.constant_(p, 0.5)

    def forward(self, x, y: Optional[Tensor] = None):
        if y is not None:
            x = x + y
        for i in range(self.k):
            x = self.lin(x) * i
        return x + self.b


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.seq = nn.Sequential(Sub(2), nn.ReLU(), nn.Dropout(0.1))
        self.l = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 4)])
        self.d = {"a": 1}
        for p in self.parameters(): nn.init.constant_(p, 0.5)

    def forward(self, x: Tensor, n: int) -> Dict[str, Tensor]:
        out: List[Tensor] = []
        for m in self.l:
            if n > 2:
                n = n - 1
            out.append(m(self.seq(x)))
        t = torch.zeros([2, 3], dtype=torch.float32)
        t[:, 0] = 2
        z = out[0][:, 1:3] if n > 3 else t
        while n < 10:
            n += 1
            if n == 5: break
        assert n > 2, f"bad {n}"
        return {"a": out[0], "z": z, "k": torch.tensor(self.d["a"])}


net = torch.jit.script(Net().eval())
show(net.code)
show(net.seq.code)
attempt(net, torch.ones(2, 3), 4)
attempt(net, torch.ones(2, 3), 1)
show(str(net.graph.findNode("prim::Loop").kind()), len(net.graph.findAllNodes("prim::CallMethod")))
show([n.kind() for n in net.seq.graph.nodes()])
show([v.type().kind() for v in net.graph.inputs()], str(net.forward.schema).split("(")[0])
frozen = torch.jit.freeze(net)
attempt(frozen, torch.ones(2, 3), 4)
show(list(frozen.state_dict()), hasattr(frozen, "training"))
attempt(torch.jit.freeze, nn.ReLU())
attempt(torch.jit.freeze, torch.jit.script(nn.ReLU()))
attempt(torch.jit.optimize_for_inference, nn.ReLU())

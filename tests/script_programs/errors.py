"""What TorchScript refuses, and how it says so."""

# ruff: noqa: E501, E701, E702, I001, F841, UP006, UP007, UP035, UP045, E722, F821, F841, F842
import warnings
from typing import Dict, List, Optional, Tuple

import torch
from programs import attempt
from torch import Tensor, nn

warnings.filterwarnings("ignore", category=DeprecationWarning)


def compiled(thing):
    torch.jit.script(thing)
    return "compiles"


GLOBAL = 3
def unannotated(x: int) -> str: return x
def undefined(x): return nothing_of_that_name(x)
def attribute(x): return x.nothing
def method(x): return x.nothing(1)
def several(x, *args): return x
def returns(x: int):
    if x > 1: return 1
    return "a"
def closure(x): return x + GLOBAL
def unknown(x: "Foo"): return x
def unpacked(x):
    a, b = x, x, x
    return a
def no_dict(x: Dict[str, int]): return x.foo
def no_call(x: int): return x()
def generators(x: int): return [i for i in range(x) for j in range(x)]
def none(x: int) -> Tensor: return None
def global_(x):
    global GLOBAL
    return x
def class_(x):
    class A: pass
    return x
def try_(x):
    try: return x
    except: pass
def optional(x: int) -> Optional[int]:
    if x > 1: return 1


FUNCTIONS = (unannotated, undefined, attribute, method, several, returns, closure, unknown, unpacked, no_dict, no_call, none,
             global_, class_, try_, optional)
for function in FUNCTIONS:
    attempt(compiled, function)


class NoAttribute(nn.Module):
    def forward(self, a): return self.zzz
class WrongType(nn.Module):
    def __init__(self): super().__init__(); self.n = 1
    def forward(self, a): self.n = "x"; return a
class New(nn.Module):
    def forward(self, a): self.q = 1; return a
class Uninitialised(nn.Module):
    def __init__(self): self.n = 1
    def forward(self, a): return a


for module in (NoAttribute, WrongType, New):
    attempt(compiled, module())
attempt(lambda: compiled(Uninitialised()))


@torch.jit.script
def checked(n: int, xs: List[float], t: Tuple[int, str], o: Optional[Tensor] = None) -> int:
    if n > 2:
        raise ValueError(f"bad {n}")
    assert n > 0, "neg"
    return [1, 2][n]


for args in ((3, [1.0], (1, "a")), (-1, [1.0], (1, "a")), (2, [1.0], (1, "a")), ("a", [1.0], (1, "a")), (1, 3, (1, "a")),
             (1, [1.0], (1, "a"), None, 5), (1,), (1, [1.0], (1, "a"), torch.ones(1))):
    attempt(checked, *args)
attempt(lambda: checked(m=2))
attempt(torch.jit.script, 3)
attempt(torch.jit.interface, 3)
attempt(torch.jit.load, "/nope")
attempt(torch.jit.set_fusion_strategy, [("X", 1)])
attempt(lambda: torch.jit.isinstance([1, 2], List[int]))
attempt(lambda: torch.jit.isinstance([1, "a"], List[int]))
attempt(lambda: torch.jit.isinstance({"a": (1, [2.0])}, Dict[str, Tuple[int, List[float]]]))
attempt(lambda: torch.jit.annotate(int, 3))
attempt(lambda: torch.jit.wait(torch.jit.fork(lambda a: a + 1, 2)))
attempt(lambda: (torch.jit.is_scripting(), torch.jit.is_tracing()))

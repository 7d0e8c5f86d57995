#!/usr/bin/env python3
"""Write archives of compiled modules, and what the modules give, under the reference's interpreter.

    REFERENCE/bin/python tools/make_script_archives.py [FOLDER]

Each archive of tests/data/script_archives holds a module or a function that torch.jit.save wrote, and in its extra
record ``cases.pt`` a list of (method, arguments, result).
"""

import io
import sys
from enum import Enum
from pathlib import Path
from typing import Dict, Final, List, NamedTuple, Optional, Tuple, Union  # noqa: UP035  TorchScript reads these

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
# ruff: noqa: UP006, UP007, UP045


class Color(Enum):
    RED = 1
    GREEN = 2


class Point(NamedTuple):
    at: Tensor
    weight: float


@torch.jit.script
class Tally:
    def __init__(self, start: int):
        self.total = start
        self.seen: List[int] = []

    def add(self, n: int) -> int:
        self.total += n
        self.seen.append(n)
        return self.total


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x).softmax(-1)


class Convnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        return self.head(x.flatten(1))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.lstm = nn.LSTM(4, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(10, 3)

    def forward(self, tokens) -> Tuple[Tensor, Tensor]:
        y, (h, c) = self.lstm(self.embed(tokens))
        z, _ = self.gru(y)
        return z, h + c


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

    def forward(self, x, mask: Optional[Tensor] = None):
        return self.layer(x, src_key_padding_mask=mask)


class Control(nn.Module):
    steps: Final[int] = 3

    def __init__(self):
        super().__init__()
        self.cells = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])

    def forward(self, x, n: int, limit: Optional[float] = None) -> Tensor:
        for i in range(n):
            if i == 2:
                continue
            if i > 5:
                break
            x = x + i
        for i, cell in enumerate(self.cells):
            x = cell(x) * (i + 1)
        while bool(x.abs().sum() < 10) and n < 100:
            x = x * 2 + 0.5
            n += 1
            if n == 50:
                return x
        if limit is not None:
            x = x.clamp(-limit, limit)
        else:
            x = x / self.steps
        assert n > 0, f"n is {n}"
        return x[:, 0] if x.dim() > 1 else x


class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = {"a": 1, "b": 2}
        self.names = ["x", "y"]
        self.pair = (1.5, "t")
        self.register_buffer("bias", torch.ones(2))

    def forward(self, xs: List[Tensor], scale: Dict[str, float]) -> Dict[str, List[Tensor]]:
        out: Dict[str, List[Tensor]] = {}
        for k, v in scale.items():
            out[k] = [x * v + self.bias for x in xs]
        out["z"] = [xs[0] * self.table["a"], xs[-1].to(torch.float64).to(torch.float32)]
        self.names.append("n")
        return out

    @torch.jit.export
    def words(self, text: str, n: int) -> Tuple[str, List[str], int, bool]:
        parts = text.split(" ")
        joined = "-".join([p.upper() for p in parts])
        return f"{joined} {n} {n / 2}", parts, n // 2 + len(text), text.startswith("a") or "b" in parts


class Objects(nn.Module):
    point: Point

    def __init__(self):
        super().__init__()
        self.color = Color.GREEN
        self.point = Point(torch.ones(2), 2.0)
        self.tally = Tally(3)

    def forward(self, x) -> Tuple[Tensor, int, int]:
        made = Tally(1)
        with torch.no_grad():
            y = x * self.tally.add(2) + made.add(4)
        if self.color == Color.RED:
            y = -y
        task = torch.jit.fork(self.shifted, y)
        p = Point(torch.jit.wait(task), self.point.weight)
        return p.at * p.weight + self.point.at, self.color.value, made.total

    def shifted(self, x):
        return x + 1

    @torch.jit.export
    def either(self, x: Union[int, str]) -> int:
        if isinstance(x, int):
            return x + 1
        return len(x)


@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Stepped(nn.Module):
    step: Step

    def __init__(self):
        super().__init__()
        self.step = Doubled()

    def forward(self, x: Tensor) -> Tensor:
        return self.step.forward(x) + 1


def mixed(x, n: int = 2, flag: bool = True) -> Tuple[Tensor, Tensor]:
    values, places = torch.topk(x, n)
    y = x.clone()
    y[0] = 5
    y[1:] += values.sum()
    z = torch.where(x > 0, y, torch.full_like(x, float("-inf")))
    if flag:
        z = torch.cat([z, values])
    return z, torch.stack([places, torch.arange(n)]).sum(0)


def cases():
    """Name, module or function, and calls as (method, arguments)."""
    x = torch.linspace(-1, 1, 8).view(2, 4)
    image = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    yield "mlp", torch.jit.script(Mlp().eval()), [("forward", (x,))]
    yield "mlp_traced", torch.jit.trace(Mlp().eval(), x), [("forward", (x * 2,))]
    yield "convnet", torch.jit.script(Convnet().eval()), [("forward", (image,))]
    yield "convnet_traced", torch.jit.trace(Convnet().eval(), image), [("forward", (image + 1,))]
    yield "convnet_frozen", torch.jit.freeze(torch.jit.script(Convnet().eval())), [("forward", (image,))]
    yield "sequence", torch.jit.script(Sequence()), [("forward", (tokens,))]
    yield "sequence_traced", torch.jit.trace(Sequence(), tokens), [("forward", (tokens,))]
    yield "attention", torch.jit.script(Attention()), [
        ("forward", (torch.linspace(-1, 1, 48).view(2, 3, 8),)),
        ("forward", (torch.linspace(-1, 1, 48).view(2, 3, 8), torch.tensor([[False, False, True]] * 2))),
    ]
    yield "control", torch.jit.script(Control()), [
        ("forward", (torch.ones(2, 2), n, limit)) for n in (1, 4, 9, 49) for limit in (None, 1.5)
    ]
    yield "containers", torch.jit.script(Containers()), [
        ("forward", ([torch.ones(2), torch.arange(2.0)], {"p": 2.0, "q": -1.0})), ("words", ("a big word", 7)),
    ]
    yield "objects", torch.jit.script(Objects()), [
        ("forward", (torch.ones(2),)), ("either", (3,)), ("either", ("abc",)),
    ]
    yield "interface", torch.jit.script(Stepped()), [("forward", (torch.ones(2),))]
    x = torch.tensor([1.0, -2.0, 3.0])
    yield "function", torch.jit.script(mixed), [("forward", (x, 2, True)), ("forward", (x, 1, False))]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/data/script_archives"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name, module, calls in cases():
        buffer = io.BytesIO()
        torch.jit.save(module, buffer)
        buffer.seek(0)
        loaded = torch.jit.load(buffer)
        found = []
        for method, args in calls:
            result = getattr(loaded, method)(*args)
            found.append((method, args, result))
        record = io.BytesIO()
        torch.save(found, record)
        torch.jit.save(module, str(folder / f"{name}.pt"), _extra_files={"cases.pt": record.getvalue()})
    print(f"{folder}: {len(list(folder.glob('*.pt')))} archives")


if __name__ == "__main__":
    main()

"""Call every operation with random, mostly malformed arguments and report what crashes or hangs.

Not a part of the ordinary tests (pytest collects it only by name). Runs calls in worker processes:

    python tests/fuzz_calls.py                       # every operation, 40 calls each
    python tests/fuzz_calls.py --calls 400 'conv*'   # more of some
    python tests/fuzz_calls.py --show conv2d:17      # one call again, in this process, and say what it is

Whatever a call raises is fine. What is reported: a worker that died, a call that did not come back in time,
SystemError, and what a sanitizer wrote (under one, set LD_PRELOAD and ASAN_OPTIONS as CONTRIBUTING.md says).
"""

import argparse
import fnmatch
import os
import random
import resource
import select
import subprocess
import sys
import warnings

import torch

PLACES = ("_VariableFunctions", "_nn", "_linalg", "_fft", "_special")
SKIPPED = {"from_file"}  # writes files
# their work grows with the value of an argument, in PyTorch too
SKIPPED |= {"mvlgamma", "mvlgamma_", "multigammaln", "laguerre_polynomial_l", "legendre_polynomial_p"}
DTYPES = [torch.float32] * 6 + [
    torch.float64,
    torch.int64,
    torch.int64,
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
]
DTYPES += [torch.int32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128, torch.uint16]
SIZES = [0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 17]
INTS = [0, 1, 1, 2, 2, 3, -1, -1, -2, -3, 4, 5, 7, -5, 100, -100, 2**31, -(2**31) - 1, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, 1.0, 0.5, -0.5, 1e-5, 2.0, -3.7, float("nan"), float("inf"), -float("inf"), 1e300, 1e-300]
WORDS = [
    "none",
    "mean",
    "sum",
    "prod",
    "amax",
    "amin",
    "reflect",
    "constant",
    "replicate",
    "circular",
    "same",
    "valid",
]
WORDS += [
    "tanh",
    "linear",
    "nearest",
    "bilinear",
    "ij",
    "xy",
    "left",
    "right",
    "floor",
    "trunc",
    "fro",
    "nuc",
    "",
    "é",
]
OBJECTS = [None, "text", [], [[1, 2], [3]], object(), 1.5, True, 2**70, torch.float32, torch.device("cpu"), b"x", {}]


class Arguments:
    """Random values per schema type; one seed gives the same values each time."""

    def __init__(self, seed: str):
        self.random = random.Random(seed)
        self.dtype = self.random.choice(DTYPES)
        self.shape = self.new_shape()
        self.made: list[torch.Tensor] = []

    def new_shape(self) -> list[int]:
        dims = self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6])
        return [self.random.choice(SIZES if dims < 4 else SIZES[:-2]) for _ in range(dims)]

    def chance(self, percent: int) -> bool:
        return self.random.random() * 100 < percent

    def near_shape(self) -> list[int]:
        shape = list(self.shape)
        if self.chance(20):
            return self.new_shape()
        if shape and self.chance(25):
            shape[self.random.randrange(len(shape))] = self.random.choice(SIZES)
        if shape and self.chance(15):
            del shape[self.random.randrange(len(shape))]
        if self.chance(10):
            shape.insert(self.random.randrange(len(shape) + 1), self.random.choice(SIZES))
        return shape

    def tensor(self) -> torch.Tensor:
        if self.made and self.chance(10):
            return self.random.choice(self.made)
        dtype = self.dtype if self.chance(70) else self.random.choice(DTYPES)
        shape = self.near_shape()
        high = self.random.choice([2, 3, 4, 10, 300])
        made = torch.randint(self.random.choice([0, 0, 0, -3]), high, shape).to(dtype)
        if dtype.is_floating_point or dtype.is_complex:
            made = made * self.random.choice([1, 0.37, -0.37, 1e30])
            if self.chance(10):
                made = made + self.random.choice(FLOATS)
        elif dtype is torch.int64 and self.chance(10):
            made = made * (2**61)
        if made.dim() > 1 and self.chance(20):
            made = made.transpose(self.random.randrange(made.dim()), self.random.randrange(made.dim()))
        if made.dim() and self.chance(10):
            made = made[(slice(None),) * (made.dim() - 1) + (slice(1, None, 2),)]
        if made.dim() and self.chance(7):
            made = made[..., :1].expand([*made.shape[:-1], max(1, made.shape[-1])]) if made.shape[-1] else made
        if self.chance(4):
            made = made.to("meta")
        if dtype.is_complex and self.chance(10):
            made = made.conj()
        if (made.is_floating_point() or made.is_complex()) and self.chance(25):
            made = made.detach().requires_grad_()
            if self.chance(50):
                made = made.view_as(made)
        self.made.append(made)
        return made

    def integer(self) -> int:
        return self.random.choice(INTS[:10] if self.chance(85) else INTS)

    def integers(self, count: int | None) -> object:
        if self.chance(15) and count:
            return self.integer()
        if self.chance(40) and self.shape and not count:
            return list(self.shape)
        length = count if count and self.chance(90) else self.random.randrange(6)
        return [self.random.choice(INTS[:7]) if self.chance(90) else self.integer() for _ in range(length)]

    def value(self, kind: str) -> object:
        if self.chance(2):
            return self.random.choice(OBJECTS)
        if kind.endswith("?") and self.chance(50):
            return None
        kind = kind.rstrip("?")
        if kind.endswith("]"):
            element, _, count = kind[:-1].partition("[")
            if element.rstrip("?") == "int":
                return self.integers(int(count) if count else None)
            return [self.value(element) for _ in range(int(count) if count else self.random.randrange(4))]
        if kind.startswith("Tensor"):
            return self.tensor()
        if kind == "Operand":
            return self.tensor() if self.chance(70) else self.value("Scalar")
        if kind == "Scalar":
            return self.random.choice([*INTS, *FLOATS, True, 1 + 2j])
        if kind == "int":
            return self.integer()
        if kind == "float":
            return self.random.choice(FLOATS)
        if kind == "bool":
            return self.chance(50)
        if kind == "str":
            return self.random.choice(WORDS)
        if kind == "dtype":
            return self.random.choice(DTYPES)
        if kind == "Device":
            return self.random.choice(["cpu", "cpu", "meta"])
        if kind == "Layout":
            return torch.strided
        if kind == "MemoryFormat":
            return self.random.choice([torch.contiguous_format, torch.channels_last, torch.preserve_format])
        if kind == "Generator":
            return torch.Generator()
        return self.random.choice(OBJECTS)

    def for_schema(self, schema: str) -> tuple[list, dict]:
        positional, named, keyword = [], {}, False
        inside = schema[schema.index("(") + 1 : schema.rindex(") ->")]
        for parameter in inside.split(", ") if inside else []:
            if parameter == "*":
                keyword = True
                continue
            kind, _, name = parameter.partition(" ")
            name, has_default, _ = name.partition("=")
            if has_default and (keyword or named) and self.chance(50):
                continue
            if has_default and self.chance(30):
                keyword = True
                continue
            if keyword:
                named[name] = self.value(kind)
            else:
                positional.append(self.value(kind))
        if self.chance(3):
            positional.append(self.random.choice(OBJECTS))
        return positional, named


def targets() -> dict[str, tuple]:
    """Return what can be called: name -> (function, schemas, is it a method)."""
    found = {}
    for place in (*PLACES, "_ops"):
        module = getattr(torch._C, place)
        for name in dir(module):
            if schemas := getattr(getattr(module, name), "_schemas", None):
                key = name if place == "_VariableFunctions" else f"{place.strip('_')}.{name}"
                found[key] = (getattr(module, name), schemas, False)
    for name in dir(torch.Tensor):
        method = getattr(torch.Tensor, name)
        if schemas := getattr(method, "_schemas", None):
            found[f"Tensor.{name}"] = (method, schemas, True)
        elif callable(method) and not name.startswith("__") and type(method).__name__ == "method_descriptor":
            found[f"Tensor.{name}"] = (
                method,
                (
                    "(Tensor self, int a=0, int b=0, float c=0) -> Tensor",
                    "(Tensor self, int[] a=0, int[]? b=0, int? c=0) -> Tensor",
                    "(Tensor self, Tensor a=0, dtype b=0) -> Tensor",
                ),
                True,
            )
    found["Tensor.__getitem__"] = (get_item, ("(Tensor self) -> Tensor",), True)
    found["Tensor.__setitem__"] = (set_item, ("(Tensor self, Operand value) -> Tensor",), True)
    return {name: found[name] for name in sorted(found) if name.rpartition(".")[2] not in SKIPPED}


def random_index(tensor: torch.Tensor, some: Arguments) -> object:
    def one():
        kind = some.random.randrange(9)
        if kind == 0:
            return slice(*(some.random.choice([None, some.integer()]) for _ in range(3)))
        if kind == 1:
            return some.integer()
        if kind == 2:
            return some.random.choice([None, Ellipsis, True, False])
        if kind == 3:
            return torch.randint(-3, 4, some.near_shape()[:2])
        if kind == 4:
            return torch.randint(0, 2, tensor.shape[: some.random.randrange(tensor.dim() + 1)]).bool()
        if kind == 5:
            return [some.random.choice(INTS[:9]) for _ in range(some.random.randrange(4))]
        if kind == 6:
            return some.tensor()
        return slice(None)

    return one() if some.chance(30) else tuple(one() for _ in range(some.random.randrange(5)))


def get_item(tensor, *_, some):
    return tensor[random_index(tensor, some)]


def set_item(tensor, value=0, *_, some):
    tensor[random_index(tensor, some)] = value
    return tensor


def prepare(name: str, number: int, target: tuple):
    """Return (function, positional, named) of one random call."""
    function, schemas, is_method = target
    some = Arguments(f"{name}:{number}")
    torch.manual_seed(number)
    positional, named = some.for_schema(some.random.choice(schemas))
    if function in (get_item, set_item):
        named = {"some": some}
    elif not is_method and some.chance(15):
        into = [some.tensor() for _ in range(some.random.choice([1, 1, 2, 3]))]
        if some.made and some.chance(50):
            into[0] = some.random.choice(some.made)  # overlaps an input
        named["out"] = into[0] if len(into) == 1 else tuple(into)
    return function, positional, named


def look_at(result: object, depth: int = 0) -> None:
    """Read every element of the result and run its backward: bad memory shows here."""
    if isinstance(result, torch.Tensor):
        if result.device.type != "meta" and result.numel() < 1e5:
            if depth == 0 and result.requires_grad:
                gradient = torch.ones_like(result)
                result.backward(gradient)
            result.detach().clone().contiguous().tolist()
            if result.numel() < 50:
                repr(result)
    elif isinstance(result, (tuple, list)):
        for item in result[:50]:
            look_at(item)


def call(name: str, number: int, target: tuple) -> str:
    """Make one call and say in a word what came of it."""
    try:
        function, positional, named = prepare(name, number, target)
        look_at(function(*positional, **named))
    except SystemError as error:
        return f"SystemError: {error}"
    except (Exception, RecursionError) as error:
        return type(error).__name__
    return "ok"


def work(calls: int, start: int, memory: int) -> None:
    """The worker: reads names, and writes a line before each call and after each operation."""
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(2)
    warnings.simplefilter("ignore")
    known = targets()
    for line in sys.stdin:
        name, first = line.split()
        raised = 0
        for number in range(int(first), start + calls):
            print("call", name, number, flush=True)
            outcome = call(name, number, known[name])
            raised += outcome != "ok"
            if outcome.startswith("SystemError"):
                print("bad", name, number, outcome, flush=True)
        print("done", name, raised, flush=True)


class Worker:
    """One worker process and what it said last."""

    def __init__(self, calls: int, start: int, memory: int, log: str):
        self.log = open(log, "a+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", "--calls", str(calls), "--start", str(start), "--memory", str(memory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
        )  # fmt: skip
        self.unread = b""

    def line(self, patience: float) -> str | None:
        """Return the worker's next line, "" if it is gone, None if none came in time."""
        source = self.process.stdout.fileno()
        while b"\n" not in self.unread:
            if not select.select([source], [], [], patience)[0]:
                return None
            more = os.read(source, 1 << 16)
            if not more:
                return ""
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode(errors="replace")

    def ask(self, name: str, first: int, patience: float):
        """Yield what happens while the worker calls one operation; the last thing is done, died or hung."""
        number = first
        try:
            self.process.stdin.write(f"{name} {first}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            yield "died", number, self.tail()
            return
        while True:
            line = self.line(patience)
            if not line:
                if line is None:
                    self.process.kill()
                self.process.wait()
                what = "hung" if line is None else "died"
                yield what, number, f"status {self.process.returncode}\n{self.tail()}"
                return
            word, *rest = line.split(maxsplit=3)
            if word == "call":
                number = int(rest[1])
            elif word == "bad":
                yield "bad", int(rest[1]), rest[2].strip()
            elif word == "done":
                yield "done", int(rest[1]), ""
                return

    def tail(self) -> str:
        self.log.seek(0)
        return self.log.read()[-6000:]

    def close(self) -> str:
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait()
        return self.tail()


def fuzz(patterns: list[str], calls: int, start: int, memory: int, patience: float, log: str) -> int:
    # derivatives' own operations (ops.*) trust their callers, so they are called only when asked for
    names = [
        n for n in targets() if any(fnmatch.fnmatch(n, p) for p in patterns) or not (patterns or n.startswith("ops."))
    ]
    print(f"{len(names)} operations, calls {start} to {start + calls - 1} of each", flush=True)
    found, worker, made, raised = 0, None, 0, 0
    for name in names:
        first, losses = start, 0
        while first < start + calls and losses < 3:
            worker = worker or Worker(calls, start, memory, log)
            for event, number, text in worker.ask(name, first, patience):
                if event == "done":
                    made, raised, first = made + calls, raised + number, start + calls
                    continue
                found += 1
                print(f"{event} {name}:{number} {text}", flush=True)
                if event != "bad":
                    worker, first, losses = None, number + 1, losses + 1
    if worker:
        print(worker.close()[-20000:], end="")
    print(f"{made} calls, {raised} raised, {found} findings")
    return found


def test_nothing_crashes():
    assert fuzz([], 10, 0, 4 << 30, 20.0, os.devnull) == 0


def show(which: str) -> None:
    name, _, number = which.rpartition(":")
    function, positional, named = prepare(name, int(number), targets()[name])
    print(name, flush=True)
    for key, value in [*enumerate(positional), *named.items()]:
        if isinstance(value, torch.Tensor):
            about = f"{value.dtype} {list(value.shape)} strides {value.stride()} {value.device}"
            about += f" grad {value.requires_grad}"
            print(f"  {key}: tensor {about}", value if value.numel() < 40 else "", flush=True)
        else:
            print(f"  {key}: {value!r}", flush=True)
    print("->", call(name, int(number), targets()[name]))
    result = function(*positional, **named)
    print(result)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("patterns", nargs="*", help="names of operations, with wildcards")
    parser.add_argument("--calls", type=int, default=40, help="calls of each operation")
    parser.add_argument("--start", type=int, default=0, help="number of the first call: other numbers, other calls")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after which a call counts as hung")
    parser.add_argument(
        "--memory", type=int, default=4 << 30, help="address space of a worker; 0: any (for sanitizers)"
    )
    parser.add_argument("--log", default=f"/tmp/fuzz-{os.getpid()}.log", help="where workers write their errors")
    parser.add_argument("--show", help="NAME:NUMBER of one call to make in this process")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.calls, chosen.start, chosen.memory)
    elif chosen.show:
        show(chosen.show)
    else:
        args = (chosen.patterns, chosen.calls, chosen.start, chosen.memory, chosen.patience, chosen.log)
        return int(fuzz(*args) > 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Checkpoints that cross between PyTorch and here, and what has to come out of them on the other side.

tools/record_checkpoints.py runs this under the reference and stores the files with what they hold, for the tests.
tools/check_checkpoints.py has the files written here loaded by the reference.
"""

from __future__ import annotations

import argparse
import collections
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

DTYPES = "uint8 int8 int16 int32 int64 bool float16 bfloat16 float32 float64 complex64 complex128".split()
YOUNG_DTYPES = "uint16 uint32 uint64 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz".split()


class Case:
    """One checkpoint: how it is made and saved, and what is derived from it after loading.

    Args:
        make: gives the object.
        after: gives what the loaded object leads to: values of a step that goes on from it.
        trusted: whether only ``weights_only=False`` loads it.
        safe: what has to be allowed for ``weights_only=True``.
        stored: whether the reference's file is kept: the old format puts the source of modules into it.
        options: for ``torch.save``.
    """

    def __init__(
        self, make: Any, after: Any = None, trusted: bool = False, safe: Any = (), stored: bool = True, **options: Any
    ) -> None:
        self.make = make
        self.after = after
        self.trusted = trusted
        self.safe = list(safe)
        self.stored = stored
        self.options = options

    def save(self, path: Path) -> Any:
        """Write the file, and return the object."""
        torch.manual_seed(0)
        obj = self.make()
        torch.save(obj, path, **self.options)
        return obj

    def load(self, path: Path, **options: Any) -> Any:
        """Read the file."""
        with torch.serialization.safe_globals(self.safe):
            return torch.load(path, weights_only=not self.trusted, **options)

    def describe(self, obj: Any) -> Any:
        """What is compared: the object, and what it leads to."""
        found = {"object": describe(obj)}
        if self.after is not None:
            found["after"] = describe(self.after(obj))
        return found


def describe(obj: Any) -> Any:
    """An object as JSON."""
    if isinstance(obj, torch.Tensor):
        return describe_tensor(obj)
    if isinstance(obj, nn.Module):
        return {"module": repr(obj), "training": obj.training, "state": describe(obj.state_dict())}
    if isinstance(obj, (torch.UntypedStorage, torch.storage.TypedStorage)):
        return {"storage": [describe(v) for v in obj.tolist()], "nbytes": obj.nbytes()}
    if isinstance(obj, argparse.Namespace):
        return {"namespace": describe(vars(obj))}
    if isinstance(obj, dict):
        kind = type(obj).__name__
        return {kind: [[describe(key), describe(value)] for key, value in obj.items()]}
    if isinstance(obj, (set, frozenset)):
        return {type(obj).__name__: sorted(map(str, obj))}
    if isinstance(obj, (list, tuple)):
        return {type(obj).__name__: [describe(value) for value in obj]}
    if type(obj) in (bool, int, str) or obj is None:
        return obj
    if type(obj) is float:
        return obj if math.isfinite(obj) else {"float": str(obj)}
    if type(obj).__module__ == "numpy":
        return {type(obj).__name__: describe(obj.tolist()), "dtype": str(obj.dtype)}
    return {type(obj).__name__: repr(obj)}


def describe_tensor(obj: torch.Tensor) -> Any:
    """A tensor as JSON: what it is, how it lies in memory, and its values."""
    found: dict[str, Any] = {"tensor": str(obj.dtype), "class": "Parameter" if isinstance(obj, nn.Parameter) else ""}
    found["requires_grad"] = obj.requires_grad
    if obj.is_nested:
        found["parts"] = [describe(part) for part in obj.unbind()]
        return found
    found["shape"] = list(obj.shape)
    if obj.layout is not torch.strided:
        found["layout"] = str(obj.layout)
        found["dense"] = describe(obj.detach().to_dense())
        return found
    found["stride"] = list(obj.stride())
    if obj.is_quantized:
        found["quantized"] = describe(obj.int_repr())
        found["dequantized"] = describe(obj.dequantize())
        return found
    if obj.is_meta:
        found["meta"] = True
        return found
    found["flags"] = [obj.is_conj(), obj.is_neg(), obj.storage_offset()]
    plain = obj.detach().resolve_conj().resolve_neg()
    if plain.dtype.is_complex:
        plain = torch.view_as_real(plain)
    elif str(plain.dtype).startswith("torch.float8"):
        plain = plain.float()
    found["values"] = describe(plain.tolist())
    extra = vars(obj) if hasattr(obj, "__dict__") else {}
    if extra:
        found["attributes"] = describe(dict(extra))
    return found


# ---- what is saved


def network() -> nn.Module:
    """A small network whose weights are small multiples of 1/8."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    return even(net)


def even(net: nn.Module) -> nn.Module:
    """The same module with weights that every library gives alike."""
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(((torch.arange(p.numel()) * 5 + i) % 13 - 6).view(p.shape) / 8)
    return net


def batch(step: int) -> torch.Tensor:
    return ((torch.arange(2 * 16) * (step + 3)) % 7 - 3.0).view(2, 1, 4, 4)


def steps(net: nn.Module, optimizer: Any, scheduler: Any = None, count: int = 2, start: int = 0) -> list[float]:
    losses = []
    for step in range(start, start + count):
        optimizer.zero_grad()
        loss = net(batch(step)).square().mean()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(round(loss.item(), 4))
    return losses


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.01), weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adadelta": lambda p: torch.optim.Adadelta(p),
    "radam": lambda p: torch.optim.RAdam(p, lr=0.01),
    "rprop": lambda p: torch.optim.Rprop(p),
}
SCHEDULERS = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
    "restarts": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.2, total_steps=20),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "multistep": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
    "linear": lambda o: torch.optim.lr_scheduler.LinearLR(o),
    "sequential": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.ConstantLR(o, 0.1, 2), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
        milestones=[2],
    ),
}


def training(name: str, schedule: str = "step") -> dict[str, Any]:
    """The states of a network, an optimizer and a scheduler after two steps."""
    net = network()
    optimizer = OPTIMIZERS[name](net.parameters())
    scheduler = SCHEDULERS[schedule](optimizer)
    steps(net, optimizer, scheduler)
    return {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def resumed(name: str, schedule: str = "step") -> Any:
    """Two more steps, from a checkpoint."""

    def go_on(states: dict[str, Any]) -> Any:
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
        net.load_state_dict(states["model"])
        optimizer = OPTIMIZERS[name](net.parameters())
        scheduler = SCHEDULERS[schedule](optimizer)
        optimizer.load_state_dict(states["optimizer"])
        scheduler.load_state_dict(states["scheduler"])
        losses = steps(net, optimizer, scheduler, start=2)
        return losses, [round(float(group["lr"]), 8) for group in optimizer.param_groups]

    return go_on


def dtypes(names: list[str]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, name)) for name in names}


def shared() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).view(4, 6)
    return {
        "base": base, "rows": base[1:3], "columns": base[:, ::2], "transposed": base.t(), "diagonal": base.diagonal(),
        "expanded": base[0].expand(3, 6), "flat": base.view(-1)[5:9], "one": base[2, 3], "empty": base[:0],
        "channels_last": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
    }  # fmt: skip


def sharing(loaded: dict[str, torch.Tensor]) -> Any:
    """A write to one tensor, as the others see it."""
    loaded["base"].add_(100)
    return {name: value.sum().item() for name, value in loaded.items()}


def complexes() -> dict[str, torch.Tensor]:
    z = torch.tensor([1 + 2j, 3 - 4j])
    negative = torch.tensor([5 + 6j]).conj().imag
    return {"plain": z, "conjugate": z.conj(), "negative": negative, "double": z.to(torch.complex128)}


def sparse() -> dict[str, torch.Tensor]:
    dense = torch.tensor([[0.0, 1, 0, 2], [0, 0, 0, 3], [4, 0, 0, 0], [0, 0, 5, 0]])
    twice = torch.sparse_coo_tensor([[0, 0, 1], [1, 1, 0]], [1.0, 2, 3], (2, 2))
    return {
        "coo": dense.to_sparse(), "uncoalesced": twice, "hybrid": dense.to_sparse(1), "csr": dense.to_sparse_csr(),
        "csc": dense.to_sparse_csc(), "bsr": dense.to_sparse_bsr((2, 2)), "bsc": dense.to_sparse_bsc((2, 2)),
    }  # fmt: skip


def quantized() -> dict[str, torch.Tensor]:
    x = torch.tensor([[-1.0, 0.25], [0.5, 2.0]])
    scales, zeros = torch.tensor([0.25, 0.5]), torch.tensor([1, 2])
    return {
        "quint8": torch.quantize_per_tensor(x, 0.25, 10, torch.quint8),
        "qint8": torch.quantize_per_tensor(x, 0.125, 0, torch.qint8),
        "qint32": torch.quantize_per_tensor(x, 0.01, 0, torch.qint32),
        "channels": torch.quantize_per_channel(x, scales, zeros, 1, torch.quint8),
    }


def parameters() -> dict[str, Any]:
    marked = nn.Parameter(torch.arange(3.0))
    marked.tag = "weight"
    return {
        "parameter": nn.Parameter(torch.ones(2, 2)), "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "marked": marked, "leaf": torch.ones(2, requires_grad=True), "half": nn.Parameter(torch.ones(2).half()),
    }  # fmt: skip


def attributes() -> list[torch.Tensor]:
    """A tensor with attributes of its own, one of them a tensor."""
    value = torch.arange(3.0)
    value.tag, value.other = "text", torch.ones(2)
    return [value, value.view(1, 3)]


def plain() -> dict[str, Any]:
    ordered = collections.OrderedDict(b=1, a=2)
    ordered.remark = "an attribute"
    return {
        "numbers": [0, -1, 255, 65536, -(2**40), 2**70, 0.1, -0.0, math.inf, True, 1 + 2j],
        "texts": ["", "text", "\u00e4\u20ac\U0001f600", b"bytes\x00\xff", bytearray(b"more")],
        "containers": [[], (), {}, (1,), [(1, 2), {3: [4]}], {1, 2}, {"a": {"b": {}}}],
        "ordered": ordered, "counter": collections.Counter("aab"), "none": None, "size": torch.Size([2, 3]),
        "dtype": [torch.float32, torch.bfloat16, torch.uint16], "device": [torch.device("cpu"), torch.device("cuda:1")],
        "layout": [torch.strided, torch.sparse_csr], 7: "a number as a key", (1, "b"): "a tuple as a key",
    }  # fmt: skip


def random_state() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(5)
    torch.rand(3, generator=generator)
    torch.randn(2)
    return {"default": torch.get_rng_state(), "own": generator.get_state()}


def draws(loaded: dict[str, Any]) -> Any:
    torch.set_rng_state(loaded["default"])
    generator = torch.Generator()
    generator.set_state(loaded["own"])
    return torch.randn(3), torch.rand(3), torch.randperm(5, generator=generator), torch.rand(2, generator=generator)


def extremes() -> dict[str, torch.Tensor]:
    kinds = {name: torch.finfo(getattr(torch, name)) for name in ("float16", "bfloat16", "float32", "float64")}
    found = {
        name: torch.tensor([kind.max, kind.min, kind.tiny, kind.eps, math.inf, -math.inf], dtype=kind_of(name))
        for name, kind in kinds.items()
    }
    found["int64"] = torch.tensor([2**63 - 1, -(2**63), 0])
    return found | {"empty": torch.empty(0), "empties": torch.empty(2, 0, 3), "scalar": torch.tensor(2.5)}


def kind_of(name: str) -> torch.dtype:
    return getattr(torch, name)


def nested() -> dict[str, torch.Tensor]:
    parts = [torch.arange(6.0).view(2, 3), torch.arange(3.0).view(1, 3)]
    return {"strided": torch.nested.nested_tensor(parts)}


def arrays() -> dict[str, Any]:
    import numpy

    return {"array": numpy.arange(6, dtype="float32").reshape(2, 3), "number": numpy.float64(2.5), "w": torch.ones(2)}


def numpy_globals() -> list[Any]:
    try:
        import numpy
    except ImportError:
        return []
    core = numpy._core if hasattr(numpy, "_core") else numpy.core
    kinds = [type(numpy.dtype(name)) for name in ("float32", "float64")]
    return [
        (core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),
        (core.multiarray._reconstruct, "numpy._core.multiarray._reconstruct"),
        (core.multiarray.scalar, "numpy.core.multiarray.scalar"),
        (core.multiarray.scalar, "numpy._core.multiarray.scalar"),
        numpy.ndarray, numpy.dtype, *kinds,
    ]  # fmt: skip


def modules() -> dict[str, Any]:
    nets = {
        "lstm": nn.LSTM(3, 4, 2, bidirectional=True), "gru": nn.GRU(2, 3), "embedding": nn.Embedding(5, 2),
        "attention": nn.MultiheadAttention(4, 2), "encoder": nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        "norms": nn.ModuleDict({"layer": nn.LayerNorm(3), "group": nn.GroupNorm(1, 2), "batch": nn.BatchNorm1d(2)}),
        "weight_norm": nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)), "prelu": nn.PReLU(),
    }  # fmt: skip
    return {name: even(net).state_dict() for name, net in nets.items()}


def averaged() -> dict[str, Any]:
    average = torch.optim.swa_utils.AveragedModel(network())
    average.update_parameters(network())
    return {"average": average.state_dict(), "scaler": torch.amp.GradScaler("cpu", init_scale=8.0).state_dict()}


def storages() -> dict[str, Any]:
    x = torch.arange(4, dtype=torch.int16)
    return {"typed": torch.ones(3).storage(), "untyped": x.untyped_storage(), "tensor": x.clone()[1:]}


def namespace() -> Any:
    return {"args": argparse.Namespace(lr=0.1, layers=[1, 2]), "w": torch.ones(2)}


OLD: dict[str, Any] = {"_use_new_zipfile_serialization": False}

CASES: dict[str, Case] = {
    "state_dict": Case(lambda: network().state_dict()),
    "module": Case(network, after=lambda net: net.eval()(batch(1)), trusted=True),
    **{f"train_{name}": Case(lambda n=name: training(n), resumed(name)) for name in OPTIMIZERS},
    **{
        f"schedule_{name}": Case(lambda n=name: training("sgd", n), resumed("sgd", name))
        for name in SCHEDULERS
        if name != "step"
    },
    "dtypes": Case(lambda: dtypes(DTYPES)),
    "young_dtypes": Case(lambda: dtypes(YOUNG_DTYPES)),
    "shared": Case(shared, after=sharing),
    "complex": Case(complexes),
    "sparse": Case(sparse),
    "quantized": Case(quantized),
    "parameters": Case(parameters),
    "attributes": Case(attributes),
    "plain": Case(plain),
    "random_state": Case(random_state, after=draws),
    "extremes": Case(extremes),
    "meta": Case(lambda: {"meta": torch.empty(2, 3, device="meta"), "real": torch.ones(1)}),
    "nested": Case(nested),
    "modules": Case(modules),
    "averaged": Case(averaged),
    "storages": Case(storages),
    "arrays": Case(arrays, safe=numpy_globals()),
    "namespace": Case(namespace, safe=[argparse.Namespace]),
    "no_byteorder": Case(lambda: dtypes(DTYPES), _disable_byteorder_record=True),
    "protocol_3": Case(lambda: [shared(), plain()], trusted=True, pickle_protocol=3),
    "protocol_5": Case(lambda: [shared(), plain()], trusted=True, pickle_protocol=5),
    "python_pickler": Case(lambda: [shared(), plain()], pickle_module=pickle),
    "legacy_dtypes": Case(lambda: dtypes(DTYPES), **OLD),
    "legacy_shared": Case(shared, after=sharing, **OLD),
    "legacy_plain": Case(plain, **OLD),
    "legacy_sparse": Case(sparse, **OLD),
    "legacy_quantized": Case(quantized, **OLD),
    "legacy_train": Case(lambda: training("adam"), resumed("adam"), **OLD),
    "legacy_module": Case(network, after=lambda net: net.eval()(batch(1)), trusted=True, stored=False, **OLD),
    "legacy_parameters": Case(parameters, **OLD),
}


def quiet() -> None:
    """No warnings of prototypes and deprecated classes, and one thread."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)


def differences(actual: Any, expected: Any, where: str = "") -> list[str]:
    """Where two descriptions differ; numbers may by rounding."""
    if isinstance(actual, dict) and isinstance(expected, dict) and list(actual) == list(expected):
        return [line for key in expected for line in differences(actual[key], expected[key], f"{where}.{key}")]
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        pairs = enumerate(zip(actual, expected, strict=True))
        return [line for i, (a, e) in pairs for line in differences(a, e, f"{where}[{i}]")]
    if isinstance(actual, float) and isinstance(expected, float) and math.isclose(actual, expected, rel_tol=1e-5):
        return []
    return [] if actual == expected and type(actual) is type(expected) else [f"{where}: {actual!r}, not {expected!r}"]

"""safetensors: files of every dtype, slices, metadata, models with shared tensors, and what is refused."""

import json
import tempfile
from pathlib import Path

from programs import attempt, show
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, load_model, save, save_file, save_model

import torch
from torch import nn

folder = Path(tempfile.mkdtemp())


def refused(*names):
    """Show that tensors which share memory are refused; the order of the names is a set's."""
    try:
        save_file(dict(names), folder / "shared.safetensors")
    except RuntimeError as error:
        show("shared", all(name in str(error) for name, _ in names), str(error).splitlines()[1].split("[")[0])


dtypes = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.int64, torch.int32, torch.int16,
    torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.complex64,
]  # fmt: skip
tensors = {str(dtype): torch.tensor([[1, 2, 4], [0.5, 8, 16]]).to(dtype) for dtype in dtypes}
path = folder / "dtypes.safetensors"
save_file(tensors, path, metadata={"format": "pt"})
header = path.read_bytes()
length = int.from_bytes(header[:8], "little")
show(sorted(json.loads(header[8 : 8 + length]).items()))
back = load_file(path)
show(sorted(back))
for name, tensor in tensors.items():
    other = back[name]
    same = other.dtype == tensor.dtype and torch.equal(other.view(torch.uint8), tensor.view(torch.uint8))
    show(name, other.shape, other.stride(), same)
show(save(tensors, {"format": "pt"}) == header)
attempt(load, header)
few = load(save({"a": tensors["torch.bfloat16"], "b": tensors["torch.float8_e4m3fn"], "c": tensors["torch.uint64"]}))
show(few["a"], few["b"].float(), few["c"])

shapes = {"scalar": torch.tensor(2.5), "deep": torch.arange(24).reshape(1, 2, 3, 4)}
save_file(shapes, folder / "shapes.safetensors")
show(load_file(folder / "shapes.safetensors"))
attempt(save_file, {"t": torch.arange(6).reshape(2, 3).t()}, folder / "strided.safetensors")
attempt(save_file, {"t": torch.eye(3).to_sparse()}, folder / "sparse.safetensors")
attempt(save_file, {"t": [1, 2]}, folder / "list.safetensors")
attempt(save_file, [torch.zeros(2)], folder / "list.safetensors")
base = torch.arange(6.0)
refused(("a", base), ("b", base))
refused(("a", base[:4]), ("b", base[3:]))
save_file({"a": base[:3], "b": base[3:]}, folder / "halves.safetensors")
show(load_file(folder / "halves.safetensors"))
parameter = nn.Parameter(torch.ones(2))
save_file({"w": parameter}, folder / "parameter.safetensors")
show(load_file(folder / "parameter.safetensors"))

with safe_open(path, framework="pt") as file:
    show(sorted(file.keys()), file.metadata())
    show(file.get_tensor("torch.int16"), file.get_tensor("torch.bool"))
    attempt(file.get_tensor, "nothing")
grid = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
save_file({"grid": grid, "half": grid.to(torch.bfloat16)}, folder / "grid.safetensors")
with safe_open(folder / "grid.safetensors", framework="pt", device="cpu") as file:
    part = file.get_slice("grid")
    show(part.get_shape(), part.get_dtype(), file.get_slice("half").get_dtype())
    show(part[1], part[:, 2], part[0:2, 1:3, 4], part[..., 1], part[2:, :, :2], part[-1, -2, -3], part[:0].shape)
    show(file.get_slice("half")[1, 1:3])
    for index in ((slice(None, None, 2),), (5,), (0, 0, 0, 0), ("x",)):
        attempt(part.__getitem__, index)
attempt(lambda: safe_open(folder / "absent.safetensors", framework="pt"))
(folder / "bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notajson")
attempt(load_file, folder / "bad.safetensors")
attempt(load, save({"a": torch.zeros(2)})[:-1])
show(issubclass(SafetensorError, Exception))
attempt(load_file, folder / "grid.safetensors", device="meta")


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.body(self.embedding(x)))


model = Tied()
model(torch.arange(7)).sum().backward()
refused(("head.weight", model.head.weight), ("embedding.weight", model.embedding.weight))
save_model(model, folder / "tied.safetensors", metadata={"kind": "tied"})
with safe_open(folder / "tied.safetensors", framework="pt") as file:
    show(sorted(file.keys()), sorted(file.metadata().items()))
torch.manual_seed(3)
other = Tied()
show(load_model(other, folder / "tied.safetensors"))
show(
    other.head.weight is other.embedding.weight,
    torch.equal(other.eval()(torch.arange(7)), model.eval()(torch.arange(7))),
)
attempt(load_model, nn.Linear(2, 2), folder / "tied.safetensors")
show(load_model(nn.Linear(2, 2), folder / "tied.safetensors", strict=False))
attempt(load_model, nn.ModuleDict({"w": nn.Linear(2, 2)}), folder / "grid.safetensors")
conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
attempt(save_model, conv, folder / "conv.safetensors", force_contiguous=False)
save_model(conv, folder / "conv.safetensors")
show(load_file(folder / "conv.safetensors")["weight"].is_contiguous())

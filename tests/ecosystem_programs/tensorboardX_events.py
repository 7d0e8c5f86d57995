"""tensorboardX: what a SummaryWriter is given by tensors, read back from its file."""

import glob
import struct
import tempfile

import numpy as np
from programs import attempt, show
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event

import torch
from torch import nn

folder = tempfile.mkdtemp()
x = torch.linspace(0, 1, 12)
with SummaryWriter(folder, flush_secs=1) as writer:
    writer.add_scalar("scalar/number", 0.5, 1)
    writer.add_scalar("scalar/tensor", torch.tensor(0.25, requires_grad=True), 2)
    writer.add_scalar("scalar/half", torch.tensor([1.5], dtype=torch.bfloat16).float(), 3)
    writer.add_scalars("group", {"a": torch.tensor(1), "b": 2.0}, 4)
    writer.add_histogram("histogram", x, 5)
    writer.add_histogram("histogram/auto", x.reshape(3, 4).requires_grad_(), 6, bins="auto")
    writer.add_histogram("histogram/ints", torch.arange(9), 6, bins=3)
    writer.add_histogram_raw("raw", 0, 1, 3, 1.5, 1.25, torch.tensor([0.5, 1.0]), torch.tensor([1, 2]), 7)
    writer.add_image("image", torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5), 8)
    writer.add_image("image/float", torch.rand(4, 5, 3), 9, dataformats="HWC")
    writer.add_image("image/grey", x.reshape(3, 4), 9, dataformats="HW")
    writer.add_images("images", torch.rand(5, 1, 4, 4), 10)
    writer.add_image_with_boxes("boxes", torch.rand(3, 10, 10), torch.tensor([[1.0, 1, 5, 5]]), 11)
    writer.add_text("text", "**bold**", 12)
    writer.add_pr_curve(
        "pr", torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0.1, 0.8, 0.4, 0.3, 0.9]), 13, num_thresholds=5
    )
    writer.add_hparams({"lr": 0.1, "name": "adam", "wide": True}, {"loss": torch.tensor(0.75)}, name="run")
    writer.add_mesh(
        "mesh", torch.rand(1, 4, 3), colors=torch.randint(0, 255, (1, 4, 3)), faces=torch.tensor([[[0, 1, 2]]])
    )
    writer.add_embedding(
        torch.eye(4), metadata=["a", "b", "c", "d"], label_img=torch.rand(4, 3, 4, 4), global_step=15, tag="e"
    )
    model = nn.Linear(3, 2)
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter, 16)
        writer.add_histogram(name + ".cloned", parameter.clone().cpu().data.numpy(), 16)
    attempt(writer.add_scalar, "bad", torch.zeros(3))
    attempt(writer.add_scalar, "bad", "text")
    attempt(writer.add_histogram, "bad", torch.zeros(0))
    attempt(writer.add_image, "bad", torch.zeros(2, 3), 0)


def events(path):
    data = open(path, "rb").read()
    place = 0
    while place < len(data):
        (length,) = struct.unpack("<Q", data[place : place + 8])
        yield Event.FromString(data[place + 12 : place + 12 + length])
        place += 12 + length + 4


def text(value):
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    if kind == "histo":
        h = value.histo
        return [h.min, h.max, h.num, h.sum, h.sum_squares, list(h.bucket_limit)[:4], [n for n in h.bucket if n][:6]]
    if kind == "image":
        return [value.image.height, value.image.width, value.image.colorspace]
    shape = [d.size for d in value.tensor.tensor_shape.dim]
    content = value.tensor.tensor_content
    numbers = np.frombuffer(content, np.float32)[:8].tolist() if content and len(content) % 4 == 0 else []
    return [shape, [s.decode() for s in value.tensor.string_val], numbers, list(value.tensor.float_val)[:12]]


for path in sorted(glob.glob(folder + "/**/events*", recursive=True)):
    show(path[len(folder) :].count("/"))
    for event in events(path):
        for value in event.summary.value:
            hparams = value.metadata.plugin_data.plugin_name == "hparams"
            show(event.step, value.tag, value.WhichOneof("value"), "" if hparams else text(value))
for path in sorted(glob.glob(folder + "/**/*.tsv", recursive=True)):
    show(path[len(folder) :], open(path).read())

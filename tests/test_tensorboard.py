"""torch.utils.tensorboard: what is written, read back by TensorBoard itself, where that is installed."""

import io
import wave

import numpy as np
import pytest

import torch
from torch import nn

pytest.importorskip("tensorboard")

from PIL import Image  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.compat.proto import graph_pb2  # noqa: E402
from tensorboard.plugins.hparams import plugin_data_pb2  # noqa: E402
from tensorboard.util import tensor_util  # noqa: E402

from torch.utils.tensorboard import FileWriter, SummaryWriter  # noqa: E402


def read(folder):
    everything = dict.fromkeys(("scalars", "images", "audio", "histograms", "tensors"), 0)
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


@pytest.fixture
def writer(tmp_path):
    with SummaryWriter(tmp_path / "log") as made:
        yield made


def pixels(event):
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_scalars(writer):
    for step in range(5):
        writer.add_scalar("loss/train", torch.tensor(1.0 / (step + 1)), step, walltime=100.0 + step)
    writer.add_scalar("exact", 1 / 3, 7, new_style=True, double_precision=True)
    writer.close()
    seen = read(writer.log_dir)
    events = seen.Scalars("loss/train")
    assert [e.step for e in events] == [0, 1, 2, 3, 4] and [e.wall_time for e in events] == [100, 101, 102, 103, 104]
    assert [e.value for e in events] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    (event,) = seen.Tensors("exact")
    assert tensor_util.make_ndarray(event.tensor_proto) == 1 / 3


def test_scalars_that_share_a_chart(writer):
    writer.add_scalars("group", {"a": 1.0, "b": 2.0}, 3)
    writer.close()
    for name, value in (("a", 1.0), ("b", 2.0)):
        assert read(f"{writer.log_dir}/group_{name}").Scalars("group")[0].value == value


def test_histograms(writer):
    values = torch.tensor([1.0, 2.0, 2.5, 10.0])
    writer.add_histogram("few bins", values, 1, bins=[0.0, 2.0, 4.0, 20.0])
    writer.add_histogram("usual", values, 1)
    writer.add_histogram("joined", torch.arange(100.0), 1, bins="auto", max_bins=3)
    writer.add_histogram_raw("raw", 0.0, 1.0, 4, 2.0, 1.5, [0.5, 1.0], [1, 3], 2)
    writer.close()
    seen = read(writer.log_dir)
    few = seen.Histograms("few bins")[0].histogram_value
    assert (few.min, few.max, few.num, few.sum) == (1, 10, 4, 15.5) and few.sum_squares == 1 + 4 + 6.25 + 100
    assert few.bucket_limit == [0, 2, 4, 20] and few.bucket == [0, 1, 2, 1]
    usual = seen.Histograms("usual")[0].histogram_value
    assert sum(usual.bucket) == 4 and usual.bucket_limit[-1] > 10 > usual.bucket_limit[-2]
    joined = seen.Histograms("joined")[0].histogram_value
    assert sum(joined.bucket) == 100 and len(joined.bucket) <= 5
    assert seen.Histograms("raw")[0].histogram_value.bucket == [1, 3]


def test_pictures(writer):
    picture = torch.zeros(3, 4, 5)
    picture[0, 1, 2] = 1.0
    writer.add_image("chw", picture, 1)
    writer.add_image("hwc", (picture.permute(1, 2, 0) * 255).to(torch.uint8), 1, dataformats="HWC")
    writer.add_image("hw", picture[0], 1, dataformats="HW")
    writer.add_images("several", torch.rand(5, 1, 4, 4), 1)
    writer.add_image_with_boxes("boxes", torch.zeros(3, 40, 40), torch.tensor([[5, 5, 20, 20]]), 1, labels=["a"])
    writer.close()
    seen = read(writer.log_dir)
    shown = pixels(seen.Images("chw")[0])
    assert shown.shape == (4, 5, 3) and shown[1, 2].tolist() == [255, 0, 0] and shown.sum() == 255
    assert (pixels(seen.Images("hwc")[0]) == shown).all()
    assert pixels(seen.Images("hw")[0])[1, 2].tolist() == [255, 255, 255]
    assert pixels(seen.Images("several")[0]).shape == (4, 20, 3)
    assert pixels(seen.Images("boxes")[0])[5, 10].tolist() == [255, 0, 0]


def test_figures(writer):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(1, 1), dpi=50, facecolor="blue")
    writer.add_figure("figure", figure, 1)
    writer.add_figure("two", [pyplot.figure(figsize=(1, 1), dpi=50) for _ in range(2)], 1)
    writer.close()
    seen = read(writer.log_dir)
    assert pixels(seen.Images("figure")[0])[0, 0].tolist() == [0, 0, 255]
    assert pixels(seen.Images("two")[0]).shape == (50, 100, 3)
    assert not pyplot.get_fignums()


def test_videos(writer):
    writer.add_video("video", torch.rand(3, 4, 3, 8, 6), 1, fps=10)
    writer.close()
    (event,) = read(writer.log_dir).Images("video")
    moving = Image.open(io.BytesIO(event.encoded_image_string))
    # three videos and one that is black, in two rows
    assert moving.n_frames == 4 and moving.size == (12, 16) and moving.info["duration"] == 100


def test_sounds(writer):
    writer.add_audio("sound", torch.linspace(-1, 1, 100)[None], 1, sample_rate=8000)
    writer.close()
    (event,) = read(writer.log_dir).Audio("sound")
    with wave.open(io.BytesIO(event.encoded_audio_string)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(file.readframes(100), "<i2")
    assert samples[0] == -32767 and samples[-1] == 32767


def test_texts_and_tensors(writer):
    writer.add_text("text", "**bold**", 1)
    tensors = {
        str(d): torch.tensor([[1, 0], [2, 3]]).to(d)
        for d in (torch.float32, torch.float64, torch.int64, torch.int8, torch.bool, torch.float16, torch.complex64)
    }
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor, 2)
    writer.close()
    seen = read(writer.log_dir)
    assert tensor_util.make_ndarray(seen.Tensors("text/text_summary")[0].tensor_proto).tolist() == [b"**bold**"]
    for name, tensor in tensors.items():
        found = tensor_util.make_ndarray(seen.Tensors(name)[0].tensor_proto)
        assert found.dtype == tensor.numpy().dtype and (found == tensor.numpy()).all()


def test_precision_and_recall(writer):
    labels, predictions = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0.1, 0.8, 0.4, 0.6, 0.9])
    writer.add_pr_curve("curve", labels, predictions, 1, num_thresholds=5)
    writer.close()
    data = tensor_util.make_ndarray(read(writer.log_dir).Tensors("curve")[0].tensor_proto)
    # thresholds 0, 1/4, 1/2, 3/4 and 1
    assert data[0].tolist() == [3, 3, 2, 2, 0] and data[1].tolist() == [2, 1, 1, 0, 0]
    assert data[4].tolist() == pytest.approx([3 / 5, 3 / 4, 2 / 3, 1, 0])
    assert data[5].tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 0])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, x):
        return self.rest(self.conv(x)) + 1


def test_graphs(writer):
    model = Net().train()
    writer.add_graph(model, torch.ones(1, 1, 4, 4))
    writer.close()
    assert model.training
    found = read(writer.log_dir).Graph()
    assert isinstance(found, graph_pb2.GraphDef)
    nodes = {node.name: node for node in found.node}
    relu = nodes["Net/Sequential[rest]/ReLU[0]/relu"]
    assert relu.op == "aten::relu" and list(relu.input) == ["Net/Conv2d[conv]/convolution"]
    convolution = nodes["Net/Conv2d[conv]/convolution"]
    assert list(convolution.input) == ["input/input.1", "Net/Conv2d[conv]/weight", "Net/Conv2d[conv]/bias"]
    assert [d.size for d in convolution.attr["_output_shapes"].list.shape[0].dim] == [1, 2, 2, 2]
    assert list(nodes["output/output.1"].input) == ["Net/add"]
    assert all(source in nodes for node in found.node for source in node.input)


def test_hyperparameters(writer):
    writer.add_hparams({"lr": 0.1, "optimizer": "adam"}, {"accuracy": 0.9}, run_name="run", global_step=4)
    writer.close()
    seen = read(f"{writer.log_dir}/run")
    assert seen.Scalars("accuracy")[0].step == 4
    content = seen.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    given = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert given["lr"].number_value == 0.1 and given["optimizer"].string_value == "adam"
    with pytest.raises(TypeError, match="should be dictionary"):
        writer.add_hparams([], {})
    with pytest.raises(ValueError, match="value should be one of int, float, str, bool, or torch.Tensor"):
        writer.add_hparams({"a": [1]}, {"b": 1})


def test_embeddings(writer, tmp_path):
    writer.add_embedding(torch.arange(6.0).reshape(3, 2), ["a", "b", "c"], torch.rand(3, 3, 4, 4), 2, "points")
    writer.add_embedding(torch.ones(2, 2), [["a", 1], ["b", 2]], tag="more", metadata_header=["name", "number"])
    folder = tmp_path / "log" / "00002" / "points"
    assert (folder / "tensors.tsv").read_text() == "0.0\t1.0\n2.0\t3.0\n4.0\t5.0\n"
    assert (folder / "metadata.tsv").read_text() == "a\nb\nc\n"
    assert Image.open(folder / "sprite.png").size == (8, 8)
    assert (tmp_path / "log" / "00000" / "more" / "metadata.tsv").read_text() == "name\tnumber\na\t1\nb\t2\n"
    config = (tmp_path / "log" / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 2 and 'tensor_path: "00002/points/tensors.tsv"' in config
    with pytest.raises(AssertionError, match="#labels should equal with #data points"):
        writer.add_embedding(torch.ones(3, 2), ["a"], global_step=9)


def test_meshes_and_layouts(writer):
    writer.add_mesh("mesh", torch.rand(1, 4, 3), faces=torch.tensor([[[0, 1, 2], [1, 2, 3]]]), global_step=1)
    writer.add_custom_scalars({"category": {"title": ["Multiline", ["x", "y"]], "other": ["Margin", ["a", "b", "c"]]}})
    writer.close()
    seen = read(writer.log_dir)
    faces = tensor_util.make_ndarray(seen.Tensors("mesh_FACE")[0].tensor_proto)
    assert faces.tolist() == [[[0, 1, 2], [1, 2, 3]]]
    assert seen.Tensors("mesh_VERTEX")[0].tensor_proto.tensor_shape.dim[1].size == 4
    assert b"title" in seen.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]


def test_purged_steps_are_forgotten(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("x", float(step), step)
    with SummaryWriter(tmp_path, purge_step=3, filename_suffix=".second") as writer:
        writer.add_scalar("x", -1.0, 3)
    assert [e.value for e in read(tmp_path).Scalars("x")] == [0, 1, 2, -1]


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_more") as writer:
        writer.add_scalar("x", 1.0)
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("_more") and str(writer.get_logdir()) == f"runs/{folder.name}"


def test_writing_after_close(tmp_path):
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("x", 1.0, 1)
    writer.close()
    writer.filename_suffix = ".second"
    writer.add_scalar("x", 2.0, 2)
    writer.flush()
    writer.close()
    assert [e.value for e in read(tmp_path).Scalars("x")] == [1, 2]


def test_a_file_of_ones_own(tmp_path):
    writer = FileWriter(str(tmp_path))
    writer.add_summary(torch.utils.tensorboard.summary.scalar("x", 4.0), 5)
    writer.close()
    assert writer.get_logdir() == str(tmp_path)
    assert read(tmp_path).Scalars("x")[0].value == 4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: w.add_scalar("x", torch.ones(2)), AssertionError, r"should contain one element \(0 dimensions\)"),
        (lambda w: w.add_scalar("x", [1.0]), NotImplementedError, "but numpy array or torch tensor are expected"),
        (lambda w: w.add_histogram("x", torch.tensor([])), ValueError, "The input has no element"),
        (lambda w: w.add_histogram("x", torch.tensor([float("nan")])), ValueError, "histogram is empty"),
        (lambda w: w.add_image("x", torch.ones(3, 2)), AssertionError, "tensor and input format are different"),
        (lambda w: w.add_image("x", torch.ones(2, 2, 2), dataformats="CHH"), AssertionError, "same dimension"),
        (lambda w: w.add_audio("x", torch.ones(2, 2)), AssertionError, "input tensor should be 1 dimensional"),
        (lambda w: w.add_embedding(torch.ones(3)), AssertionError, "mat should be 2D"),
        (lambda w: w.add_custom_scalars({"c": {"t": ["Margin", ["a"]]}}), AssertionError, r"len\(tags\) != 3"),
    ],
)
def test_what_is_refused(writer, call, error, message):
    with pytest.raises(error, match=message):
        call(writer)

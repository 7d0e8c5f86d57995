"""torch.utils.draw_graph: the boxes and arrows are those of the graph, and the picture is a sound SVG file."""

import os
import sys
import xml.etree.ElementTree as ET

import pytest

import torch
from torch import nn
from torch.utils import draw_graph

SVG = "{http://www.w3.org/2000/svg}"


def named(drawing):
    """Return the edges as pairs of the boxes' first lines."""
    return sorted((drawing.nodes[a].lines[0], drawing.nodes[b].lines[0]) for a, b in drawing.edges)


def lines(drawing, first):
    return next(box.lines for box in drawing.nodes if box.lines[0] == first)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    with pytest.raises(ModuleNotFoundError, match="pip install fast-sugiyama"):
        draw_graph(torch.ones(2, requires_grad=True) * 2)


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no tensor that requires grad"):
        draw_graph(torch.ones(2))
    with pytest.raises(ValueError, match="needs an input"):
        draw_graph(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="max_nodes"):
        draw_graph(torch.ones(2, requires_grad=True), max_nodes=0)


@pytest.fixture
def library():
    return pytest.importorskip("fast_sugiyama")


@pytest.mark.usefixtures("library")
class TestBackward:
    def test_nodes_edges_and_saved_shapes(self):
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        drawing = draw_graph(model(torch.randn(3, 4)), params=model)
        assert named(drawing) == sorted(
            [
                ("0.bias", "AddmmBackward0"), ("TBackward0", "AddmmBackward0"), ("0.weight", "TBackward0"),
                ("AddmmBackward0", "ReluBackward0"), ("ReluBackward0", "AddmmBackward0"), ("2.bias", "AddmmBackward0"),
                ("TBackward0", "AddmmBackward0"), ("2.weight", "TBackward0"), ("AddmmBackward0", "result"),
            ]
        )  # fmt: skip
        assert lines(drawing, "0.weight") == ["0.weight", "float32 [8, 4]"]
        assert lines(drawing, "ReluBackward0") == ["ReluBackward0", "[3, 8]", "saved result: [3, 8]"]
        assert lines(drawing, "result") == ["result", "float32 [3, 2]"]
        plain = draw_graph(model(torch.randn(3, 4)), saved=False)
        assert lines(plain, "ReluBackward0") == ["ReluBackward0", "[3, 8]"] and lines(plain, "leaf")

    def test_a_shared_result_is_one_box(self):
        x = torch.ones(3, requires_grad=True)
        y = x.exp()
        drawing = draw_graph({"sum": y + y, "other": y * 2, "no": torch.ones(1)}, params={"x": x})
        kinds = [box.lines[0] for box in drawing.nodes]
        assert kinds.count("ExpBackward0") == kinds.count("x") == 1 and "no" not in kinds
        assert named(drawing) == [
            ("AddBackward0", "sum"), ("ExpBackward0", "AddBackward0"), ("ExpBackward0", "MulBackward0"),
            ("MulBackward0", "other"), ("x", "ExpBackward0"),
        ]  # fmt: skip

    def test_freed_and_custom_nodes(self):
        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * 2

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        x = torch.ones(2, 3, requires_grad=True)
        y = Double.apply(x).exp().sum()
        assert "saved: [2, 3]" in lines(draw_graph(y), "DoubleBackward")
        y.backward()
        assert "saved result: freed" in lines(draw_graph(y), "ExpBackward0")
        assert "saved tensors: freed" in lines(draw_graph(y), "DoubleBackward")
        assert x.grad is not None

    def test_a_leaf_alone(self):
        assert named(draw_graph(torch.ones(2, requires_grad=True))) == [("leaf", "result")]

    def test_a_long_chain_is_cut_with_a_note(self):
        x = torch.ones(2, requires_grad=True)
        y = x
        for _ in range(5000):
            y = y + 1
        drawing = draw_graph(y, max_nodes=30)
        assert "4971 further nodes" in drawing.note and drawing.note in drawing.svg
        assert len(drawing.nodes) == 32 and ("4971 further nodes", "AddBackward0") in named(drawing)
        assert draw_graph(y, max_nodes=6000).note == ""


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))

    def forward(self, x, flag=False):
        y = torch.cat([x + self.body(x) * self.scale, x])
        return {"sum": y.sum(), "rows": y.relu_()}


@pytest.mark.usefixtures("library")
class TestModules:
    def test_calls_and_the_operations_between(self):
        drawing = draw_graph(Residual(), (3, 4))
        assert named(drawing) == sorted(
            [
                ("input 0", "body.0"), ("body.0", "body.1"), ("body.1", "mul"), ("scale", "mul"), ("input 0", "add"),
                ("mul", "add"), ("add", "cat"), ("input 0", "cat"), ("cat", "sum"), ("cat", "relu"), ("sum", "sum"),
                ("relu", "rows"),
            ]
        )  # fmt: skip
        assert lines(drawing, "body.0") == ["body.0", "Linear", "[3, 4]"]
        assert lines(drawing, "rows") == ["rows", "float32 [6, 4]"]

    def test_a_layer_of_several_calls(self):
        layer = nn.Linear(4, 4)
        drawing = draw_graph(nn.Sequential(layer, nn.ReLU(), layer), {"input": (2, 4)})
        assert named(drawing) == [("0", "1"), ("0", "output"), ("1", "0"), ("input", "0")]

    def test_the_model_stays_as_it_is(self):
        model = nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        state = torch.get_rng_state()
        draw_graph(model, torch.ones(5, 4))
        assert model[0].has_uninitialized_params() and model[1].num_batches_tracked == 0
        assert torch.equal(state, torch.get_rng_state()) and not model[1]._forward_hooks

    def test_a_model_that_looks_at_numbers(self):
        class Looks(nn.Module):
            def forward(self, x):
                return x * 2 if x.sum().item() == 0 else x

        assert ("mul", "output") in named(draw_graph(Looks(), (2, 2)))

    def test_last_calls_are_cut(self):
        drawing = draw_graph(nn.Sequential(*[nn.Tanh() for _ in range(50)]), (2,), max_nodes=10)
        assert "41 later nodes" in drawing.note
        assert ("8", "41 later nodes") in named(drawing) and ("41 later nodes", "output") in named(drawing)


@pytest.mark.usefixtures("library")
class TestPicture:
    def make(self, **options):
        x = torch.ones(3, requires_grad=True)
        return draw_graph((x.exp() * x).sum(), params={"<x> & y": x}, **options)

    def test_it_is_sound_xml_with_a_box_for_each_node(self):
        drawing = self.make()
        root = ET.fromstring(drawing._repr_svg_())
        groups = root.findall(f"{SVG}g")
        assert [g.find(f"{SVG}text").text for g in groups] == [box.lines[0] for box in drawing.nodes]
        assert "<x> & y" in [g.find(f"{SVG}text").text for g in groups]
        assert len(root.findall(f"{SVG}path")) == len(drawing.edges)
        assert repr(drawing) == "Drawing(5 nodes, 5 edges)"

    def test_boxes_lie_apart_and_arrows_point_down(self):
        model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        drawing = draw_graph(model(torch.randn(1, 3, 8)), params=model)
        root = ET.fromstring(drawing.svg)
        frames = [
            [float(g.find(f"{SVG}rect").get(k)) for k in ("x", "y", "width", "height")] for g in root.findall(f"{SVG}g")
        ]
        for i, (x, y, w, h) in enumerate(frames):
            assert 0 <= x and 0 <= y and x + w <= float(root.get("width")) and y + h <= float(root.get("height"))
            for x2, y2, w2, h2 in frames[:i]:
                assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
        assert all(frames[a][1] + frames[a][3] < frames[b][1] for a, b in drawing.edges)

    def test_files_are_written_whole(self, tmp_path):
        file = tmp_path / "graph.svg"
        file.write_text("before")
        with open(file) as before:
            drawing = self.make(path=file)
            assert before.read() == "before"  # it was replaced, not written over
        assert file.read_text(encoding="utf-8") == drawing.svg and os.listdir(tmp_path) == ["graph.svg"]
        drawing.save(str(tmp_path / "again.svg"))
        assert (tmp_path / "again.svg").read_text(encoding="utf-8") == drawing.svg
        with pytest.raises(RuntimeError, match="Parent directory"):
            drawing.save(tmp_path / "nowhere" / "graph.svg")

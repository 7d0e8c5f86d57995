"""torch.onnx: models that onnxruntime runs give what the modules give; files, names, errors.

The packages onnx and onnxruntime are optional; without them only what needs neither is tested.
"""

import copy
import importlib.util
import io
import re
import subprocess
import sys
from pathlib import Path

import export_programs
import onnx_cases
import pytest

import torch
import torch.nn.functional as F
from torch.utils import _pytree as pytree

RUNS = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
runs = pytest.mark.skipif(not RUNS, reason="needs onnx and onnxruntime")
EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def quiet():
    if RUNS:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)


def check(program, module, args, kwargs=None, rtol=1e-4, atol=1e-5):
    """Compare what a model gives with what the module gives."""
    args, kwargs = copy.deepcopy((args, kwargs or {}))
    expected = [v for v in pytree.tree_leaves(module(*copy.deepcopy(args), **kwargs)) if v is not None]
    actual = program(*args, **kwargs)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        known = isinstance(e, torch.Tensor)
        e = e if known else torch.tensor(e)
        torch.testing.assert_close(a, e, rtol=rtol, atol=atol, equal_nan=True, check_dtype=known)


def call_of(expression):
    """A module that computes an expression of onnx_cases, and its arguments."""
    names = [name for name in onnx_cases.TENSORS if re.search(rf"\b{name}\b", expression)]
    code = compile(expression, "case", "eval")

    class Call(torch.nn.Module):
        def forward(self, *args):
            return eval(code, {**vars(onnx_cases), "F": F, **dict(zip(names, args, strict=True))})

    return Call(), tuple(onnx_cases.TENSORS[name].clone() for name in names)


@runs
@pytest.mark.parametrize("family, expression", onnx_cases.cases())
def test_an_operation_has_a_form(family, expression):
    module, args = call_of(expression)
    check(torch.onnx.export(module, copy.deepcopy(args)), module, args)


@runs
@pytest.mark.parametrize("opset", [17, 18, 21])
@pytest.mark.parametrize("expression", ["F.gelu(x)", "x.sum(1)", "x.mean(1)", "x.amax(1)", "F.layer_norm(x, (4,))",
                                        "F.interpolate(im, scale_factor=2)", "x.split(2, 1)", "F.pad(x, (1, 2))",
                                        "F.group_norm(im, 2)"])  # fmt: skip
def test_older_and_newer_versions(opset, expression):
    module, args = call_of(expression)
    program = torch.onnx.export(module, copy.deepcopy(args), opset_version=opset)
    assert [(o.domain, o.version) for o in program.model_proto.opset_import] == [("", opset)]
    check(program, module, args)


# onnxruntime knows no complex numbers.
PROGRAMS = [name for name in export_programs.PROGRAMS if name != "dtypes"]


@runs
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_with_all_its_arguments(name):
    torch.manual_seed(0)
    made = export_programs.PROGRAMS[name]()
    module, args, kwargs, shapes, _ = made
    fresh = copy.deepcopy(module)
    program = torch.onnx.export(module, args, kwargs=kwargs, dynamic_shapes=shapes)
    for a, k in export_programs.inputs_of(made):
        check(program, copy.deepcopy(fresh), a, k)


BATCH = ({0: "batch"},)
NETWORKS = {
    "autoencoder.Autoencoder": ((), lambda n: (torch.rand(n, 1, 24, 24),), BATCH),
    "dcgan.Generator": ((), lambda n: (torch.randn(n, 32),), BATCH),
    "diffusion.Denoiser": ((), lambda n: (torch.randn(n, 1, 8, 8), torch.randint(0, 50, (n,))), BATCH * 2),
    "digits.DigitNet": ((), lambda n: (torch.rand(n, 1, 8, 8),), BATCH),
    "dqn.DuelingNetwork": ((), lambda n: (torch.randn(n, 4),), BATCH),
    "gpt.GPT": ((40,), lambda n: (torch.randint(0, 40, (n, 16)),), BATCH),
    "lenet.LeNet": ((), lambda n: (torch.rand(n, 1, 28, 28),), BATCH),
    "lstm.CharacterLSTM": ((40,), lambda n: (torch.randint(0, 40, (n, 16)),), BATCH),
    "mlp.MLP": ((10,), lambda n: (torch.randn(n, 10),), BATCH),
    "resnet.ResNet": ((), lambda n: (torch.rand(n, 1, 8, 8),), BATCH),
    "siamese.Embedding": ((), lambda n: (torch.rand(n, 1, 8, 8),), BATCH),
    "transformer.Translator": ((), lambda n: (torch.randint(1, 10, (n, 9)), torch.randint(1, 10, (n, 7))), BATCH * 2),
    "unet.UNet": ((), lambda n: (torch.rand(n, 1, 16, 16),), BATCH),
    "bert.BERT": ((50,), lambda n: (torch.randint(0, 50, (n, 12)), torch.rand(n, 12) < 0.3), None),
    "graph_attention.GAT": ((16, 10), lambda n: (torch.randn(20, 16), torch.randint(0, 20, (2, 60))), None),
    "vit.VisionTransformer": ((), lambda n: (torch.rand(n, 1, 28, 28),), None),
}


@runs
@pytest.mark.parametrize("path", NETWORKS)
def test_the_networks_of_the_examples(path, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    args, make, shapes = NETWORKS[path]
    name, kind = path.split(".")
    torch.manual_seed(0)
    try:
        module = getattr(importlib.import_module(name), kind)(*args).eval()
    except ModuleNotFoundError as e:
        pytest.skip(str(e))
    program = torch.onnx.export(module, make(3), dynamic_shapes=shapes)
    for n in (3, 5) if shapes else (3,):
        check(program, module, make(n), rtol=1e-3, atol=1e-4)


@runs
def test_several_open_sizes():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    program = torch.onnx.export(module, (torch.randn(2, 5, 16),), dynamic_shapes=({0: "batch", 1: "length"},))
    for sizes in ((2, 5), (4, 9)):
        check(program, module, (torch.randn(*sizes, 16),))

    class Cuts(torch.nn.Module):
        def forward(self, x):
            a, b = x.shape[:2]
            return x.flatten(0, 1), x.reshape(b, a, -1), x[:, : b // 2], x.expand(2, *x.shape), x.view(a, b, 2, -1)

    program = torch.onnx.export(Cuts(), (torch.randn(3, 6, 4),), dynamic_shapes=({0: "a", 1: "b"},))
    for sizes in ((3, 6), (5, 8)):
        check(program, Cuts(), (torch.randn(*sizes, 4),))


# ---- names, sizes and files


def small():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


@runs
def test_names_of_inputs_outputs_weights_and_sizes():
    program = torch.onnx.export(
        small(), (torch.ones(2, 4),), input_names=["cases"], output_names=["scores"], dynamic_shapes=({0: "batch"},)
    )
    graph = program.model_proto.graph
    assert [v.name for v in graph.input] == ["cases"]
    assert [v.name for v in graph.output] == ["scores"]
    assert [w.name for w in graph.initializer] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [n.op_type for n in graph.node] == ["Gemm", "Relu", "Gemm"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    scopes = {p.key: p.value for p in graph.node[0].metadata_props}["pkg.torch.onnx.name_scopes"]
    assert scopes == "['', '0', 'linear']"


@runs
def test_dynamic_axes_and_the_older_exporter(tmp_path):
    path = tmp_path / "model.onnx"
    module = small()
    found = torch.onnx.export(
        module, (torch.ones(2, 4),), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "rows"}}
    )
    assert found is None
    import onnx
    import onnxruntime

    model = onnx.load(path)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "rows"
    session = onnxruntime.InferenceSession(str(path))
    x = torch.randn(7, 4)
    actual = torch.from_numpy(session.run(None, {"x": x.numpy()})[0])
    torch.testing.assert_close(actual, module(x))


@runs
def test_files_with_weights_outside(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 2))
    program = torch.onnx.export(module, (torch.ones(1, 64),), tmp_path / "model.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    import onnx
    import onnxruntime

    stored = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph.initializer
    assert [(w.name, w.data_location) for w in stored] == [
        ("0.weight", 1), ("0.bias", 0), ("1.weight", 1), ("1.bias", 0)
    ]  # fmt: skip
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    x = torch.randn(1, 64)
    actual = onnxruntime.InferenceSession(str(tmp_path / "model.onnx")).run(None, {"input": x.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(actual), module(x))
    program.save(tmp_path / "inside.onnx")
    assert not (tmp_path / "inside.onnx.data").exists()
    program.save(tmp_path / "inputs.onnx", keep_initializers_as_inputs=True)
    assert len(onnx.load(tmp_path / "inputs.onnx").graph.input) == 5
    program.save(tmp_path / "bare.onnx", include_initializers=False)
    bare = onnx.load(tmp_path / "bare.onnx").graph
    assert (len(bare.input), len(bare.initializer)) == (5, 0)


@runs
def test_weights_that_are_set_later():
    module = small()
    program = torch.onnx.export(module, (torch.ones(2, 4),))
    other = small()
    with torch.no_grad():
        other[0].weight.mul_(2)
    program.apply_weights(other.state_dict())
    check(program, other, (torch.randn(2, 4),))
    with pytest.raises(ValueError, match="has shape"):
        program.apply_weights({"0.weight": torch.ones(1)})


@runs
def test_every_model_passes_the_checker():
    import onnx

    for name in ("convnet", "lstm", "gru_bidirectional", "cond", "attention_dynamic", "views"):
        module, args, kwargs, shapes, _ = export_programs.PROGRAMS[name]()
        program = torch.onnx.export(module, args, kwargs=kwargs, dynamic_shapes=shapes)
        onnx.checker.check_model(program.model_proto, full_check=True)


class Loop(torch.nn.Module):
    def forward(self, n, x):
        return torch.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x))


@runs
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_loops(steps):
    program = torch.onnx.export(Loop(), (torch.tensor(3), torch.ones(2)))
    check(program, Loop(), (torch.tensor(steps), torch.ones(2)))


@runs
def test_the_modules_mode_and_the_flag():
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, x):
            seen.append((torch.onnx.is_in_onnx_export(), self.training))
            return x + 1

    module = Watching()
    torch.onnx.export(module, (torch.ones(2),))
    torch.onnx.export(module, (torch.ones(2),), dynamo=False)
    assert seen[0] == (True, True) and seen[-1] == (True, False)
    assert module.training and not torch.onnx.is_in_onnx_export()


# ---- operations of the user's


@runs
def test_an_operation_that_is_registered():
    @torch.library.custom_op("onnx_tests::twice", mutates_args=())
    def twice(x: torch.Tensor, by: int) -> torch.Tensor:
        return x * by

    twice.register_fake(lambda x, by: torch.empty_like(x))

    class Uses(torch.nn.Module):
        def forward(self, x):
            return twice(x, 3) + 1

    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="onnx_tests::twice"):
        torch.onnx.export(Uses(), (torch.ones(2),))

    def symbolic(g, x, by):
        return g.op("Mul", x, g.op("Constant", value_t=torch.tensor(float(by))))

    torch.onnx.register_custom_op_symbolic("onnx_tests::twice", symbolic, 17)
    try:
        program = torch.onnx.export(Uses(), (torch.ones(2),))
    finally:
        torch.onnx.unregister_custom_op_symbolic("onnx_tests::twice", 17)
    check(program, Uses(), (torch.randn(2),))
    table = {
        torch.ops.onnx_tests.twice.default: lambda x, by: torch.onnx.ops.symbolic(
            "Mul", [x, torch.tensor(float(by))]
        )
    }
    check(torch.onnx.export(Uses(), (torch.ones(2),), custom_translation_table=table), Uses(), (torch.randn(2),))


def test_names_of_registered_operations():
    with pytest.raises(torch.onnx.OnnxExporterError, match="Failed to register operator bad. The symbolic name must"):
        torch.onnx.register_custom_op_symbolic("bad", lambda g, x: x, 9)


# ---- errors


@runs
def test_errors():
    class Decides(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(torch.onnx.OnnxExporterError, match="Failed to export the model with torch.export"):
        torch.onnx.export(Decides(), (torch.ones(2),))
    with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="aten::linalg_|aten::_linalg_"):
        torch.onnx.export(call_of("torch.linalg.svd(m)")[0], (onnx_cases.m,))
    with pytest.raises(torch.onnx.OnnxExporterError, match="opset_version 999"):
        torch.onnx.export(small(), (torch.ones(1, 4),), opset_version=999)
    with pytest.warns(UserWarning, match="operator set version 17"):
        torch.onnx.export(small(), (torch.ones(1, 4),), opset_version=9)


def test_a_missing_package_is_named():
    code = "import torch; torch.onnx.export(torch.nn.ReLU(), (torch.ones(1),))"
    hide = "import sys; sys.modules['onnx'] = None; "
    done = subprocess.run([sys.executable, "-P", "-c", hide + code], capture_output=True, text=True, check=False)
    assert "pip install onnx" in done.stderr


@runs
def test_reports_and_verification(tmp_path):
    program = torch.onnx.export(small(), (torch.ones(1, 4),), report=True, verify=True, artifacts_dir=tmp_path)
    text = (tmp_path / "onnx_export_report.md").read_text()
    assert "| Gemm | 2 |" in text and "aten.linear.default" in text
    assert "Gemm" in repr(program)


@runs
def test_models_of_a_program_that_was_exported():
    module = small()
    traced = torch.export.export(module, (torch.ones(2, 4),))
    file = io.BytesIO()
    torch.export.save(traced, file)
    file.seek(0)
    check(torch.onnx.export(torch.export.load(file)), module, (torch.randn(2, 4),))


class Exportable(torch.onnx.ExportableModule):
    def __init__(self):
        super().__init__()
        self.inner = small()

    def forward(self, x):
        return self.inner(x)

    def example_arguments(self):
        return (torch.ones(2, 4),), None

    def input_names(self):
        return ["cases"]

    def dynamic_shapes(self):
        return ({0: "batch"},)


@runs
def test_a_module_that_says_how_it_is_exported():
    with pytest.warns(UserWarning, match="training mode"):
        program = Exportable().to_onnx()
    assert [v.name for v in program.model_proto.graph.input] == ["cases"]
    module = Exportable().eval()
    check(module.to_onnx(), module, (torch.randn(5, 4),))


def test_an_abstract_module():
    with pytest.raises(TypeError, match="abstract method"):
        torch.onnx.ExportableModule()


class Optional(torch.nn.Module):
    def forward(self, x, y=None, *, z=None):
        return x if y is None else x + y


def test_what_is_observed_of_a_modules_calls():
    observer, module = torch.onnx.InputObserver(), Optional()
    with pytest.raises(RuntimeError, match="No inputs were captured."):
        observer.infer_arguments()
    with observer(module):
        module(torch.ones(2, 4))
        module(torch.ones(2, 5), torch.ones(2, 5))
        module(torch.ones(2, 7), y=torch.ones(2, 7), z=torch.ones(1))
    assert "forward" not in module.__dict__
    assert observer.num_obs() == 3
    assert {k: tuple(v.shape) for k, v in observer.infer_arguments().items()} == {"x": (2, 7), "y": (2, 7), "z": (1,)}
    dynamic = torch.export.Dim.DYNAMIC
    assert str(observer.infer_dynamic_shapes()) == str({"x": {1: dynamic}, "y": {1: dynamic}, "z": {}})


@runs
def test_observed_arguments_export_and_compare():
    observer, module = torch.onnx.InputObserver(), small()
    with observer(module):
        module(torch.randn(2, 4))
        module(torch.randn(3, 4))
    program = torch.onnx.export(
        module, observer.infer_arguments(), dynamic_shapes=observer.infer_dynamic_shapes()
    )
    rows = observer.check_discrepancies(program)
    assert len(rows) == 2 and all(row["SUCCESS"] for row in rows)

"""torch.jit: programs show what they show under PyTorch 2.13, and every module of torch.nn compiles."""

import copy
import io
import pickle
import subprocess
import sys

import programs
import pytest
import script_cases
import support

import torch
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RECORDED = support.recorded("script_programs")
CASES = script_cases.cases()


@pytest.mark.parametrize("name", programs.names(("script_programs",)))
def test_a_program_shows_the_recorded_lines(name):
    shown, recorded = programs.run(name), RECORDED[name]
    for number, (line, expected) in enumerate(zip(shown, recorded, strict=False)):
        assert programs.same(line, expected), f"line {number}"
    assert len(shown) == len(recorded)


def flat(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in flat(v)] if isinstance(value, (list, tuple)) else []


def saved_and_read(module):
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_module_computes_what_the_module_does(name):
    module, args = CASES[name]
    module = copy.deepcopy(module)
    compiled = torch.jit.script(copy.deepcopy(module))
    read = saved_and_read(compiled)
    expected = flat(module(*(a.clone() for a in args)))
    for other in (compiled, read):
        found = flat(other(*(a.clone() for a in args)))
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)
    assert compiled.state_dict().keys() == module.state_dict().keys() == read.state_dict().keys()


@pytest.mark.parametrize("name", ["Conv2d", "LSTM", "TEL", "BN2", "CE"])
def test_gradients_go_through_compiled_modules(name):
    module, args = CASES[name]
    compiled = torch.jit.script(copy.deepcopy(module))
    grads = []
    for m in (module, compiled):
        m.zero_grad()
        inputs = [a.clone().requires_grad_() if a.is_floating_point() else a for a in args]
        flat(m(*inputs))[0].square().sum().backward()
        grads.append([p.grad for p in m.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_compiled_modules_are_modules():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    compiled = torch.jit.script(module)
    assert isinstance(compiled, torch.jit.ScriptModule) and isinstance(compiled, nn.Module)
    assert torch.jit.script(compiled) is compiled
    assert not compiled.eval().training and not compiled[2].training and compiled[0].weight is module[0].weight
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.5)
    x = torch.randn(4, 2)
    before = compiled(x).detach()
    compiled(x).sum().backward()
    optimizer.step()
    assert not torch.equal(compiled(x), before)
    clone = copy.deepcopy(compiled)
    torch.testing.assert_close(clone(x), compiled(x))
    with torch.no_grad():
        clone[0].weight.zero_()
    assert not torch.equal(clone(x), compiled(x))
    other = torch.jit.script(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)))
    other.load_state_dict(compiled.state_dict())
    torch.testing.assert_close(other.eval()(x), compiled(x))
    assert compiled.to(torch.float64)(x.double()).dtype == torch.float64
    with pytest.raises(RuntimeError, match="__getstate__"):
        pickle.dumps(compiled)
    seen = []
    handle = compiled.register_forward_hook(lambda m, a, out: seen.append(out.shape))
    compiled(x.double())
    handle.remove()
    assert seen == [torch.Size([4, 3])]


def test_instances_of_equal_shape_share_their_type():
    a, b = torch.jit.script(nn.Linear(2, 3)), torch.jit.script(nn.Linear(2, 3))
    c = torch.jit.script(nn.Linear(3, 3))
    assert a._type is b._type and a._type is not c._type


def test_units_are_compiled_from_text():
    unit = torch.jit.CompilationUnit(
        """
        def twice(x: Tensor, n: int=2) -> Tensor:
            for i in range(n):
                x = torch.add(x, x)
            return x
        def both(x):
            return twice(x), twice(x, 1)
        """
    )
    a, b = unit.both(torch.ones(1))
    assert (a.item(), b.item()) == (4, 2)
    assert unit.twice.code.startswith("def twice(x: Tensor,\n    n: int=2) -> Tensor:")
    with pytest.raises(RuntimeError, match="undefined value nothing"):
        torch.jit.CompilationUnit("def f(x):\n    return nothing(x)")
    with pytest.raises(AttributeError, match="no attribute"):
        unit.third


def test_graphs_are_built_by_hand():
    graph = torch.Graph()
    x = graph.add_input("x")
    y = graph.insert_call("aten::add", [x, 2])
    graph.add_output(graph.insert_call("aten::mul", [y, x]))
    graph.lint()
    function = torch.jit.CompilationUnit().create_function("f", graph)
    assert function(torch.full((1,), 3.0)).item() == 15
    assert "torch.mul(torch.add(x, 2), x)" in function.code
    assert str(graph.copy()) == str(graph)
    assert [n.kind() for n in graph.nodes() if n.kind().startswith("aten")] == ["aten::add", "aten::mul"]


def test_functions_are_saved():
    function = torch.jit.script(_clipped)
    read = saved_and_read(function)
    x = torch.arange(-3.0, 3)
    torch.testing.assert_close(read(x, 1.0), _clipped(x, 1.0))
    assert read.original_name == "PlaceholderModule"


def _clipped(x, limit: float):
    return x.clamp(-limit, limit) if limit > 0 else x


class Ignoring(nn.Module):
    def forward(self, x):
        if torch.jit.is_scripting():
            return self.kept(x) + 1
        return x

    @torch.jit.ignore
    def kept(self, x: torch.Tensor) -> torch.Tensor:
        return x * len(__name__) / len(__name__)


def test_ignored_methods_run_in_python_and_are_not_saved():
    compiled = torch.jit.script(Ignoring())
    assert compiled(torch.ones(1)).item() == 2
    with pytest.raises(RuntimeError, match="Could not export Python function call 'kept'"):
        compiled.save(io.BytesIO())


def test_freezing_makes_constants_of_parameters():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.5)).eval()
    frozen = torch.jit.freeze(torch.jit.script(module))
    x = torch.randn(1, 1, 5, 5)
    torch.testing.assert_close(frozen(x), module(x))
    assert not list(frozen.parameters()) and "dropout" not in frozen.code and "CONSTANTS.c0" in frozen.code
    torch.testing.assert_close(saved_and_read(frozen)(x), module(x))
    assert "aten::conv2d" in torch.jit.export_opnames(frozen)


def test_graphs_of_fx_hold_calls_of_compiled_functions():
    function = torch.jit.script(_clipped)
    traced = torch.fx.symbolic_trace(lambda x: function(x, 0.5) + 1)
    assert [n.target for n in traced.graph.nodes if n.op == "call_function"][0] is function
    assert traced(torch.full((1,), 2.0)).item() == 1.5


def test_compiled_modules_take_other_parameters():
    compiled = torch.jit.script(nn.Linear(2, 1, bias=False))
    found = torch.func.functional_call(compiled, {"weight": torch.tensor([[1.0, 2.0]])}, (torch.ones(1, 2),))
    assert found.item() == 3


def test_importing_torch_loads_none_of_it():
    code = "import sys, torch; print([m for m in sys.modules if m.startswith('torch.jit')])"
    out = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

"""torch.compile and what surrounds it: what programs of tests/data/compile.txt print is what PyTorch 2.13 prints."""

import subprocess
import sys

import pytest
import support

import torch

PROGRAMS, EXPECTED = support.read_programs("compile"), support.recorded("compile")


@pytest.fixture(autouse=True)
def fresh():
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("title", PROGRAMS)
def test_program(title):
    assert support.run_program(PROGRAMS[title]) == EXPECTED[title]


def test_every_program_is_recorded():
    assert list(PROGRAMS) == list(EXPECTED)


class Counting:
    """A backend that counts the graphs that it gets."""

    def __init__(self):
        self.graphs = []

    def __call__(self, gm, inputs):
        self.graphs.append(gm)
        return gm.forward


def test_graphs_follow_parameters_modes_and_attributes():
    backend = Counting()
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    model.eval()
    compiled = torch.compile(model, backend=backend)
    x = torch.ones(2, 3)
    assert torch.equal(compiled(x), model(x))
    with torch.no_grad():
        model[0].weight.mul_(2)
    model[0].bias = torch.nn.Parameter(torch.zeros(3))
    assert torch.equal(compiled(x), model(x)) and len(backend.graphs) == 1
    model.train()
    torch.manual_seed(0)
    ours = compiled(x)
    torch.manual_seed(0)
    assert torch.equal(ours, model(x)) and len(backend.graphs) == 2
    model[0].weight.grad = None
    compiled(x).sum().backward()
    assert model[0].weight.grad is not None


def test_running_statistics_are_counted_once():
    model, other = torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    x = torch.randn(4, 3)
    other(x)
    torch.compile(model, backend=Counting())(x)
    assert torch.allclose(model.running_mean, other.running_mean)
    assert model.num_batches_tracked == 1


def test_variables_outside_are_guarded():
    backend = Counting()
    scale, weight = [2], torch.ones(2)

    def f(x):
        return x * scale[0] + weight

    compiled = torch.compile(f, backend=backend)
    x = torch.ones(2)
    assert compiled(x).tolist() == [3, 3]
    scale[0] = 5
    assert compiled(x).tolist() == [6, 6]
    weight.fill_(0)
    assert compiled(x).tolist() == [5, 5] and len(backend.graphs) == 2


def test_a_program_with_side_effects_runs_as_python():
    backend = Counting()

    class Counter(torch.nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    model = Counter()
    model.calls = 0
    compiled = torch.compile(model, backend=backend)
    assert [compiled(torch.ones(1)).item() for _ in range(3)] == [1, 2, 3]
    assert backend.graphs == [] and model.calls == 3


def test_the_backend_decides_what_runs():
    def tenfold(gm, inputs):
        return lambda *tensors: tuple(10 * t for t in gm(*tensors))

    assert torch.compile(lambda x: x + 1, backend=tenfold)(torch.ones(2)).tolist() == [20, 20]


def test_many_kinds_of_calls_end_in_python():
    backend = Counting()
    compiled = torch.compile(lambda x: x + 1, backend=backend)
    for n in range(1, 15):
        assert compiled(torch.ones(n)).shape == (n,)
    assert len(backend.graphs) == torch._dynamo.config.recompile_limit
    strict = torch.compile(lambda x: x + 1, backend=backend, fullgraph=True, recompile_limit=2)
    strict(torch.ones(1)), strict(torch.ones(2))
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        strict(torch.ones(3))


def test_structures_of_arguments_and_results():
    backend = Counting()

    def f(batch, *rest, factor=1):
        return {"sum": sum(batch.values()) * factor, "rest": [r.sum() for r in rest], "n": len(rest), "same": rest[0]}

    compiled = torch.compile(f, backend=backend)
    a, b = torch.ones(2), torch.arange(2.0)
    out = compiled({"a": a, "b": b}, a, b, factor=3)
    assert out["sum"].tolist() == [3, 6] and out["n"] == 2 and out["same"] is a
    assert [v.item() for v in out["rest"]] == [2, 1]
    assert len(backend.graphs) == 1 and len(compiled({"a": a, "b": b}, a)["rest"]) == 1


def test_import_torch_does_not_load_the_compiler():
    loaded = "import sys, torch; print([m for m in sys.modules if m.startswith(('torch._dynamo', 'torch._inductor'))])"
    assert subprocess.run([sys.executable, "-P", "-c", loaded], capture_output=True, text=True).stdout == "[]\n"

"""torch.jit.trace: what programs of tests/data/trace.txt print is PyTorch 2.13's, and networks run the same."""

import copy
import io

import pytest
import support
import traced_networks

import torch
from torch.utils import _pytree as pytree

pytestmark = pytest.mark.filterwarnings("ignore")
PROGRAMS, EXPECTED = support.read_programs("trace"), support.recorded("trace")


@pytest.mark.parametrize("title", PROGRAMS)
def test_program(title):
    assert support.run_program(PROGRAMS[title]) == EXPECTED[title]


def test_every_program_is_recorded():
    assert list(PROGRAMS) == list(EXPECTED)


NETWORKS = traced_networks.networks()
# Their check fails in PyTorch too: evaluation takes another path where no gradients are recorded.
UNCHECKED = ("transformer", "positions", "vit")


@pytest.fixture(params=NETWORKS)
def network(request):
    make, first, second = NETWORKS[request.param]
    if request.param in traced_networks.OF_EXAMPLES:
        pytest.importorskip("tqdm")
    torch.manual_seed(0)
    module = make()
    with torch.no_grad():
        module(*first)
    return request.param, module.eval(), first, second


def compare(a, b):
    """Nested results agree."""
    first, spec = pytree.tree_flatten(a)
    second, other = pytree.tree_flatten(b)
    assert spec == other
    for x, y in zip(first, second, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_network(network):
    name, module, first, second = network
    traced = torch.jit.trace(copy.deepcopy(module), first, strict=False, check_trace=name not in UNCHECKED)
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    if name == "mixture":
        module.seen.copy_(traced.seen)  # it counts its calls
        loaded.seen.copy_(traced.seen)
    for inputs in (first, second):
        expected = module(*inputs)
        results = [found(*inputs) for found in (traced, loaded)]
        for result in results:
            compare(result, expected)
        sum(t.square().sum() for t in pytree.tree_leaves(expected) if t.requires_grad).backward()
        for result, found in zip(results, (traced, loaded), strict=True):
            sum(t.square().sum() for t in pytree.tree_leaves(result) if t.requires_grad).backward()
            ours = dict(found.named_parameters())
            for path, parameter in module.named_parameters():
                if parameter.grad is not None:
                    scale = max(1.0, float(parameter.grad.abs().max()))
                    torch.testing.assert_close(ours[path].grad, parameter.grad, rtol=1e-4, atol=1e-5 * scale)


def test_a_failure_leaves_no_trace_behind():
    with pytest.raises(ZeroDivisionError):
        torch.jit.trace(lambda x: x * (1 // 0), torch.ones(2))
    assert not torch.jit.is_tracing()
    assert torch.ones(2).size(0) == 2 and isinstance(torch.ones(2).size(0), int)
    assert torch.nn.Linear(2, 2)(torch.ones(2)).shape == (2,)


def test_other_threads_are_not_traced():
    import threading

    seen = []

    def f(x):
        thread = threading.Thread(target=lambda: seen.append((torch.jit.is_tracing(), torch.ones(3).size(0))))
        thread.start()
        thread.join()
        return x * 2

    torch.jit.trace(f, torch.ones(2), check_trace=False)
    assert seen == [(False, 3)] and isinstance(seen[0][1], int)


def test_constants_of_a_trace_stay_as_they_are():
    traced = torch.jit.trace(lambda x: torch.tensor([1.0, 2.0]).add_(x), torch.ones(2), check_trace=False)
    assert traced(torch.ones(2)).tolist() == [2, 3]
    assert traced(torch.ones(2)).tolist() == [2, 3]


def test_numbers_of_a_trace_promote_as_in_python():
    traced = torch.jit.trace(lambda x: x * 2.5, torch.arange(3), check_trace=False)
    assert traced(torch.arange(3)).dtype == torch.float32
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    buffer.seek(0)
    assert torch.jit.load(buffer)(torch.arange(3)).dtype == torch.float32

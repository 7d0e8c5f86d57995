"""torch.profiler and torch.autograd.profiler: what is measured, how it nests, and what can be written of it."""

import gzip
import json
import re
import subprocess
import sys
import time

import pytest
import support

import torch
from torch import nn
from torch.autograd import profiler_util
from torch.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule

RECORDED = support.recorded("profiler")


@pytest.mark.parametrize("title", support.read_programs("profiler"))
def test_a_program_prints_the_recorded_text(title):
    assert support.run_program(support.read_programs("profiler")[title]) == RECORDED[title]


def names(events):
    return [event.name for event in events]


def find(events, name):
    found = [event for event in events if event.name == name]
    assert found, f"{name} is not among {names(events)}"
    return found[0]


def test_operations_forwards_and_backwards_nest():
    x = torch.randn(5, 3, requires_grad=True)
    with profile(record_shapes=True) as prof:
        nn.Linear(3, 4)(x).sum().backward()
    events = prof.events()
    linear, addmm = find(events, "aten::linear"), find(events, "aten::addmm")
    assert addmm.cpu_parent is linear and addmm in linear.cpu_children
    assert linear.input_shapes == [[5, 3], [4, 3], [4]]
    whole = find(events, "autograd::engine::evaluate_function: AddmmBackward0")
    node = find(events, "AddmmBackward0")
    assert node.cpu_parent is whole and node.sequence_nr == addmm.sequence_nr >= 0
    products = [event for event in events if event.name == "aten::mm"]
    assert len(products) == 2 and all(event.cpu_parent is node for event in products)
    assert "torch::autograd::AccumulateGrad" in names(events)


def test_times_are_those_of_the_clock():
    with profile() as prof, record_function("sleeping"):
        time.sleep(0.05)
        with record_function("inner"):
            time.sleep(0.02)
    outer, inner = find(prof.events(), "sleeping"), find(prof.events(), "inner")
    assert 70_000 <= outer.cpu_time_total < 1_000_000
    assert 20_000 <= inner.cpu_time_total < outer.cpu_time_total
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - inner.cpu_time_total)
    assert prof.events().self_cpu_time_total == pytest.approx(outer.cpu_time_total)


def test_what_is_measured_is_what_ran():
    a = torch.randn(600, 600)
    with profile() as prof:
        for _ in range(3):
            torch.mm(a, a)
        torch.relu(a)
    averages = {one.key: one for one in prof.key_averages()}
    assert averages["aten::mm"].count == 3
    # 432 million operations against 360 thousand
    assert averages["aten::mm"].self_cpu_time_total > averages["aten::relu"].self_cpu_time_total


def test_memory_of_each_operation():
    keep = []
    with profile(profile_memory=True) as prof:
        keep.append(torch.empty(1000))
        with record_function("temporary"):
            torch.ones(500) + 1
    assert find(prof.events(), "aten::empty").cpu_memory_usage == 4000
    assert find(prof.events(), "aten::ones").self_cpu_memory_usage == 2000
    assert find(prof.events(), "temporary").cpu_memory_usage == 0
    with profile(profile_memory=True) as prof:
        keep.clear()
    assert [(e.name, e.cpu_memory_usage) for e in prof.events()] == [("[memory]", -4000)]


def test_small_tensors_count_too():
    with profile(profile_memory=True) as prof:
        kept = torch.empty(3)
    assert find(prof.events(), "aten::empty").cpu_memory_usage == 12
    assert kept.numel() == 3


def test_flops():
    with profile(with_flops=True) as prof:
        torch.mm(torch.ones(3, 4), torch.ones(4, 5))
        torch.bmm(torch.ones(2, 3, 4), torch.ones(2, 4, 5))
        torch.addmm(torch.ones(5), torch.ones(3, 4), torch.ones(4, 5))
        nn.functional.conv2d(torch.ones(4, 6, 9, 8), torch.ones(8, 3, 3, 2), stride=2, padding=1, groups=2)
        torch.ones(7) * torch.ones(7)
    flops = {event.name: event.flops for event in prof.events() if event.flops}
    # from the definition: 2 for each multiplication and addition; the image of the convolution has 5 x 5 places
    assert flops == {
        "aten::mm": 2 * 3 * 4 * 5, "aten::bmm": 2 * 2 * 3 * 4 * 5, "aten::addmm": 2 * 3 * 4 * 5,
        "aten::conv2d": 2 * 4 * 8 * 5 * 5 * 3 * 3 * 2, "aten::mul": 7,
    }  # fmt: skip


def a_function_of_this_file(x):
    return torch.exp(x)


def test_stacks_name_the_callers():
    x = torch.ones(2, requires_grad=True)
    with profile(with_stack=True) as prof:
        y = a_function_of_this_file(x)
        y.sum().backward()
    stack = find(prof.events(), "aten::exp").stack
    assert re.search(r"test_profiler\.py\(\d+\): a_function_of_this_file$", stack[0])
    assert stack[1].endswith(": test_stacks_name_the_callers")
    # a derivative shows where its forward call was
    assert find(prof.events(), "ExpBackward0").stack == stack
    grouped = prof.key_averages(group_by_stack_n=1).table()
    assert "Source Location" in grouped and "a_function_of_this_file" in grouped


def test_stacks_for_flame_graphs(tmp_path):
    with profile(with_stack=True) as prof:
        a_function_of_this_file(torch.ones(200_000))
    prof.export_stacks(str(tmp_path / "stacks"), "self_cpu_time_total")
    lines = (tmp_path / "stacks").read_text().splitlines()
    assert any(re.search(r"a_function_of_this_file \d+$", line) for line in lines)


def test_modules_are_events():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with profile(with_modules=True) as prof:
        model(torch.ones(1, 3))
    events = prof.events()
    assert find(events, "aten::relu").cpu_parent is find(events, "nn.Module: ReLU_0")
    assert find(events, "nn.Module: Linear_1").cpu_parent is find(events, "nn.Module: Sequential_0")


def test_steps_of_optimizers_are_events():
    weight = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    with profile() as prof:
        optimizer.step()
    assert "Optimizer.step#SGD.step" in names(prof.events())


def test_a_schedule_measures_only_active_steps():
    ready = []

    def on_ready(prof):
        ready.append((prof.step_num, [e.trace_name for e in prof.events() if e.is_user_annotation],
                      names(prof.events()).count("aten::exp")))  # fmt: skip

    plan = schedule(wait=1, warmup=1, active=2, repeat=2)
    with profile(schedule=plan, on_trace_ready=on_ready) as prof:
        for _ in range(10):
            torch.exp(torch.ones(2))
            prof.step()
    assert ready == [(4, ["ProfilerStep#2", "ProfilerStep#3"], 2), (8, ["ProfilerStep#6", "ProfilerStep#7"], 2)]
    assert prof.current_action is ProfilerAction.NONE


def test_events_of_cycles_can_be_kept():
    with profile(schedule=schedule(wait=0, warmup=1, active=1, repeat=2), acc_events=True) as prof:
        for _ in range(4):
            torch.exp(torch.ones(2))
            prof.step()
    assert names(prof.events()).count("aten::exp") == 2


def test_chrome_trace(tmp_path):
    x = torch.ones(3, requires_grad=True)
    with profile(record_shapes=True, profile_memory=True) as prof:
        with record_function("forward"):
            y = (x * 2).sum()
        y.backward()
    prof.add_metadata("a text", "b")
    prof.add_metadata_json("a number", "3")
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    document = json.loads((tmp_path / "trace.json").read_text())
    assert document["a text"] == "b" and document["a number"] == 3 and document["displayTimeUnit"] == "ms"
    traced = {}
    for event in document["traceEvents"]:
        traced.setdefault((event.get("cat"), event["ph"]), []).append(event)
    product = next(e for e in traced["cpu_op", "X"] if e["name"] == "aten::mul")
    (forward,) = traced["user_annotation", "X"]
    assert forward["ts"] <= product["ts"] and product["ts"] + product["dur"] <= forward["ts"] + forward["dur"] + 1e-3
    assert product["args"]["Input Dims"] == [[3], []] and product["args"]["Input type"] == ["float", "Scalar"]
    arrows = {e["id"] for e in traced["fwdbwd", "s"]}
    assert product["args"]["Sequence number"] in arrows and arrows == {e["id"] for e in traced["fwdbwd", "f"]}
    assert any(e["args"]["Bytes"] == 12 for e in traced["cpu_instant_event", "i"])
    prof.export_chrome_trace(str(tmp_path / "trace.json.gz"))
    with gzip.open(tmp_path / "trace.json.gz", "rt") as file:
        assert len(json.load(file)["traceEvents"]) == len(document["traceEvents"])


def test_traces_for_tensorboard(tmp_path):
    with profile(on_trace_ready=torch.profiler.tensorboard_trace_handler(str(tmp_path / "log"), "me")):
        torch.exp(torch.ones(2))
    (path,) = (tmp_path / "log").iterdir()
    assert re.fullmatch(r"me\.\d+\.pt\.trace\.json", path.name)
    assert "aten::exp" in {event["name"] for event in json.loads(path.read_text())["traceEvents"]}


def test_execution_traces(tmp_path):
    observer = torch.profiler.ExecutionTraceObserver().register_callback(str(tmp_path / "et.json"))
    with profile(execution_trace_observer=observer), record_function("outer"):
        torch.exp(torch.ones(2, 3))
    nodes = {node["name"]: node for node in json.loads((tmp_path / "et.json").read_text())["nodes"]}
    assert nodes["aten::exp"]["ctrl_deps"] == nodes["outer"]["id"]
    assert nodes["aten::exp"]["inputs"]["shapes"] == [[2, 3]]


def test_exceptions_close_what_they_leave():
    with profile() as prof:
        with pytest.raises(RuntimeError), record_function("fails"):
            torch.mm(torch.ones(2, 3), torch.ones(2, 3))
        torch.exp(torch.ones(2))
    assert find(prof.events(), "aten::mm").cpu_parent is find(prof.events(), "fails")
    assert find(prof.events(), "aten::exp").cpu_parent is None


def test_a_profiler_that_an_exception_leaves_can_be_used_again():
    with pytest.raises(KeyError), profile():
        raise KeyError
    with profile() as prof:
        torch.exp(torch.ones(2))
    assert names(prof.events()) == ["aten::ones", "aten::exp"]


def test_only_one_profiler_at_a_time():
    with profile() as prof:
        with pytest.raises(RuntimeError, match="already enabled on this thread"):
            torch.autograd.profiler.profile().__enter__()
        torch.exp(torch.ones(2))
    assert "aten::exp" in names(prof.events())


def test_other_threads_are_not_measured():
    import threading

    with profile() as prof:
        thread = threading.Thread(target=lambda: torch.exp(torch.ones(2)))
        thread.start()
        thread.join()
    assert names(prof.events()) == []


def test_results_are_those_without_a_profiler():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(27, 4))
    x = torch.randn(2, 2, 8, 8)

    def gradients():
        torch.manual_seed(3)
        model.zero_grad()
        model(x).pow(2).sum().backward()
        return [p.grad.clone() for p in model.parameters()]

    plain = gradients()
    with profile(record_shapes=True, profile_memory=True, with_stack=True, with_modules=True):
        measured = gradients()
    for a, b in zip(plain, measured, strict=True):
        assert torch.equal(a, b)


def test_record_function_as_a_decorator_of_a_recursive_function():
    @record_function("countdown")
    def countdown(n):
        return n if n == 0 else countdown(n - 1)

    with profile() as prof:
        countdown(2)
    depths = []
    event = max((e for e in prof.events()), key=lambda e: e.cpu_time_total)
    while event:
        depths.append(event.name)
        event = event.cpu_children[0] if event.cpu_children else None
    # of two nested events with one name, alone inside each other, one is kept
    assert depths == ["countdown"]


def test_activities():
    assert torch.profiler.supported_activities() == {ProfilerActivity.CPU}
    with pytest.warns(UserWarning, match="CUDA is not available"):
        profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    with pytest.raises(AssertionError, match="No valid profiler activities found"):
        profile(activities=[])


def test_tables_can_be_sorted_and_limited():
    with profile(record_shapes=True) as prof:
        for size in (2, 300):
            torch.exp(torch.ones(size, size))
    rows = prof.key_averages(group_by_input_shape=True).table(sort_by="cpu_time_total", row_limit=1).splitlines()
    assert len(rows) == 6 and rows[5].startswith("Self CPU time total: ")
    assert len(prof.key_averages(group_by_input_shape=True)) == 3
    with pytest.raises(AttributeError, match="foo"):
        prof.key_averages().table(sort_by="foo")


def test_nothing_is_loaded_by_importing_torch():
    program = "import sys, torch; print([m for m in sys.modules if 'profiler' in m])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_formats():
    assert profiler_util._format_memory(1536) == "1.50 KB" and profiler_util._format_time(1500.0) == "1.500ms"

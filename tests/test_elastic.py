"""torchrun: programs in several processes, started, watched, ended and started again."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import distributed_targets as targets
import pytest

import torch
from torch.distributed.elastic import events, metrics, timer
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std, start_processes
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure, record
from torch.distributed.elastic.rendezvous import RendezvousParameters, rendezvous_handler_registry
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def torchrun(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    command = [sys.executable, "-P", "-m", "torch.distributed.run", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)


SUMS = """
import os, sys
import torch, torch.distributed as dist
dist.init_process_group("gloo")
t = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(t)
assert os.environ["LOCAL_RANK"] == str(dist.get_node_local_rank())
with open(f"found{dist.get_rank()}", "w") as file:
    file.write(f"{t.item()} {dist.get_world_size()} {sys.argv[1:]} {dist.is_torchelastic_launched()}")
dist.destroy_process_group()
"""

FAILS_AT_FIRST = """
import os, sys, time
from torch.distributed.elastic.multiprocessing.errors import record

@record
def main():
    if os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] in sys.argv[1:]:
        raise ValueError("not yet")
    if os.environ["TORCHELASTIC_RESTART_COUNT"] in sys.argv[1:]:
        time.sleep(20)

main()
"""


def test_a_program_in_two_processes(tmp_path):
    (tmp_path / "program.py").write_text(SUMS)
    done = torchrun("--nproc-per-node=2", "program.py", "--epochs", "3", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        assert (tmp_path / f"found{rank}").read_text() == "3.0 2 ['--epochs', '3'] True"


def test_two_machines(tmp_path):
    (tmp_path / "program.py").write_text(SUMS)
    with targets.free_socket() as sock:
        port = sock.getsockname()[1]
    common = ["--nnodes=2", "--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=job", "program.py"]
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    command = [sys.executable, "-P", "-m", "torch.distributed.run", *common]
    agents = [subprocess.Popen(command, cwd=tmp_path, env=environment) for _ in range(2)]
    assert [agent.wait(60) for agent in agents] == [0, 0]
    for rank in range(2):
        assert (tmp_path / f"found{rank}").read_text() == "3.0 2 [] True"


def test_workers_are_started_again(tmp_path):
    (tmp_path / "program.py").write_text(FAILS_AT_FIRST)
    done = torchrun("--nproc-per-node=2", "--max-restarts=1", "program.py", "0", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_failure_is_shown_and_ends_the_others(tmp_path):
    (tmp_path / "program.py").write_text(FAILS_AT_FIRST)
    begin = time.monotonic()
    done = torchrun("--nproc-per-node=2", "program.py", "0", folder=tmp_path)
    assert done.returncode == 1 and time.monotonic() - begin < 15
    shown = done.stderr[done.stderr.index("program.py FAILED") :]
    assert "Root Cause (first observed failure):" in shown
    assert "rank      : 1 (local_rank: 1)\n  exitcode  : 1" in shown
    assert "ValueError: not yet" in shown
    assert "Signal 15 (SIGTERM) received" in shown


def test_wrong_arguments(tmp_path):
    done = torchrun("--nproc-per-node=many", "program.py", folder=tmp_path)
    assert done.returncode == 1 and "Unsupported nproc_per_node value: many" in done.stderr
    assert torchrun(folder=tmp_path).returncode == 2


def test_a_function_in_two_processes():
    config = LaunchConfig(1, 1, 2, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0)
    assert elastic_launch(config, targets.rank_times)(10) == {0: 0, 1: 10}


def test_output_goes_to_files(tmp_path, capfd):
    logs = DefaultLogsSpecs(str(tmp_path), redirects=Std.OUT, tee=Std.from_str("0:2"))
    code = "import sys; print('out', sys.argv[1]); print('err', sys.argv[1], file=sys.stderr)"
    words = {rank: ("-c", code, f"w{rank}") for rank in range(2)}
    envs = {rank: {"TORCHELASTIC_RUN_ID": "r", "TORCHELASTIC_RESTART_COUNT": "0"} for rank in range(2)}
    context = start_processes("trial", sys.executable, words, envs, logs)
    result = context.wait(30, 0.05)
    assert not result.is_failed()
    assert [Path(result.stdouts[rank]).read_text() for rank in range(2)] == ["out w0\n", "out w1\n"]
    shown = capfd.readouterr().err
    assert "[trial0]:err w0" in shown and "err w1" in shown and "[trial1]" not in shown
    with pytest.raises(ValueError, match="does not match"):
        Std.from_str("7")


def test_errors_are_written_to_the_file(tmp_path, monkeypatch):
    path = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))

    @record
    def fails():
        raise KeyError("gone")

    with pytest.raises(KeyError):
        fails()
    assert json.loads(path.read_text())["message"]["message"] == "KeyError: 'gone'"
    failure = ProcessFailure(0, 12, 1, str(path))
    assert "KeyError: 'gone'" in failure.message and failure.signal_name() == "<N/A>"
    killed = ProcessFailure(1, 13, -9, "")
    killed.timestamp = failure.timestamp + 5
    error = ChildFailedError("trial", {1: killed, 0: failure})
    assert error.get_first_failure() == (0, failure)
    assert "Signal 9 (SIGKILL) received by PID 13" in str(error)


def test_meetings_are_checked():
    for wrong in (("c10d", "", "1", 0, 1), ("c10d", "", "1", 1, 0), ("", "", "1", 1, 1)):
        with pytest.raises(ValueError):
            RendezvousParameters(*wrong)
    with pytest.raises(ValueError, match="is not registered"):
        rendezvous_handler_registry.create_handler(RendezvousParameters("what", "", "1", 1, 1))
    with pytest.raises(NotImplementedError, match="etcd"):
        rendezvous_handler_registry.create_handler(RendezvousParameters("etcd", "", "1", 1, 1))
    with pytest.raises(ValueError, match="port number"):
        rendezvous_handler_registry.create_handler(
            RendezvousParameters("static", "host:x", "1", 1, 1)
        ).next_rendezvous()


def test_deadlines(tmp_path):
    server = timer.FileTimerServer(str(tmp_path / "pipe"), "run", max_interval=0.05)
    server.start()
    try:
        code = (
            "import sys, time; from torch.distributed.elastic import timer\n"
            "timer.configure(timer.FileTimerClient(sys.argv[1]))\n"
            "with timer.expires(after=60): pass\n"
            "with timer.expires(after=0.1): time.sleep(30)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
        command = [sys.executable, "-P", "-c", code, str(tmp_path / "pipe")]
        assert subprocess.run(command, env=environment, timeout=20).returncode == -9
    finally:
        server.stop()


def test_events_and_metrics(capsys):
    event = events.Event("start", events.EventSource.AGENT, metadata={"workers": 2})
    assert events.Event.deserialize(event.serialize()) == event
    events.record(event)
    metrics.configure(metrics.ConsoleMetricHandler(), "trial")

    @metrics.prof(group="trial")
    def work():
        return 5

    assert work() == 5
    assert "work.success=1" in capsys.readouterr().out

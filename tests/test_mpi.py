"""The backend of MPI, where mpi4py and mpiexec are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import torch
import torch.distributed as dist

PROGRAM = """
import torch, torch.distributed as dist
dist.init_process_group("mpi")
rank, size = dist.get_rank(), dist.get_world_size()
assert (size, dist.get_backend()) == (2, "mpi")
for dtype in (torch.float32, torch.int64, torch.bfloat16, torch.bool):
    t = torch.arange(4).to(dtype)
    dist.all_reduce(t)
    assert torch.equal(t, (2 * torch.arange(4)).to(dtype)), t
t = torch.full((2,), float(rank))
dist.broadcast(t, 1)
assert t.tolist() == [1, 1]
found = [None] * size
dist.all_gather_object(found, {"rank": rank})
assert [one["rank"] for one in found] == [0, 1]
if rank == 0:
    dist.send(torch.ones(3), 1)
else:
    t = torch.zeros(3)
    assert dist.recv(t) == 0 and t.sum() == 3
out = torch.zeros(2)
dist.all_to_all_single(out, torch.arange(2.0) + 10 * rank)
assert out.tolist() == [rank, 10.0 + rank]
parts = [torch.full((2,), float(i)) for i in range(2)] if rank == 0 else None
dist.scatter(t[:2], parts, 0)
assert t[:2].tolist() == [rank, rank]
pair = dist.new_group([1, 0])
work = dist.all_reduce(torch.ones(1), group=pair, async_op=True)
assert work.wait() and work.result()[0].item() == 2
dist.barrier()
dist.destroy_process_group()
"""


def test_processes_of_mpi(tmp_path):
    pytest.importorskip("mpi4py")
    launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if launcher is None:
        pytest.skip("there is no mpiexec")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(Path(torch.__file__).parent.parent)}
    command = [launcher, "-n", "2", sys.executable, "-P", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr


def test_without_mpi(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RuntimeError, match="Distributed package doesn't have MPI built in"):
        dist.init_process_group("mpi")

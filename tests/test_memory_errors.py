"""An error about memory that has run out lists what holds it, and the lines that made that."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import resource
    import torch

    def grow(kept):
        while True:
            kept.append(torch.ones(1024, 4096))  # 16 MiB

    torch.set_num_threads(1)
    weight = torch.zeros(512, 1024, dtype=torch.float64)
    small = torch.zeros(1000)
    freed = torch.zeros(3000, 1000)
    del freed
    hidden = torch.tanh(weight.requires_grad_()).sum()
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), used + (200 << 20)))
    kept = []
    try:
        grow(kept)
    except RuntimeError as error:
        print(type(error).__name__, len(kept))
        print(error)
    del kept
    print(torch.ones(1024, 4096).sum().item())
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    file = tmp_path_factory.mktemp("memory") / "program.py"
    file.write_text(textwrap.dedent(PROGRAM))
    done = subprocess.run([sys.executable, "-P", str(file)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_message_begins_as_pytorch_s(output):
    kind, count = output[0].split()
    assert kind == "RuntimeError" and 5 <= int(count) <= 12
    assert "DefaultCPUAllocator: can't allocate memory: you tried to allocate 16777216 bytes." in output[1]
    assert output[1].endswith("Error code 12 (Cannot allocate memory)")


def test_the_largest_tensors_are_listed_with_their_lines(output):
    count = int(output[0].split()[1])
    held = count * (16 << 20) + 2 * (4 << 20)
    assert output[2] == f"Live tensors of 1 MiB or more: {count + 2}, with {held} bytes. The largest:"
    assert output[3].strip().startswith(f"{count * (16 << 20)} bytes: {count} x float32 [1024, 4096], made at ")
    assert output[3].endswith("program.py:7 in grow")
    # the weight, and what tanh keeps for its derivative
    assert {line.rpartition("program.py:")[2] for line in output[4:6]} == {"10 in <module>", "14 in <module>"}
    assert all("4194304 bytes: float64 [512, 1024]" in line for line in output[4:6])


def test_the_program_goes_on(output):
    assert output[6:] == [f"{1024.0 * 4096}"]

"""Packages that use torch run unmodified: each program of ecosystem_programs/ shows what it shows under PyTorch 2.13.

A program's name begins with the package that it needs. What it shows depends on the package's version, so a program
runs where the version that was recorded is installed.
"""

import importlib.metadata

import programs
import pytest
import support

RECORDED = support.recorded("ecosystem")
# The `ecosystem` extra of pyproject.toml pins the same ones.
VERSIONS = {
    "einops": "0.8.2",
    "safetensors": "0.8.0",
    "tensorboardX": "2.6.5",
    "torchdiffeq": "0.2.5",
    "torchinfo": "1.8.0",
    "torchmetrics": "1.9.0",
}


@pytest.mark.parametrize("name", programs.names(programs.ECOSYSTEM))
def test_a_program_shows_the_recorded_lines(name):
    package = name.partition("/")[2].partition("_")[0]
    pytest.importorskip(package)
    version = importlib.metadata.version(package)
    if version != VERSIONS[package]:
        pytest.skip(f"{package} {version} is here, {VERSIONS[package]} is recorded")
    if package == "torchmetrics":
        pytest.importorskip("torch.distributed", reason="torchmetrics asks it whether metrics are to be joined")
    shown, recorded = programs.run(name), RECORDED[name]
    for number, (line, expected) in enumerate(zip(shown, recorded, strict=False)):
        assert programs.same(line, expected), f"line {number}"
    assert len(shown) == len(recorded)


def test_every_program_is_recorded():
    assert set(programs.names(programs.ECOSYSTEM)) == RECORDED.keys()

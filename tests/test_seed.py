"""The article's programs print what they print in PyTorch (examples/seed_programs.py, recorded in data/seed.json)."""

import importlib.util
from pathlib import Path

import pytest
import support

import torch

_spec = importlib.util.spec_from_file_location(
    "seed_programs", Path(__file__).parent.parent / "examples/seed_programs.py"
)
seed_programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(seed_programs)
EXPECTED = support.recorded("seed")


@pytest.mark.parametrize("name", seed_programs.PROGRAMS)
def test_program(name):
    if name in ("from_numpy", "seeds"):
        pytest.importorskip("numpy")
    if name == "gpu" and torch.cuda.is_available():
        pytest.skip("the recorded error is that of a machine without a GPU")
    assert seed_programs.run(name) == EXPECTED[name]


def test_every_program_is_recorded():
    assert seed_programs.PROGRAMS.keys() == EXPECTED.keys()


def test_the_second_backward_fails_at_the_last_line():
    error = seed_programs.run("twice")["error"]
    assert error["line"] == "e.backward()  # error will occur!"
    assert error["type"] == "RuntimeError"
    assert error["message"].startswith("Trying to backward through the graph a second time")

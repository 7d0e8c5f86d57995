"""torch.jit.trace: what programs of tests/data/trace.txt print is what PyTorch 2.13 prints, and networks run the same."""

import copy
import io

import pytest
import support
import torch
import traced_networks
from torch.utils import _pytree as pytree

PROGRAMS, EXPECTED = support.read_programs("trace"), support.recorded("trace")


@pytest.mark.parametrize("title", PROGRAMS)
def test_program(title):
    assert support.run_program(PROGRAMS[title]) == EXPECTED[title]


def test_every_program_is_recorded():
    assert list(PROGRAMS) == list(EXPECTED)

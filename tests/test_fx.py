"""torch.fx: what programs of tests/data/fx.txt print is what PyTorch 2.13 prints."""

import subprocess
import sys

import pytest
import support

PROGRAMS = {(n, t): s for n in ("fx", "fx_passes") for t, s in support.read_programs(n).items()}
EXPECTED = {(n, t): s for n in ("fx", "fx_passes") for t, s in support.recorded(n).items()}


@pytest.mark.parametrize("name, title", PROGRAMS)
def test_program(name, title):
    assert support.run_program(PROGRAMS[name, title]) == EXPECTED[name, title]


def test_every_program_is_recorded():
    assert list(PROGRAMS) == list(EXPECTED)


def test_import_torch_does_not_load_fx():
    loaded = "import sys, torch; print([m for m in sys.modules if m.startswith(('torch.fx', 'torch.export'))])"
    assert subprocess.run([sys.executable, "-P", "-c", loaded], capture_output=True, text=True).stdout == "[]\n"

"""What programs with torch.utils and torch.hub print is what they print under PyTorch 2.13 (tests/data/*.txt)."""

import importlib.util

import pytest
import support

NAMES = ("flop_counter", "checkpoint")
PROGRAMS = [(name, title) for name in NAMES for title in support.read_programs(name)]
RECORDED = {name: support.recorded(name) for name in NAMES}


@pytest.mark.parametrize(("name", "title"), PROGRAMS)
def test_a_program_prints_the_recorded_text(name, title):
    assert support.run_program(support.read_programs(name)[title]) == RECORDED[name][title]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_without_tensorboard_the_error_says_how_to_get_it():
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboard") as error:
        from torch.utils.tensorboard import SummaryWriter  # noqa: F401
    assert error.value.name == "tensorboard"

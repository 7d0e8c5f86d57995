"""Each program of data_programs/ and nn_programs/ shows what it shows under PyTorch 2.13 (data/programs.json)."""

import programs
import pytest
import support

RECORDED = support.recorded("programs")


@pytest.mark.parametrize("name", programs.names())
def test_a_program_shows_the_recorded_lines(name):
    assert programs.run(name) == RECORDED[name]


def test_every_program_is_recorded():
    assert set(programs.names()) == RECORDED.keys()

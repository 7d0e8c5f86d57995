"""Each program of data_programs/ and nn_programs/ shows what it shows under PyTorch 2.13 (data/programs.json)."""

import programs
import pytest
import support

RECORDED = support.recorded("programs")


@pytest.mark.parametrize("name", programs.names())
def test_a_program_shows_the_recorded_lines(name):
    shown, recorded = programs.run(name), RECORDED[name]
    for number, (line, expected) in enumerate(zip(shown, recorded, strict=False)):
        assert programs.same(line, expected), f"line {number}"
    assert len(shown) == len(recorded)


def test_every_program_is_recorded():
    assert set(programs.names()) == RECORDED.keys()

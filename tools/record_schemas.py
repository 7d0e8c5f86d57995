#!/usr/bin/env python3
"""Record the names, arguments and tags of PyTorch's aten overloads, to run under the reference's interpreter.

    REFERENCE/bin/python tools/record_schemas.py

Writes torch/_aten_schemas.txt, which torch/_schema.py reads (the format stands there). Overloads that follow from
another one's text, its in-place and out= forms, are listed by name only.
"""

import re
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "torch"))

import _schema  # noqa: E402  found by the line above

TAGS = {name: letter for letter, name in _schema.TAGS.items()}
# Families that only some back ends or layouts have.
LEFT_OUT = re.compile(
    r"_?(foreach|fused|nested|sparse|fake_quantize|q_|mkldnn|cudnn|miopen|mps|test|cufft|thnn|philox|cslt|quantized|fbgemm"
    r"|autocast|amp|jagged|efficient_attention|flash_attention|batch_norm_impl|make_per|nnpack|sobol|padded_dense"
    r"|empty_affine|empty_per_channel|wrapped|semi_structured|triton|pack_padded|pad_packed|validate|lstm_mps|histogramdd_)"
)


def overloads():
    """Yield (name, overload, schema text, tag letters) of the dispatcher's aten operations."""
    for schema in torch._C._jit_get_all_schemas():
        space, _, name = schema.name.partition("::")
        qualified = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        if space != "aten" or LEFT_OUT.match(name):
            continue
        try:
            implicit = torch._C._dispatch_has_kernel_for_dispatch_key(qualified, "CompositeImplicitAutograd")
            op = getattr(getattr(torch.ops.aten, name), schema.overload_name or "default")
        except (RuntimeError, AttributeError):
            continue  # of TorchScript alone
        letters = "".join(sorted(TAGS[t.name] for t in op.tags if t.name in TAGS))
        yield name, schema.overload_name or "default", str(schema), letters + ("i" if implicit else "")


def main():
    table = {}
    for name, overload, text, letters in overloads():
        table[name, overload] = (text.removeprefix("aten::"), letters)
    followers, derived = {}, set()
    for (name, overload), (text, letters) in table.items():
        for other, form in ((f"{name}_", _schema.in_place_text), (name, _schema.out_text)):
            for target in [key for key in table if key[0] == other and key != (name, overload) and key not in derived]:
                same_tags = sorted(table[target][1]) == sorted(letters.translate(_schema.FUNCTIONAL_ONLY))
                if same_tags and form(text, *target) == table[target][0]:
                    followers.setdefault((name, overload), []).append(".".join(target))
                    derived.add(target)
    lines = []
    for key, (text, letters) in table.items():
        if key not in derived:
            lines.append("|".join([text, letters, " ".join(followers.get(key, []))]).rstrip("|"))
    (ROOT / "torch/_aten_schemas.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
    print(len(table), "overloads in", len(lines), "lines")


if __name__ == "__main__":
    main()

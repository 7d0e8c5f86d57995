"""Nested (jagged) tensors, which are not supported: every function says so."""

from __future__ import annotations

from torch._missing import missing_function

_REASON = "nested tensors are not supported; use padding (torch.nn.utils.rnn.pad_sequence)"

__all__ = [
    "as_nested_tensor",
    "masked_select",
    "narrow",
    "nested_tensor",
    "nested_tensor_from_jagged",
    "to_padded_tensor",
]
for _name in __all__:
    globals()[_name] = missing_function(f"torch.nested.{_name}", _REASON)

"""A model's summary as text and as HTML."""

from __future__ import annotations

import html

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ._summary import LayerSummary, ModelSummary

_WIDEST = 60  # of a layer's shapes; longer ones are cut


def _shown_layers(result: ModelSummary) -> list[LayerSummary]:
    return [one for one in result.layers if result.max_depth is None or one.depth <= result.max_depth]


def _shape(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, torch.Size):
        return str(list(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shape(one)}" for key, one in value.items()) + "}"
    return "(" + ", ".join(_shape(one) for one in value) + ")"


def _output(layer: LayerSummary) -> str:
    if layer.same_as is not None:
        return f"as {layer.same_as or 'the model'}"
    text = _shape(layer.output)
    text = text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
    return f"{text}, {layer.calls} calls" if layer.calls > 1 else text


def _parameters(layer: LayerSummary) -> str:
    if layer.shared and layer.depth:
        return f"{layer.parameters:,} + {layer.shared:,} shared"
    return f"{layer.parameters:,}"


def _memory(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        count_in_unit = count / 1024
        if count_in_unit < 1024 or unit == "GiB":
            return f"{count_in_unit:,.1f} {unit}"
        count = count_in_unit
    raise AssertionError


def _flops(result: ModelSummary, layer: LayerSummary) -> str:
    return "-" if result.flops is None or not layer.calls else f"{layer.flops:,}"


def _rows(result: ModelSummary) -> Iterator[tuple[LayerSummary, str, str, str]]:
    for layer in _shown_layers(result):
        yield layer, _output(layer), _parameters(layer), _flops(result, layer)


def _totals(result: ModelSummary) -> list[str]:
    trainable = f"{result.parameters:,} ({result.trainable:,} trainable)"
    sizes = f"parameters: {trainable}, {_memory(result.parameter_bytes)}; buffers: {_memory(result.buffer_bytes)}"
    lines = [sizes if result.input_bytes is None else f"{sizes}; input: {_memory(result.input_bytes)}"]
    if result.flops is not None:
        backward = "" if result.backward_flops is None else f", {result.backward_flops:,} backward"
        lines.append(f"FLOPs: {result.flops:,} forward{backward}")
    if result.inference_bytes is not None:
        training = "" if result.training_bytes is None else f", {_memory(result.training_bytes)} for training"
        lines.append(f"peak memory: {_memory(result.inference_bytes)} for inference{training}")
    if result.note:
        lines.append(f"note: {result.note}")
    return lines


def _names(layers: list[LayerSummary]) -> list[str]:
    """Each layer's name behind the branches of the tree."""
    names = []
    for i, layer in enumerate(layers):
        name = f"{layer.path.rpartition('.')[2]}: {layer.kind}" if layer.depth else layer.kind
        branches = ""
        for depth in range(1, layer.depth + 1):
            following = next((one.depth for one in layers[i + 1 :] if one.depth <= depth), 0)
            more = following == depth
            own = depth == layer.depth
            branches += ("├─ " if more else "└─ ") if own else ("│  " if more else "   ")
        names.append(branches + name)
    return names


def text_table(result: ModelSummary) -> str:
    """Columns of equal width, a rule, and the totals."""
    layers = _shown_layers(result)
    rows = [("layer", "output", "parameters", "FLOPs")]
    rows += [(name, *rest) for name, (_, *rest) in zip(_names(layers), _rows(result))]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        for row in rows
    ]
    rule = "-" * (sum(widths) + 6)
    return "\n".join([lines[0], rule, *lines[1:], rule, *_totals(result)])


def html_table(result: ModelSummary) -> str:
    """A table whose first column is indented, and the totals below it."""
    cells = ["<tr><th style='text-align:left'>layer</th><th style='text-align:left'>output</th>"]
    cells.append("<th>parameters</th><th>FLOPs</th></tr>")
    for layer, output, parameters, flops in _rows(result):
        name = layer.path.rpartition(".")[2]
        title = f"{html.escape(name)}: {html.escape(layer.kind)}" if layer.depth else html.escape(layer.kind)
        indent = f"text-align:left;padding-left:{1 + 1.5 * layer.depth:g}em"
        cells.append(
            f"<tr><td style='{indent}' title='{html.escape(layer.path)}'>"
            f"{title}</td><td style='text-align:left'>{html.escape(output)}</td>"
            f"<td style='text-align:right'>{parameters}</td><td style='text-align:right'>{flops}</td></tr>"
        )
    totals = "".join(f"<div>{html.escape(line)}</div>" for line in _totals(result))
    return f"<table>{''.join(cells)}</table>{totals}"

"""Events as a table of text."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GAP = 2  # between columns
_NUMBER_WIDTH = 12
_TIME_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}
_FLOP_UNITS = ("FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs")
_BYTE_UNITS = ((2**30, "GB"), (2**20, "MB"), (2**10, "KB"))


def _format_time(time_us: float) -> str:
    for unit, size in _TIME_UNITS.items():
        if time_us >= size and unit != "us":
            return f"{time_us / size:.3f}{unit}"
    return f"{time_us:.3f}us"


def _format_time_share(time_us: float, total_time_us: float) -> str:
    if total_time_us == 0:
        if time_us != 0:
            raise AssertionError(f"Expected time_us == 0 but got {time_us}")
        return "NaN"
    return f"{time_us * 100.0 / total_time_us:.2f}%"


def _format_memory(nbytes: int) -> str:
    for size, unit in _BYTE_UNITS:
        if abs(nbytes) >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} B"


class _Column:
    """A heading, and the text of each event; ``align`` as in format strings."""

    def __init__(self, title: str, width: int, texts: list[str], align: str = ">") -> None:
        self.title, self.width, self.texts, self.align = title, width, texts, align


def _shortened(text: str, width: int) -> str:
    return text[: width - 3] + "..." if len(text) >= width - 3 else text


def _trimmed_path(path: str, width: int) -> str:
    """The end of a path, from where a folder begins, if it is too long."""
    if len(path) <= width:
        return path
    end = path[len(path) - width :][3:]
    return "..." + end


def _is_top_level(event: Any) -> bool:
    return getattr(event, "cpu_parent", None) is None


class _Printer:
    """What the columns of one table need to know."""

    def __init__(self, events: Any, shown: list[Any], time_unit: str | None, widths: tuple[int, int, int]) -> None:
        self.events, self.shown, self.time_unit = events, shown, time_unit
        self.name_width, self.source_width, self.shapes_width = widths
        self.own_total = sum(e.self_cpu_time_total for e in events)
        self.own_device_total = sum(e.self_device_time_total for e in events)

    def time(self, value: float) -> str:
        if self.time_unit is None:
            return _format_time(value)
        if self.time_unit not in _TIME_UNITS:
            raise ValueError(f"time_unit must be one of {list(_TIME_UNITS)}, but got {self.time_unit!r}")
        return f"{value / _TIME_UNITS[self.time_unit]:.3f}{self.time_unit}"

    def text_width(self, texts: list[str], most: int) -> int:
        return min(max(len(text) for text in texts) + 4, most)

    def names(self) -> list[_Column]:
        width = self.text_width([e.key for e in self.events], self.name_width)
        columns = [_Column("Name", width, [_shortened(e.key, width) if len(e.key) >= self.name_width - 3 else e.key
                                           for e in self.shown])]  # fmt: skip
        if any(e.overload_name for e in self.events):
            overloads = [_shortened(e.overload_name or "", self.name_width) for e in self.shown]
            columns.append(_Column("Overload Name", width, overloads))
        return columns

    def times(self) -> list[_Column]:
        total = self.own_total
        return [
            self._number("Self CPU %", [_format_time_share(e.self_cpu_time_total, total) for e in self.shown]),
            self._number("Self CPU", [self.time(e.self_cpu_time_total) for e in self.shown]),
            self._number("CPU total %", ["0.00%" if e.is_async else _format_time_share(e.cpu_time_total, total)
                                         for e in self.shown]),
            self._number("CPU total", [self.time(e.cpu_time_total) for e in self.shown]),
            self._number("CPU time avg", [self.time(e.cpu_time) for e in self.shown]),
        ]  # fmt: skip

    def device_times(self) -> list[_Column]:
        device = next((e.use_device for e in self.events if e.use_device), None)
        if not device or not any(e.self_device_time_total > 0 for e in self.events):
            return []
        name, total = device.upper(), self.own_device_total
        return [
            self._number(f"Self {name}", [self.time(e.self_device_time_total) for e in self.shown]),
            self._number(f"Self {name} %", [_format_time_share(e.self_device_time_total, total) for e in self.shown]),
            self._number(f"{name} total", [self.time(e.device_time_total) for e in self.shown]),
            self._number(f"{name} time avg", [self.time(e.device_time) for e in self.shown]),
        ]

    def memory(self) -> list[_Column]:
        return [
            self._number("CPU Mem", [_format_memory(e.cpu_memory_usage) for e in self.shown]),
            self._number("Self CPU Mem", [_format_memory(e.self_cpu_memory_usage) for e in self.shown]),
        ]

    def calls(self) -> list[_Column]:
        columns = [self._number("# of Calls", [str(e.count) for e in self.shown])]
        if any(e.node_id != -1 for e in self.events):
            columns.append(self._number("Node ID", [str(e.node_id) for e in self.shown]))
        if any(e.input_shapes for e in self.events):
            width = self.text_width([str(e.input_shapes) for e in self.events], self.shapes_width)
            columns.append(_Column("Input Shapes", width, [str(e.input_shapes)[:width] for e in self.shown]))
        return columns

    def source(self) -> list[_Column]:
        lines = [line for e in self.events for line in e.stack or ()]
        if not lines:
            return []
        width = self.text_width(lines, self.source_width)
        firsts = [_trimmed_path(e.stack[0], width) if e.stack else "" for e in self.shown]
        return [_Column("Source Location", width, firsts, "<")]

    def flops(self) -> list[_Column]:
        known = [e.flops for e in self.events if e.flops and e.flops > 0]
        if not known:
            return []
        # the unit that fits the smallest
        power = min((len(str(min(known))) - 1) // 3, len(_FLOP_UNITS) - 1)
        texts = [f"{e.flops / 1000**power:8.3f}" if e.flops and e.flops > 0 else "--" for e in self.shown]
        return [self._number(f"Total {_FLOP_UNITS[power]}", texts)]

    def _number(self, title: str, texts: list[str]) -> _Column:
        return _Column(title, _NUMBER_WIDTH, texts)


def _sorted(events: Any, sort_by: str | None) -> Any:
    if sort_by is None:
        return events
    attribute = sort_by.replace("cuda", "device").replace("xpu", "device").replace("privateuse1", "device")
    return sorted(events, key=lambda event: getattr(event, attribute), reverse=True)


def _build_table(
    events: Any, sort_by: str | None = None, header: str | None = None, row_limit: int = 100,
    max_src_column_width: int = 75, max_name_column_width: int = 55, max_shapes_column_width: int = 80,
    with_flops: bool = False, profile_memory: bool = False, top_level_events_only: bool = False,
    time_unit: str | None = None,
) -> str:  # fmt: skip
    if len(events) == 0:
        return ""
    ordered = _sorted(events, sort_by)
    shown = [e for e in ordered if not top_level_events_only or _is_top_level(e)]
    shown = shown[:row_limit] if row_limit >= 0 else shown
    printer = _Printer(events, shown, time_unit, (max_name_column_width, max_src_column_width, max_shapes_column_width))
    columns = [*printer.names(), *printer.times(), *printer.device_times()]
    columns += printer.memory() if profile_memory else []
    columns += [*printer.calls(), *printer.source()]
    columns += printer.flops() if with_flops else []

    gap = " " * _GAP
    rule = "".join("-" * c.width + gap for c in columns)
    row = "".join(f"{{:{c.align}{c.width}}}" + gap for c in columns)
    lines = []
    double = "=" * (len(rule) - _GAP)
    if header is not None or top_level_events_only:
        lines.append(double)
        lines += [header] if header is not None else []
    if header is not None and top_level_events_only:
        lines.append(double)
    if top_level_events_only:
        lines.append("This report only display top-level ops statistics")
    lines += [rule, row.format(*(c.title for c in columns)), rule]
    with_source = any(c.title == "Source Location" for c in columns)
    for number, event in enumerate(shown):
        lines.append(row.format(*(c.texts[number] for c in columns)))
        if with_source:
            for further in (event.stack or ())[1:]:
                path = _trimmed_path(further, max_src_column_width)
                lines.append(row.format(*(path if c.title == "Source Location" else "" for c in columns)))
            lines.append(row.format(*("" for _ in columns)))
    lines += [rule, f"Self CPU time total: {printer.time(printer.own_total)}"]
    if printer.device_times():
        device = next(e.use_device for e in events if e.use_device).upper()
        lines.append(f"Self {device} time total: {printer.time(printer.own_device_total)}")
    return "\n".join(lines) + "\n"

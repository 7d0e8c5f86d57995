"""torch.monitor: statistics over windows, events and their handlers."""

import datetime
import time

import pytest

from torch import monitor
from torch.monitor import Aggregation, Event, Stat

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def events():
    seen = []
    handle = monitor.register_event_handler(seen.append)
    yield seen
    monitor.unregister_event_handler(handle)


def test_events_reach_handlers_until_they_are_unregistered():
    seen = []
    handle = monitor.register_event_handler(seen.append)
    moment = datetime.datetime(2024, 1, 1)
    monitor.log_event(Event("x", moment, {"a": 1, "b": 2.5, "c": "s", "d": True}))
    monitor.unregister_event_handler(handle)
    monitor.log_event(Event("y", moment, {}))
    assert [(e.name, e.timestamp, e.data) for e in seen] == [("x", moment, {"a": 1, "b": 2.5, "c": "s", "d": 1.0})]
    with pytest.raises(TypeError):
        Event("x", moment, {"a": [1]})


def test_all_aggregations(events):
    stat = Stat("all", list(Aggregation), HOUR, 3)
    for value in (1, 5, 2):
        stat.add(value)
    expected = {"value": 2.0, "mean": 8 / 3, "count": 3.0, "sum": 8.0, "max": 5.0, "min": 1.0}
    assert {one.name.lower(): v for one, v in stat.get().items()} == expected
    (event,) = events
    assert event.name == "torch.monitor.Stat" and event.data == {f"all.{k}": v for k, v in expected.items()}
    # the window is full
    stat.add(7)
    assert stat.count == 0 and stat.get()[Aggregation.SUM] == 8


def test_windows_end_with_their_time(events):
    stat = Stat("timed", [Aggregation.SUM, Aggregation.COUNT], datetime.timedelta(milliseconds=200))
    assert stat.get() == {Aggregation.SUM: 0.0, Aggregation.COUNT: 0.0}
    time.sleep(0.2 - time.monotonic() % 0.2)
    stat.add(2)
    stat.add(3.5)
    assert stat.count == 2 and events == []
    time.sleep(0.25)
    stat.add(1)
    assert stat.count == 1 and stat.get() == {Aggregation.SUM: 5.5, Aggregation.COUNT: 2.0}
    assert [e.data for e in events] == [{"timed.sum": 5.5, "timed.count": 2.0}]
    with pytest.raises(TypeError):
        stat.add("x")
    del stat
    assert events[-1].data == {"timed.sum": 1.0, "timed.count": 1.0}


def test_statistics_become_scalars():
    written = []

    class Writer:
        def add_scalar(self, name, value, walltime):
            written.append((name, value, walltime))

    handler = monitor.TensorboardEventHandler(Writer())
    moment = datetime.datetime(2024, 1, 1)
    handler(Event("torch.monitor.Stat", moment, {"a.mean": 2.0, "b": "text"}))
    handler(Event("other", moment, {"a": 1.0}))
    assert written == [("a.mean", 2.0, moment.timestamp())]

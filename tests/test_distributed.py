"""Stores, groups, collectives and messages, between real processes."""

import threading
from datetime import timedelta

import distributed_targets as targets
import pytest

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def free_port() -> int:
    with targets.free_socket() as sock:
        return sock.getsockname()[1]


@pytest.mark.parametrize("size", [2, 3])
def test_everything(size, tmp_path):
    mp.spawn(targets.everything, (size, str(tmp_path / "meet")), size)


def test_a_process_that_ends(tmp_path):
    mp.spawn(targets.leaves, (2, str(tmp_path / "meet")), 2)


def test_meeting_at_a_port():
    mp.spawn(targets.by_url, (2, f"tcp://127.0.0.1:{free_port()}"), 2)


def test_one_process_alone():
    dist.init_process_group(rank=0, world_size=1, store=dist.HashStore())
    try:
        assert dist.get_backend() == "undefined" and dist.get_backend_config() == "cpu:gloo"
        t = torch.tensor([1.0, 2.0], requires_grad=True)
        dist.all_reduce(t)
        assert t.tolist() == [1.0, 2.0]
        found = [None]
        dist.all_gather_object(found, {"a": 1})
        assert found == [{"a": 1}]
    finally:
        dist.destroy_process_group()


def stores(tmp_path):
    yield dist.HashStore()
    yield dist.FileStore(str(tmp_path / "store"), 1)
    yield dist.TCPStore("127.0.0.1", 0, 1, True, wait_for_workers=False)
    yield dist.PrefixStore("inner", dist.HashStore())


def test_stores(tmp_path):
    for store in stores(tmp_path):
        store.set("a", "1")
        store.set("b", b"\x00\xff\n")
        assert store.get("a") == b"1" and store.get("b") == b"\x00\xff\n"
        assert store.add("n", 3) == 3 and store.add("n", -1) == 2 and store.get("n") == b"2"
        assert store.check(["a", "n"]) and not store.check(["a", "z"])
        assert store.compare_set("c", "", "x") == b"x"
        assert store.compare_set("c", "y", "z") == b"x"
        assert store.compare_set("c", "x", "z") == b"z"
        assert store.compare_set("new", "old", "z") == b"old"
        assert store.delete_key("c") and not store.delete_key("c")
        store.append("a", "23")
        assert store.get("a") == b"123"
        store.multi_set(["p", "q"], ["5", "6"])
        assert store.multi_get(["p", "q"]) == [b"5", b"6"]
        assert {"a", "b", "n", "p", "q"} <= set(store.list_keys())
        store.set_timeout(timedelta(milliseconds=50))
        assert store.timeout == timedelta(milliseconds=50)
        with pytest.raises(dist.DistStoreError, match="(?i)timeout"):
            store.get("missing")
        with pytest.raises(dist.DistStoreError):
            store.wait(["a", "missing"], timedelta(milliseconds=20))
        with pytest.raises(TypeError):
            store.set("a", 5)
        with pytest.raises(ValueError):
            store.set("t", "text")
            store.add("t", 1)


def test_queues_and_barriers_of_stores():
    for store in (dist.HashStore(), dist.TCPStore("127.0.0.1", 0, 1, True, wait_for_workers=False)):
        store.set_timeout(timedelta(milliseconds=50))
        store.queue_push("line", "1")
        store.queue_push("line", "2")
        assert store.queue_len("line") == 2
        assert [store.queue_pop("line"), store.queue_pop("line", False)] == [b"1", b"2"]
        with pytest.raises(dist.QueueEmptyError):
            store.queue_pop("line", False)
        with pytest.raises(dist.DistStoreError):
            store.queue_pop("line")
        store.barrier("b", 1)
        with pytest.raises(dist.DistStoreError):
            store.barrier("c", 2)


def test_clients_of_a_tcp_store_wait_for_each_other():
    server = dist.TCPStore("127.0.0.1", 0, 2, True, wait_for_workers=False)
    client = dist.TCPStore("127.0.0.1", server.port, 2, False, timedelta(seconds=10))
    found = []
    thread = threading.Thread(target=lambda store: found.append(store.get("later")), args=(client,))
    thread.start()
    server.set("later", "here")
    thread.join(10)
    assert found == [b"here"]
    assert server.num_keys() == client.num_keys() == 1
    with pytest.raises(dist.DistNetworkError, match="EADDRINUSE"):
        dist.TCPStore("127.0.0.1", server.port, 1, True)
    with pytest.raises(dist.DistStoreError, match="1/3 clients joined"):
        dist.TCPStore("127.0.0.1", 0, 3, True, timedelta(milliseconds=100))
    port = server.port
    del server, client, thread
    with pytest.raises(dist.DistNetworkError, match="timed out after 200ms"):
        dist.TCPStore("127.0.0.1", port, 1, False, timedelta(milliseconds=200))


def test_file_stores_share_a_file(tmp_path):
    path = tmp_path / "store"
    a, b = dist.FileStore(str(path), 2), dist.FileStore(str(path), 2)
    a.set("k", "v")
    assert b.get("k") == b"v" and b.path == str(path)
    del a
    assert path.exists()
    del b
    assert not path.exists()


def test_wrong_starts(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    cases = [
        ({}, ValueError, "environment variable RANK expected, but not set"),
        ({"init_method": "tcp://127.0.0.1:1"}, ValueError, "tcp:// rendezvous: rank parameter missing"),
        ({"init_method": "file://"}, ValueError, "file:// rendezvous: path missing"),
        ({"init_method": "what://"}, RuntimeError, "No rendezvous handler for what://"),
        ({"store": dist.HashStore()}, AssertionError, "world_size must be positive if using store"),
        ({"timeout": 3}, TypeError, "of type datetime.timedelta"),
        ({"backend": "nccl", "store": dist.HashStore(), "rank": 0, "world_size": 1}, RuntimeError, "NCCL built in"),
    ]
    for options, kind, text in cases:
        with pytest.raises(kind, match=text):
            dist.init_process_group(**options)
        assert not dist.is_initialized()
    for function in (dist.get_rank, dist.get_world_size, dist.get_backend, dist.barrier):
        with pytest.raises(ValueError, match="Default process group has not been initialized"):
            function()


def test_backends_and_their_names():
    assert dist.is_available() and dist.is_gloo_available() and not dist.is_nccl_available()
    assert dist.Backend("GLOO") == dist.Backend.GLOO == "gloo"
    assert repr(dist.BackendConfig(dist.Backend("gloo"))) == "cpu:gloo,cuda:gloo"
    with pytest.raises(ValueError, match="Invalid device:backend pairing"):
        dist.BackendConfig(dist.Backend("cpu:gloo:x"))
    dist.init_process_group("fake", rank=2, world_size=8)
    try:
        assert dist.get_world_size() == 8
        places = [torch.zeros(1) for _ in range(8)]
        dist.all_gather(places, torch.ones(1))
        assert torch.cat(places).tolist() == [1.0] * 8
    finally:
        dist.destroy_process_group()


def test_a_backend_of_ones_own():
    class Doubling(dist.ProcessGroup):
        def getBackendName(self):
            return "doubling"

        def allreduce(self, tensors, opts=None):
            tensors[0].mul_(2)
            future = torch.futures.Future()
            future.set_result(tensors)
            return Done(future)

    class Done(dist.Work):
        def __init__(self, future):
            super().__init__()
            self.future = future

        def wait(self, timeout=None):
            return True

        def get_future(self):
            return self.future

    dist.Backend.register_backend("doubling", lambda store, rank, size, timeout: Doubling(rank, size), devices="cpu")
    with pytest.raises(AssertionError, match="already exist"):
        dist.Backend.register_backend("doubling", None, devices="cpu")
    dist.init_process_group("doubling", rank=0, world_size=1, store=dist.HashStore())
    try:
        t = torch.ones(2)
        dist.all_reduce(t)
        assert t.tolist() == [2.0, 2.0]
        assert dist.all_reduce(t, async_op=True).get_future().value()[0] is t
    finally:
        dist.destroy_process_group()

"""Names of the public surface that were added late, and defects that users met."""

import gc
import math
import pickle
import weakref

import pytest

import torch

# ---- dtypes ----


def test_formats_without_tensors_have_names_and_say_so():
    assert torch.int4.itemsize == 1 and torch.int4.is_signed and not torch.uint4.is_signed
    assert torch.bits16.itemsize == 2 and torch.qint32.itemsize == 4 and torch.float4_e2m1fn_x2.is_floating_point
    assert repr(torch.uint7) == "torch.uint7" and pickle.loads(pickle.dumps(torch.int3)) is torch.int3
    assert torch.bit is torch.uint1 and torch.int2 != torch.int3
    with pytest.raises(RuntimeError, match="Bits types are undefined"):
        torch.bits8.is_signed  # noqa: B018
    with pytest.raises(NotImplementedError, match=r"tensors of torch.int4 are not part of Tabula yet"):
        torch.zeros(2, dtype=torch.int4)
    with pytest.raises(NotImplementedError, match="quantised"):
        torch.ones(2).to(torch.qint8)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        # recorded from PyTorch 2.13
        (torch.float8_e4m3fnuz, [0.3, -1.0, 240.0, 250.0, 1e-4, -0.0], [0.3125, -1.0, 240.0, math.nan, 0.0, 0.0]),
        (torch.float8_e5m2fnuz, [0.3, -1.0, 57344.0, 70000.0, 1e-6, -0.0], [0.3125, -1.0, 57344.0, math.nan, 0.0, 0.0]),
        (torch.float8_e4m3fn, [0.3, 448.0, 449.0, math.inf, -1e9, math.nan], [0.3125, 448, 448, 448, -448, math.nan]),
        (torch.float8_e5m2, [0.3, 57344.0, 1e9, -math.inf, math.nan], [0.3125, 57344.0, math.inf, -math.inf, math.nan]),
        (torch.float8_e8m0fnu, [0.3, 1.0, 3.0, 1.5, 1e30], [0.25, 1.0, 4.0, 2.0, 2.0**100]),
    ],
)
def test_narrow_floats(dtype, values, expected):
    there = torch.tensor(values).to(dtype)
    assert there.dtype is dtype and there.element_size() == 1
    torch.testing.assert_close(there.float(), torch.tensor(expected), rtol=0, atol=0, equal_nan=True)
    assert torch.equal(there.view(torch.uint8), there.clone().view(torch.uint8))


def test_limits_of_narrow_floats():
    assert torch.finfo(torch.float8_e4m3fnuz).max == 240 and torch.finfo(torch.float8_e4m3fnuz).tiny == 2**-7
    assert torch.finfo(torch.float8_e5m2fnuz).max == 57344
    assert torch.finfo(torch.float8_e8m0fnu).min == 2.0**-127


# ---- scaled products ----


def test_scaled_mm():
    kind = torch.nn.functional.ScalingType
    a, b = torch.randn(4, 16).to(torch.float8_e4m3fn), torch.randn(8, 16).to(torch.float8_e4m3fn).t()
    scale = torch.tensor(0.5)
    got = torch.nn.functional.scaled_mm(
        a, b, scale, kind.TensorWise, scale, kind.TensorWise, output_dtype=torch.float32
    )
    torch.testing.assert_close(got, 0.25 * (a.float() @ b.float()))
    rows, columns = torch.rand(4, 1), torch.rand(1, 8)
    got = torch.nn.functional.scaled_mm(a, b, rows, kind.RowWise, columns, kind.RowWise)
    torch.testing.assert_close(got, ((a.float() @ b.float()) * rows * columns).bfloat16())
    with pytest.raises(ValueError, match="Invalid scaling configuration"):
        torch.nn.functional.scaled_mm(a.float(), b, scale, kind.TensorWise, scale, kind.TensorWise)


# ---- a tensor that only C++ code holds keeps its Python object ----


def test_weak_references_live_as_long_as_the_tensor():
    a = torch.ones(3, requires_grad=True)
    h = a * 2
    weak = weakref.ref(h)
    loss = (h * h).sum()
    del h
    assert weak() is not None and weak().tolist() == [2.0, 2.0, 2.0]
    again = weak()
    del loss
    gc.collect()
    assert weak() is again and again.sum().item() == 6.0  # its owner is the variable again
    del again
    gc.collect()
    assert weak() is None


def test_attributes_and_classes_come_back_with_a_tensor():
    class Named(torch.Tensor):
        pass

    gone = []
    w = torch.ones(2).as_subclass(Named).requires_grad_()
    w.tag = "kept"
    weakref.finalize(w, gone.append, True)
    loss = (w * w).sum()
    del w
    gc.collect()
    assert not gone
    variable = loss.grad_fn.next_functions[0][0].next_functions[0][0].variable
    assert type(variable) is Named and variable.tag == "kept"
    del variable, loss
    gc.collect()
    assert gone == [True]


def test_many_such_tensors_come_and_go():
    a = torch.ones(4, requires_grad=True)
    for _ in range(100):
        x, weak = a, []
        for _ in range(20):
            x = x.sin()
            weak.append(weakref.ref(x))
        assert all(w() is not None for w in weak[:-1])
        x.sum().backward()
        del x
        assert all(w() is None for w in weak)


# ---- huge degrees and counts end at once ----


def test_combinations_of_impossible_size():
    x = torch.arange(3.0)
    assert torch.combinations(x, 2**40).shape == (0, 2**40)
    assert torch.combinations(x, 20).shape == (0, 20)
    assert torch.combinations(x, 3, with_replacement=True).shape == (10, 3)
    assert torch.combinations(torch.arange(60), 58).shape == (1770, 58)
    with pytest.raises(RuntimeError, match="too many combinations"):
        torch.combinations(x, 2**40, with_replacement=True)


def test_multivariate_gamma():
    x = torch.tensor([10.0, 12.5], dtype=torch.float64)
    expected = [3 * math.log(math.pi) + sum(math.lgamma(v - i / 2) for i in range(4)) for v in x.tolist()]
    torch.testing.assert_close(torch.mvlgamma(x, 4), torch.tensor(expected, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda t: torch.mvlgamma(t, 3), x.requires_grad_())
    with pytest.raises(RuntimeError, match="allocate memory|Storage size calculation"):
        torch.mvlgamma(x.detach(), 2**45)


def test_polynomials_of_huge_degree_are_refused():
    x = torch.tensor([0.25], dtype=torch.float64)
    torch.testing.assert_close(torch.special.legendre_polynomial_p(x, 10).item(), 0.2212002, rtol=1e-6, atol=1e-6)
    assert torch.special.legendre_polynomial_p(torch.ones(1), 2**40).item() == 1
    assert math.isnan(torch.special.laguerre_polynomial_l(torch.tensor([-5.0]), 2**40).item())


# ---- memory that is not aligned ----


def test_buffers_at_odd_addresses_are_copied():
    memory = bytearray(range(32))
    with pytest.warns(UserWarning, match="does not start at a multiple of the element size"):
        odd = torch.frombuffer(memory, dtype=torch.float64, offset=3, count=2)
    assert odd.data_ptr() % 8 == 0 and bytes(odd.view(torch.uint8).tolist()) == bytes(range(3, 19))
    even = torch.frombuffer(memory, dtype=torch.uint8)
    even[0] = 99
    assert memory[0] == 99


# ---- small names ----


def test_gradients_may_keep_their_layout():
    def layout(enforced):
        p = torch.ones(2, 3).t().requires_grad_()
        with torch.autograd.enforce_grad_layout_policy(enforced):
            (p * 2).sum().backward()
        return p.grad.stride()

    assert layout(True) == (1, 3) and layout(False) == (2, 1) and layout(True) == (1, 3)


def test_hub_reads_a_folder(tmp_path):
    (tmp_path / "hubconf.py").write_text(
        'dependencies = ["math"]\n\n\ndef net(width=2):\n    "A net."\n    import torch\n\n'
        "    return torch.nn.Linear(width, 1)\n"
    )
    folder = str(tmp_path)
    assert torch.hub.list(folder) == ["net"] and torch.hub.help(folder, "net") == "A net."
    assert torch.hub.load(folder, "net", 3, source="local").in_features == 3
    with pytest.raises(RuntimeError, match="Cannot find callable other in hubconf"):
        torch.hub.load(folder, "other", source="local")
    with pytest.raises(ValueError, match='Unknown source: "ftp"'):
        torch.hub.load(folder, "net", source="ftp")
    weights = tmp_path / "w.pt"
    torch.save({"w": torch.ones(1)}, weights)
    state = torch.hub.load_state_dict_from_url(weights.as_uri(), str(tmp_path / "models"), weights_only=True)
    assert state["w"].item() == 1
    with pytest.raises(RuntimeError, match="invalid hash value"):
        torch.hub.download_url_to_file(weights.as_uri(), str(tmp_path / "copy.pt"), "123")


def test_file_check():
    check = torch.testing.FileCheck
    check().check("a").check_not("b").check("c").run("a c b")
    check().check_count("a", 2, exactly=True).run("a a")
    check().check_dag("y").check_dag("x").run("x y")
    check().check("a").check_same("b").check_next("c").run("a b\nc")
    with pytest.raises(RuntimeError, match='Expected to not find "b" but found it'):
        check().check("a").check_not("b").check("c").run("a b c")
    with pytest.raises(RuntimeError, match='Expected to find "zz" but did not find it'):
        check().check("zz").run("a")
    with pytest.raises(RuntimeError, match='Expected to not find "a"'):
        check().check_count("a", 2, exactly=True).run("a a a")


def test_assert_allclose():
    torch.testing.assert_allclose([1.0, 2.0], torch.tensor([1.0, 2.0], dtype=torch.float64))
    with pytest.raises(AssertionError, match="Tensor-likes are not close"):
        torch.testing.assert_allclose(torch.zeros(2), torch.ones(2))


def test_benchmark_timer_and_table():
    from torch.utils.benchmark import Compare, Measurement, TaskSpec, Timer

    m = Measurement(100, [1e-3, 1.1e-3, 1.2e-3, 0.9e-3], TaskSpec("x + y", "pass", "", "add", "small", "mine"))
    assert repr(m).split("\n")[1:] == [
        "add: small", "mine", "  Median: 10.50 us", "  IQR:    1.50 us (9.75 to 11.25)",
        "  4 measurements, 100 runs per measurement, 1 thread",
        "  WARNING: Interquartile range is 14.3% of the median measurement.",
        "           This could indicate system fluctuation.",
    ]  # fmt: skip
    other = Measurement(100, [3e-3], TaskSpec("x * y", "pass", "", "add", "small", "theirs", None, 2))
    table = str(Compare([m, other])).split("\n")
    assert table[1].split("|") == ["             ", "  mine  ", "  theirs"] and table[2].startswith("1 threads: ---")
    assert [cell.strip() for cell in table[3].split("|")] == ["small", "10.5", ""]
    assert [cell.strip() for cell in table[5].split("|")] == ["small", "", "30.0"]
    timed = Timer("x + x", globals={"x": torch.ones(2)}).blocked_autorange(min_run_time=0.002)
    assert sum(timed.raw_times) >= 0.002 and timed.median > 0


def test_modules_that_are_missing_are_missing_attributes():
    assert not hasattr(torch, "package") and not hasattr(torch.utils, "bottleneck")
    assert torch.utils.backcompat.broadcast_warning.enabled is False
    with pytest.raises(NotImplementedError, match="TorchScript"):
        torch.utils.mobile_optimizer.optimize_for_mobile(None)


def test_errors_of_devices_have_their_old_place():
    assert torch.cuda.OutOfMemoryError is torch.OutOfMemoryError
    assert torch.cuda.AcceleratorError is torch.AcceleratorError

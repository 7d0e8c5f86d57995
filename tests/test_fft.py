"""Fourier transforms: NumPy's results for every argument, dtype and layout; derivatives; wrong calls."""

import itertools

import numpy
import pytest
import support

import torch

NORMS = [None, "backward", "ortho", "forward"]


def randn(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(len(shape)))


def close(result, expected):
    assert result.shape == expected.shape
    torch.testing.assert_close(result, torch.from_numpy(numpy.ascontiguousarray(expected)), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_one_dimension(name, norm):
    ours, theirs = getattr(torch.fft, name), getattr(numpy.fft, name)
    inputs = [randn(5), randn(3, 4), randn(4, 3, 5).mT]
    if name not in ("rfft", "ihfft"):
        inputs += [randn(3, 4, dtype=torch.complex128), randn(3, 4, dtype=torch.complex128).conj()]
    for x, n in itertools.product(inputs, (None, 3, 4, 7)):
        for dim in range(-x.dim(), x.dim()):
            close(ours(x, n, dim, norm), theirs(x.resolve_conj().numpy(), n, dim, norm))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_several_dimensions(name, norm):
    ours, theirs = getattr(torch.fft, name), getattr(numpy.fft, name)
    inputs = [randn(4, 3, 5), randn(4, 3, 5).permute(2, 0, 1)]
    if name != "rfftn":
        inputs += [randn(4, 3, 5, dtype=torch.complex128)]
    cases = [(None, None), (None, (0, 1)), (None, (2, 0)), ((3, 4), (0, -1)), ((6, 2, 3), (0, 1, 2)), (None, (1,))]
    for x, (s, dim) in itertools.product(inputs, cases):
        close(ours(x, s, dim, norm), theirs(x.numpy(), s, dim, norm))
    plane = getattr(torch.fft, name[:-1] + "2")
    close(plane(x), theirs(x.numpy(), axes=(-2, -1)))


def test_hermitian_transforms_in_several_dimensions():
    x = randn(3, 4, 5, dtype=torch.complex128)
    for norm in NORMS:
        expected = torch.fft.hfft(torch.fft.fftn(x, dim=(0, 1), norm=norm), dim=2, norm=norm)
        torch.testing.assert_close(torch.fft.hfftn(x, norm=norm), expected)
        torch.testing.assert_close(torch.fft.ihfftn(torch.fft.hfftn(x, norm=norm), norm=norm)[..., 1:-1], x[..., 1:-1])
        assert torch.fft.hfft2(x, norm=norm).shape == (3, 4, 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.complex64])
def test_precision_is_kept(dtype):
    x = torch.arange(6).to(dtype)
    assert torch.fft.fft(x).dtype == torch.complex64
    assert torch.fft.irfft(x).dtype == torch.float32
    torch.testing.assert_close(torch.fft.ifft(torch.fft.fft(x)), x.to(torch.complex64))


# x real (3, 4), c complex (3, 4)
DIFFERENTIABLE = """
fft.fft(x); fft.ifft(x, 6); fft.fft(c, 3, norm="ortho"); fft.rfft(x); fft.rfft(x, 5, 0); fft.irfft(c); fft.irfft(c, 5)
fft.irfft(c, 1); fft.irfft(x, 6); fft.hfft(c); fft.hfft(c, 5); fft.ihfft(x); fft.ihfft(x, 7); fft.fftn(c)
fft.ifftn(x, (2, 5)); fft.rfftn(x); fft.rfftn(x, dim=(1, 0)); fft.irfftn(c); fft.irfftn(c, (3, 5)); fft.hfftn(c)
fft.ihfftn(x); fft.fft2(x); fft.irfft2(c, norm="forward"); fft.fftshift(x); fft.ifftshift(c)
"""
DIFFERENTIABLE = [call.strip() for line in DIFFERENTIABLE.strip().splitlines() for call in line.split(";")]


@pytest.mark.parametrize("call", DIFFERENTIABLE)
def test_derivatives(call):
    def function(x, c):
        value = eval(call, {"fft": torch.fft, "x": x, "c": c})
        return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value

    leaves = [randn(3, 4).requires_grad_(), randn(3, 4, dtype=torch.complex128).requires_grad_()]
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize("call", DIFFERENTIABLE)
def test_vmap_agrees_with_a_loop(call):
    def function(x, c):
        value = eval(call, {"fft": torch.fft, "x": x, "c": c})
        return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value

    x, c = randn(2, 3, 4), randn(2, 3, 4, dtype=torch.complex128)
    expected = torch.stack([function(*one) for one in zip(x, c, strict=True)])
    torch.testing.assert_close(torch.func.vmap(function)(x, c), expected)
    torch.testing.assert_close(torch.func.vmap(function, (1, 2))(x.movedim(0, 1), c.movedim(0, 2)), expected)


def test_layout_of_the_result():
    # facts of PyTorch 2.13
    x = randn(3, 4, 5)
    assert torch.fft.fftn(x, dim=(2, 0)).stride() == (5, 15, 1)
    assert torch.fft.rfftn(x, dim=(2, 0)).stride() == (1, 10, 2)
    assert torch.fft.fft(x.permute(2, 0, 1), dim=0).stride() == (1, 20, 5)


def test_no_elements_and_the_meta_device():
    assert torch.fft.fft(torch.empty(0, 3)).shape == (0, 3)
    assert torch.fft.rfft2(torch.empty(2, 4, 6, device="meta")).shape == (2, 4, 4)


def test_frequencies():
    for n, d in ((4, 1.0), (5, 0.5), (1, 2.0)):
        close(torch.fft.fftfreq(n, d, dtype=torch.float64), numpy.fft.fftfreq(n, d))
        close(torch.fft.rfftfreq(n, d, dtype=torch.float64), numpy.fft.rfftfreq(n, d))


def test_results_do_not_depend_on_the_number_of_threads():
    x = randn(300, 300)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = torch.fft.rfft2(x)
        torch.set_num_threads(3)
        assert torch.equal(torch.fft.rfft2(x), alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("case", support.read_cases("fft_errors"))
def test_wrong_calls(case):
    expected = support.recorded("fft_errors")[case]
    with pytest.raises(Exception) as caught:
        support.run_case(case)
    assert [type(caught.value).__name__, str(caught.value).split("\n")[0]] == [expected["type"], expected["message"]]

"""Decompositions and solvers: their defining equations, SciPy's results, derivatives, layouts, dtypes and errors."""

import itertools
import subprocess
import sys
import warnings

import numpy
import pytest
import scipy.linalg
import support

import torch

linalg = torch.linalg
DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]
SHAPES = [(3, 3), (2, 3, 3), (2, 1, 4, 4), (0, 3, 3), (2, 0, 0), (1, 1)]


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def positive(*shape, dtype=torch.float64):
    a = randn(*shape, dtype=dtype)
    return a @ a.mH + shape[-1] * torch.eye(shape[-1], dtype=dtype)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-3 if a.real.dtype == torch.float32 else 1e-8, atol=1e-4)


def is_by_columns(t):
    return t.mT.is_contiguous() or t.numel() == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_factors_of_square_matrices(dtype, shape):
    a, p = randn(*shape, dtype=dtype), positive(*shape, dtype=dtype)
    eye = torch.eye(shape[-1], dtype=dtype).expand(shape)
    for upper in (False, True):
        factor = linalg.cholesky(p, upper=upper)
        close(factor.mH @ factor if upper else factor @ factor.mH, p)
        assert is_by_columns(factor)
        close(torch.cholesky_inverse(factor, upper) @ p, eye)
        close(p @ torch.cholesky_solve(a, factor, upper), a)
    close(torch.linalg.inv(a) @ a, eye)
    P, L, U = linalg.lu(a)
    close(P @ L @ U, a)
    close(torch.lu_unpack(*linalg.lu_factor(a)).L, L)
    Q, R = linalg.qr(a)
    close(Q @ R, a)
    close(Q.mH @ Q, eye)
    w, v = linalg.eig(a)
    close(a.to(v.dtype) @ v, v * w.unsqueeze(-2))
    for uplo in "LU":
        w, v = linalg.eigh(p, UPLO=uplo)
        close(p @ v, v * w.unsqueeze(-2))
        close(linalg.eigvalsh(p, uplo), w)
    sign, log = linalg.slogdet(a)
    close(sign * log.exp(), linalg.det(a))
    LD, pivots = linalg.ldl_factor(p, hermitian=True)
    close(p @ linalg.ldl_solve(LD, pivots, a, hermitian=True), a)
    symmetric = a + a.mT
    close(symmetric @ linalg.ldl_solve(*linalg.ldl_factor(symmetric), p), p)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 2), (0, 3, 2), (2, 3, 0), (3, 3)])
def test_factors_of_rectangles(dtype, shape):
    a = randn(*shape, dtype=dtype)
    for full in (False, True):
        U, S, Vh = linalg.svd(a, full_matrices=full)
        k = S.shape[-1]
        close((U[..., :k] * S.unsqueeze(-2)) @ Vh[..., :k, :], a)
        assert U.shape[-1] == (shape[-2] if full else k) and is_by_columns(U) and is_by_columns(Vh)
        close(U.mH @ U, torch.eye(U.shape[-1], dtype=dtype).expand(*shape[:-2], -1, -1))
    close(linalg.svdvals(a), S)
    for mode in ("reduced", "complete"):
        Q, R = linalg.qr(a, mode)
        close(Q @ R, a)
        assert not R.tril(-1).any()
    packed, tau = torch.geqrf(a)
    other = randn(*shape[:-2], shape[-2], 2, dtype=dtype)
    whole = linalg.qr(a, "complete").Q
    if shape[-2] >= shape[-1]:
        close(linalg.householder_product(packed, tau), linalg.qr(a).Q)
    for left, transpose in itertools.product((True, False), repeat=2):
        x = other if left else other.mH
        q = whole.mH if transpose else whole
        close(torch.ormqr(packed, tau, x, left, transpose), q @ x if left else x @ q)
    pinv = linalg.pinv(a)
    close(a @ pinv @ a, a)
    close((pinv @ a).mH, pinv @ a)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_triangular_systems(dtype):
    a, b = randn(2, 3, 3, dtype=dtype) + 3 * torch.eye(3, dtype=dtype), randn(3, 2, dtype=dtype, seed=1)
    for upper, left, unit, layout in itertools.product((True, False), repeat=4):
        matrix = a.mT.contiguous().mT if layout else a
        triangle = matrix.triu() if upper else matrix.tril()
        if unit:
            triangle = triangle - torch.diag_embed(triangle.diagonal(dim1=-2, dim2=-1)) + torch.eye(3, dtype=dtype)
        x = linalg.solve_triangular(matrix, b if left else b.mT, upper=upper, left=left, unitriangular=unit)
        close(triangle @ x if left else x @ triangle, (b if left else b.mT).expand(x.shape))
        for transpose in (True, False) if left else ():
            x = torch.triangular_solve(b, matrix, upper, transpose, unit).solution
            close((triangle.mT if transpose else triangle) @ x, b.expand(x.shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_solvers_broadcast(dtype):
    a = randn(4, 1, 3, 3, dtype=dtype)
    for b in (randn(2, 3, 5, dtype=dtype), randn(3, 5, dtype=dtype), randn(4, 2, 3, 5, dtype=dtype)):
        close(a @ linalg.solve(a, b), b.expand(4, b.shape[-3] if b.dim() > 2 else 1, 3, 5))
        x = linalg.solve(a, b.mT, left=False)
        close(x @ a, b.mT.expand(x.shape))
        for left, adjoint in itertools.product((True, False), repeat=2):
            rhs = b if left else b.mT
            x = linalg.lu_solve(*linalg.lu_factor(a), rhs, left=left, adjoint=adjoint)
            matrix = a.mH if adjoint else a
            close(matrix @ x if left else x @ matrix, rhs.expand(x.shape))
    assert linalg.solve(randn(2, 3, 3), randn(2, 3)).shape == (2, 3)
    assert linalg.solve(randn(2, 3, 3), randn(3)).shape == (2, 3)


@pytest.mark.parametrize("driver", ["gels", "gelsy", "gelsd", "gelss", None])
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 5, 2)])
def test_least_squares(driver, shape):
    for dtype in DTYPES:
        a, b = randn(*shape, dtype=dtype), randn(*shape[:-1], 2, dtype=dtype, seed=1)
        x, residuals, rank, values = linalg.lstsq(a, b, driver=driver)
        close(x, linalg.pinv(a) @ b)
        if shape[-2] > shape[-1] and driver not in (None, "gelsy"):
            close(residuals, (a @ x - b).abs().square().sum(-2))
        if driver != "gels":
            assert (rank == min(shape[-2:])).all()
        if driver in ("gelsd", "gelss"):
            close(values, linalg.svdvals(a))


def test_rank_deficient_systems():
    a = randn(5, 2) @ randn(2, 4, seed=1)
    b = randn(5, 3, seed=2)
    assert linalg.matrix_rank(a) == 2
    assert linalg.matrix_rank(a + 1e-6 * randn(5, 4, seed=3), atol=1e-3) == 2
    for driver in ("gelsy", "gelsd", "gelss"):
        result = linalg.lstsq(a, b, driver=driver)
        assert result.rank == 2
        close(result.solution, linalg.pinv(a) @ b)
    close(linalg.pinv(a), torch.from_numpy(scipy.linalg.pinv(a.numpy())))
    close(
        linalg.pinv(torch.stack([a, 2 * a]), rtol=torch.tensor([1e-9, 1e-9])),
        torch.stack([linalg.pinv(a), linalg.pinv(a) / 2]),
    )


def test_the_exponential_of_each_matrix_is_scaled_alone():
    small, large = randn(4, 4) * 1e-3, randn(4, 4, seed=1) * 20
    both = torch.stack([small, large])
    expected = torch.from_numpy(numpy.stack([scipy.linalg.expm(m.numpy()) for m in both]))
    torch.testing.assert_close(linalg.matrix_exp(both), expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.matrix_exp(small.float()), expected[0].float(), rtol=1e-5, atol=1e-9)


def test_norms_agree_with_numpy():
    for a in (randn(4, 3), randn(3, 3, dtype=torch.complex128)):
        for order in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
            torch.testing.assert_close(linalg.norm(a, order).item(), float(numpy.linalg.norm(a.numpy(), order)))
            batch = a.expand(2, *a.shape).movedim(0, 1)
            assert linalg.matrix_norm(batch, order, dim=(0, 2), keepdim=True).shape == (1, 2, 1)
    for order in (None, 2, -2, 1, -1, float("inf"), -float("inf"), "fro", "nuc"):
        a = randn(3, 3)
        torch.testing.assert_close(linalg.cond(a, order).item(), float(numpy.linalg.cond(a.numpy(), order)))


# ---- derivatives ----

# Functions of a well conditioned square matrix s, a Hermitian one h, a positive-definite one p, a tall one t, a wide
# one w and b (3, 2). What is not unique (signs, phases) is taken out.
DIFFERENTIABLE = """
linalg.cholesky(p); linalg.cholesky(p, upper=True); torch.cholesky_solve(b, linalg.cholesky(p)); torch.cholesky_inverse(linalg.cholesky(p))
linalg.inv(s); linalg.inv_ex(s).inverse; linalg.det(s); linalg.slogdet(s).logabsdet; torch.logdet(p); linalg.solve(s, b); linalg.solve(s, b.mT, left=False)
linalg.solve(s, b[..., 0]); linalg.lu_factor(s).LU; linalg.lu_factor(t).LU; linalg.lu_factor(w).LU; linalg.lu(t).L; linalg.lu(w).U
linalg.lu_solve(*linalg.lu_factor(s), b); linalg.lu_solve(*linalg.lu_factor(s), b, adjoint=True); linalg.lu_solve(*linalg.lu_factor(s), b.mT, left=False)
linalg.lu_solve(*linalg.lu_factor(s), b.mT, left=False, adjoint=True); linalg.solve_triangular(s, b, upper=True); linalg.solve_triangular(s, b, upper=False)
linalg.solve_triangular(s, b.mT, upper=True, left=False, unitriangular=True); torch.triangular_solve(b, s, True, True).solution
linalg.qr(t).Q @ linalg.qr(t).Q.mH; linalg.qr(w).R.abs(); linalg.qr(s, "complete").R.abs(); linalg.householder_product(t, b[..., :2, 0] * 0.1)
torch.ormqr(t, b[..., :2, 0] * 0.1, b); torch.ormqr(t, b[..., :2, 0] * 0.1, b.mT, False, True); torch.ormqr(t, b[..., :2, 0] * 0.1, b, True, True)
linalg.eigvalsh(h); linalg.eigh(h).eigenvectors.abs(); linalg.eigvals(s).abs(); linalg.eig(s).eigenvectors.abs(); linalg.svdvals(t)
linalg.svd(t, False).U.abs(); linalg.svd(w, False).Vh.abs(); linalg.svd(s).U.abs(); linalg.pinv(t); linalg.pinv(w); linalg.pinv(h, hermitian=True)
linalg.lstsq(t, b).solution; linalg.lstsq(w, b[..., :2, :]).solution; linalg.lstsq(t, b, driver="gelsd").residuals; linalg.matrix_exp(s)
linalg.matrix_norm(s, "nuc"); linalg.matrix_norm(s, 2); linalg.cond(s); linalg.cond(s, "fro"); linalg.matrix_power(s, 3); linalg.matrix_power(s, -2)
linalg.tensorsolve(s[..., :, :], b[..., 0]) if s.dim() == 2 else s; linalg.vecdot(s, s); linalg.cross(s, p); linalg.norm(t)
"""  # noqa: E501 - a table
DIFFERENTIABLE = [call.strip() for line in DIFFERENTIABLE.strip().splitlines() for call in line.split(";")]


def real_parts(value):
    return torch.view_as_real(value.resolve_conj()) if value.is_complex() else value


@pytest.mark.parametrize("dtype, batch", [(torch.float64, ()), (torch.complex128, ()), (torch.float64, (2,))])
@pytest.mark.parametrize("call", DIFFERENTIABLE)
def test_derivatives(call, dtype, batch):
    square, tall = randn(*batch, 3, 3, dtype=dtype), randn(*batch, 3, 2, dtype=dtype, seed=4)
    square = square * 0.4 + torch.diag(torch.tensor([1.0, 2.5, 4.0], dtype=dtype))
    leaves = [square, tall, randn(*batch, 2, 3, dtype=dtype, seed=5), randn(*batch, 3, 2, dtype=dtype, seed=6)]

    def function(s, t, w, b):
        names = {"s": s, "t": t, "w": w, "b": b, "h": s + s.mH, "p": s @ s.mH + torch.eye(3, dtype=dtype)}
        return real_parts(eval(call, {"torch": torch, "linalg": linalg, **names}))

    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(function, leaves, rtol=1e-3)
    if not batch:
        assert torch.autograd.gradgradcheck(function, leaves, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("which", [(0, 0, 0, 0), (None, None, None, 0), (0, None, None, None)])
@pytest.mark.parametrize("call", DIFFERENTIABLE)
def test_vmap_agrees_with_a_loop(call, which):
    eye = torch.diag(torch.tensor([1.0, 2.5, 4.0], dtype=torch.float64))
    both = [randn(2, 3, 3) * 0.4 + eye, randn(2, 3, 2, seed=4), randn(2, 2, 3, seed=5), randn(2, 3, 2, seed=6)]

    def function(s, t, w, b):
        names = {"s": s, "t": t, "w": w, "b": b, "h": s + s.mT, "p": s @ s.mT + eye}
        value = eval(call, {"torch": torch, "linalg": linalg, **names})
        return real_parts(value)

    def example(i):
        return [t[i if place == 0 else 0] for t, place in zip(both, which, strict=True)]

    arguments = [t if place == 0 else t[0] for t, place in zip(both, which, strict=True)]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*performance drop")
        result = torch.func.vmap(function, which)(*arguments)
    expected = torch.stack([function(*example(i)) for i in range(2)])
    torch.testing.assert_close(result, expected)


def test_per_example_gradients():
    a, b = randn(4, 3, 3) + 3 * torch.eye(3), randn(4, 3, seed=1)
    for loss in (lambda m, v: linalg.solve(m, v).sum(), lambda m, v: linalg.det(m) * v.sum()):
        each = torch.stack([torch.func.grad(loss)(m, v) for m, v in zip(a, b, strict=True)])
        close(torch.func.vmap(torch.func.grad(loss))(a, b), each)


def test_derivatives_at_singular_matrices():
    a = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    linalg.det(a).backward()
    with numpy.errstate(all="ignore"):
        minor = a.detach().numpy()
        cofactors = [
            [(-1) ** (i + j) * numpy.linalg.det(numpy.delete(numpy.delete(minor, i, 0), j, 1)) for j in range(3)]
            for i in range(3)
        ]
    close(a.grad, torch.tensor(cofactors, dtype=torch.float64))
    eye = torch.eye(3, dtype=torch.float64, requires_grad=True)
    linalg.eigvalsh(eye).sum().backward()
    close(eye.grad, torch.eye(3, dtype=torch.float64))


def test_a_loss_that_depends_on_a_phase_is_refused():
    a = randn(3, 3, dtype=torch.complex128).requires_grad_()
    with pytest.raises(RuntimeError, match="svd_backward: The singular vectors in the complex case are specified"):
        linalg.svd(a).U.sum().abs().backward()
    with pytest.raises(RuntimeError, match="linalg_eig_backward: The eigenvectors in the complex case are specified"):
        linalg.eig(a).eigenvectors.sum().abs().backward()
    with pytest.raises(RuntimeError, match="linalg_eigh_backward: The eigenvectors in the complex case are specified"):
        linalg.eigh(a + a.mH).eigenvectors.sum().abs().backward()


# ---- the rest of the contract ----


@pytest.mark.parametrize("case", support.read_cases("linalg_errors"))
def test_wrong_calls(case):
    expected = support.recorded("linalg_errors")[case]
    with pytest.raises(Exception) as caught:
        support.run_case(case)
    assert [type(caught.value).__name__, str(caught.value).split("\n")[0]] == [expected["type"], expected["message"]]


def test_results_go_to_out():
    a = randn(2, 3, 3)
    inverse, info = torch.empty(0, dtype=torch.float64), torch.empty(0, dtype=torch.int32)
    result = linalg.inv_ex(a, out=(inverse, info))
    assert result.inverse is inverse and info.shape == (2,)
    close(inverse, linalg.inv(a))
    transposed = torch.empty(2, 3, 3, dtype=torch.float64).mT
    close(linalg.solve(a, a, out=transposed), torch.eye(3, dtype=torch.float64).expand(2, 3, 3))
    assert transposed.stride() == (9, 1, 3)


def test_views_and_lazy_conjugates():
    a = randn(6, 6, dtype=torch.complex128)
    for view in (a[::2, 1::2], a.mT[:3, :3], a.conj()[:3, :3], a[:3, :3].mH):
        close(linalg.inv(view), linalg.inv(view.clone().resolve_conj().contiguous()))
        close(linalg.svdvals(view), linalg.svdvals(view.resolve_conj().contiguous()))


def test_shapes_are_known_on_the_meta_device():
    m = torch.empty(2, 5, 3, device="meta")
    assert [t.shape for t in linalg.svd(m)] == [(2, 5, 5), (2, 3), (2, 3, 3)]
    assert [t.shape for t in linalg.qr(m, "complete")] == [(2, 5, 5), (2, 5, 3)]
    square = torch.empty(2, 3, 3, device="meta")
    assert linalg.solve(square, m.mT).device.type == "meta"
    assert linalg.eig(square).eigenvalues.dtype == torch.complex64
    assert [t.shape for t in linalg.lu(m)] == [(2, 5, 5), (2, 5, 3), (2, 3, 3)]


def test_results_do_not_depend_on_the_number_of_threads():
    batch, large = randn(500, 6, 6), randn(200, 200)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append([*linalg.svd(batch), linalg.inv(batch), linalg.inv(large), linalg.eigh(large + large.mT)[0]])
        assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
    finally:
        torch.set_num_threads(threads)


def test_a_missing_library_is_named():
    program = """
import sys
import torch, torch._lapack
torch._lapack.places = lambda: [("/nowhere/libnone.so", False)]
try:
    torch.linalg.inv(torch.eye(2))
except RuntimeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert "pip install scipy-openblas32" in done.stdout


def test_every_place_with_lapack_serves():
    import torch._lapack

    program = """
import sys
import torch, torch._lapack
place = sys.argv[1]
torch._lapack.places = lambda: [(place, True)]
a = torch.randn(4, 4, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
h = a + a.mH
print(torch.dist(torch.linalg.inv(a) @ a, torch.eye(4).expand(4, 4, 4)) < 1e-9,
      torch.dist(torch.linalg.ldl_solve(*torch.linalg.ldl_factor(h, hermitian=True), h, hermitian=True),
                 torch.eye(4).expand(4, 4, 4)) < 1e-8,
      torch.dist(torch.linalg.lstsq(a, a, driver="gelsd").solution, torch.eye(4).expand(4, 4, 4)) < 1e-8,
      torch.dist(torch.linalg.eigvalsh(h).sum(-1), h.diagonal(dim1=-2, dim2=-1).sum(-1).real) < 1e-9)
"""
    for path, _ in torch._lapack.places():
        if "/" not in path:
            continue
        done = subprocess.run([sys.executable, "-P", "-c", program, path], capture_output=True, text=True, check=True)
        assert done.stdout.split().count("tensor(True)") == 4, (path, done.stdout)

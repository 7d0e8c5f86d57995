"""Every operation under vmap gives what a loop over the examples gives, whichever of its arguments are batched."""

import itertools
import re
import warnings

import pytest
import test_autograd_laws
import test_meta

import torch

# What neither of the two tables calls. Names are those of tests/test_meta.py.
MORE = """
torch.put(x, i, v[:5]); torch.index_reduce(x, 0, i[:4], y, "amax"); torch.aminmax(x, dim=1).max; torch.nanmedian(x); torch.nanmedian(x, 1).values
torch.masked_scatter(x, k, y); x.argmax(1); torch.count_nonzero(x, (0, 1)); torch.special.zeta(p + 1, p); torch.special.bessel_j0(x); torch.frexp(x).mantissa
torch.special.chebyshev_polynomial_t(x, 3); torch.mvlgamma(p + 3, 2); torch.fill(x, v[0]); x.clone().fill_(v[0]); torch.bucketize(x, v, right=True)
torch.searchsorted(x.sort(1).values, y); x.index_fill(1, i[:2], v[0]); x.index_put((i[:2], None), v); x.index_put((None, i), v[:1], accumulate=True)
b[:, i[:2]]; b[i[:2] * 0 + 1, :, i[:2]]; b.index_put((i[:2] * 0, i[:2] * 0 + 1), v[:4]); x[1, i]; x[i[:3], 2:]; torch.vdot(v, v); torch.vdot(c[0], c[1])
x.squeeze(); x[:1].squeeze(0); x[:1].t().squeeze(); x[..., None].squeeze(-1); x.new_zeros(2); x.new_full((2,), 3.0) + v[0]; x.new_empty_strided((2, 2), (1, 2)).shape
torch.full_like(x, 3) * v; torch.clone(img, memory_format=torch.channels_last) * v[0]; torch.view_as_complex(b[..., :2]); v.view(torch.int32); x.clone().t_(); x.clone().transpose_(0, 1)
x.clone().unsqueeze_(1); x[:1].clone().squeeze_(); x[:1].clone().squeeze_(0); x.clone().swapaxes_(0, 1); x.clone().copy_(v); x.clone().add_(v); x.clone().zero_()
x.clone().masked_fill_(k, v[0]); x.clone().addmm_(x, m); torch.addmm(v, x, m, beta=2, alpha=0.5); torch.addmm(x, x, m, beta=0); torch.take(x, n * 0 + 5); torch.take(x, -n - 1)
F.nll_loss(x, i[:4], p[0]); F.nll_loss(x, i[:4], reduction="sum", ignore_index=3); F.nll_loss(v, i[0]); F.cross_entropy(b, i[:2, None] * torch.ones(1, 4, dtype=torch.int64) % 3)
F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), p); F.mse_loss(x, y, reduction="sum"); F.smooth_l1_loss(x, y, reduction="none"); F.kl_div(x, p, reduction="batchmean")
F.max_pool2d(img[0], 2); F.avg_pool2d(img[0], 2); F.max_pool3d(img, 2); F.avg_pool3d(img, 2); F.adaptive_max_pool2d(img, 3); F.adaptive_avg_pool3d(img, 2); F.max_pool2d(img, 2, return_indices=True)[1]
F.unfold(img[0], 3); F.pad(img, (1, 1, 1, 1), "circular"); F.pad(img[0], (1, 1), "replicate"); F.conv2d(img[0], img[:, :, :3, :3]); F.conv_transpose2d(img, img.transpose(0, 1)[:, :, :2, :2], v[:2])
F.conv2d(img, img[:, :1, :3, :3].repeat(3, 1, 1, 1)[:3], groups=3); F.conv_transpose1d(seq, seq.transpose(0, 1)[:, :1], groups=3)
F.batch_norm(img, v[:3], p[0, :3], v[3:], v[:3]); F.batch_norm(img, None, None, v[3:], v[:3], True); F.group_norm(img, 3, v[3:], v[:3]); F.instance_norm(img, weight=v[3:], bias=v[:3])
F.rms_norm(x, (6,), v); F.layer_norm(b, (3, 4), m[:3, :4], m[3:, :4]); F.embedding(i, x, padding_idx=1); F.one_hot(n[0] % 4, 4); torch.where(k, v[0], x); torch.where(k, 1.0, x)
torch.cat([x, y, v[:0]]); torch.stack([v, v], -1); torch.hstack([v, v[:2]]); x.unfold(0, 2, 1); x.as_strided((2, 2), (6, 1), 1); x.roll(2); torch.flip(x, (0, 1)); x.repeat(2, 1, 2); v[0].repeat(3)
v[0].cumsum(0); v[0].softmax(0); v[0].sort().values; v[0].sum(0); v[0].sum(0, keepdim=True); v[0].argmax(0); v[0].flip(0); v[0].unsqueeze(0); v[0].expand(2, 3); v[0].view(1, 1); v[0].max(0).values
v[0].double() + x; n[0, 0] * 1.5; n[0, 0] + v; v[0].half() * x; x * n[0, 0]; torch.lerp(x, y, v[0].double().float()); torch.maximum(n, n[0, 0]); (n[0, 0] > 2) & k; torch.true_divide(n[0, 0], n[0, 1] + 1)
torch.isclose(x, y, rtol=1.0); torch.logsumexp(x, (0, 1)); torch.std(x, dim=None); torch.var_mean(x)[1]; x.prod(); x.any(); n.all(); x.median(); torch.argmin(x, keepdim=True); torch.amax(x)
torch.linspace(0, 1, 3) + v[0]; torch.is_floating_point(x); torch.is_same_size(x, y); x.nonzero_static(size=5); torch.histc(x, 4, -2, 2); torch.repeat_interleave(x, 2); torch.bincount(i)
F.interpolate(img, scale_factor=2, mode="bicubic"); F.interpolate(img, 5, mode="area"); F.pixel_unshuffle(img, 2); F.multi_margin_loss(x, i[:4]); F.gumbel_softmax; F.ctc_loss
"""  # noqa: E501 - a table

RANDOM = re.compile(r"rand|bernoulli|normal_|normal\(|dropout|uniform_|empty|F\.gumbel_softmax$|F\.ctc_loss$|new_empty")
# What PyTorch refuses: results whose shape depends on the values, writes of examples into what they share, branches.
REFUSED = re.compile(
    "dynamic shape|masked_select.self, mask|extra_args. is not possible|data-dependent control flow|"
    "view size is not compatible|isn't supported yet"
)
# PyTorch loops here as well.
ONE_BY_ONE = re.compile(r"linalg|logdet|bincount|histc|nonzero_static|repeat_interleave\(i|linspace")
SIZE = 3


def batch_of(name, t):
    """Return examples like ``t``, all different, of the same kind: positive ones, indices, masks."""
    if t.dtype == torch.bool:
        return [t.roll(shift) for shift in range(SIZE)]
    if not t.is_floating_point() and not t.is_complex():
        return [t.flatten().roll(shift).view(t.shape) for shift in range(SIZE)]
    return [t * (1 + 0.25 * shift) for shift in range(SIZE)]


def flat(value):
    """Return the tensors of a result."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for one in value for t in flat(one)]
    return []


def strict(call):
    """Make a loop over the examples an error, except where there is no other way."""
    warnings.simplefilter("ignore")
    if not ONE_BY_ONE.search(call):
        warnings.filterwarnings("error", ".*performance drop")


def check(call, tensors, dim):
    """Compare a call under vmap with a loop, for each choice of batched tensors."""
    code = compile(call, "<call>", "eval")
    used = [name for name in code.co_names if isinstance(tensors.get(name), torch.Tensor)]
    for count in range(1, len(used) + 1):
        for names in itertools.combinations(used, count):
            examples = {name: batch_of(name, tensors[name]) for name in names}
            try:
                rows = [
                    flat(eval(code, dict(tensors) | {name: examples[name][i] for name in names})) for i in range(SIZE)
                ]
                expected = [torch.stack(column) for column in zip(*rows, strict=True)]
            except Exception:  # not a call that can be made for all these examples
                continue

            def f(*values, names=names):
                return tuple(flat(eval(code, dict(tensors) | dict(zip(names, values, strict=True)))))

            places = [min(dim, examples[name][0].dim()) for name in names]
            stacked = [torch.stack(examples[name], place) for name, place in zip(names, places, strict=True)]
            try:
                actual = torch.func.vmap(f, in_dims=tuple(places))(*stacked)
            except RuntimeError as error:
                assert REFUSED.search(str(error)), (call, names, error)
                continue
            for a, e in zip(actual, expected, strict=True):
                assert a.dtype == e.dtype, (call, names)
                torch.testing.assert_close(
                    a, e, rtol=1e-4, atol=1e-5, equal_nan=True, msg=lambda m: f"{call}, {names}: {m}"
                )


CPU, (LEAVES, OTHERS) = test_meta.CPU, test_autograd_laws.inputs()


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize(
    "call", [c for c in test_meta.calls(test_meta.CALLS + MORE) if not RANDOM.search(c) and "as_strided" not in c]
)
def test_agrees_with_a_loop(call, dim):
    with warnings.catch_warnings():
        strict(call)
        check(call, CPU, dim)


# A Taylor polynomial whose degree depends on the values.
@pytest.mark.parametrize("call", [c for c in test_autograd_laws.CALLS if "matrix_exp" not in c])
def test_agrees_with_a_loop_in_double(call):
    with warnings.catch_warnings():
        strict(call)
        check(call, {**LEAVES, **OTHERS}, 0)


def test_every_row_has_a_rule():
    rules = torch._C._vmap_rules()
    assert [schema for schema, kind in rules.items() if kind == "missing"] == []
    assert sorted({schema.split("(")[0].split(".")[0] for schema, kind in rules.items() if kind == "one by one"}) == [
        "bincount", "embedding_renorm_", "histc", "linspace", "logspace", "nonzero_static", "repeat_interleave",
    ]  # fmt: skip


@pytest.mark.parametrize("call", test_autograd_laws.CALLS)
def test_gradients_of_a_batch_of_weights(call):
    code = compile(call, "<call>", "eval")
    leaves = {name: LEAVES[name].clone().requires_grad_() for name in test_autograd_laws.used(call)}
    out = eval(code, {**OTHERS, **leaves})
    if out.grad_fn is None:
        return
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(SIZE, *out.shape, dtype=out.dtype, generator=generator)
    one_by_one = [torch.autograd.grad(out, leaves.values(), w, retain_graph=True, allow_unused=True) for w in weights]
    with warnings.catch_warnings():
        strict(call)
        together = torch.autograd.grad(out, leaves.values(), weights, allow_unused=True, is_grads_batched=True)
    for name, rows, batch in zip(leaves, zip(*one_by_one, strict=True), together, strict=True):
        if batch is not None:
            torch.testing.assert_close(batch, torch.stack(rows), msg=lambda m, name=name: f"{call}, {name}: {m}")

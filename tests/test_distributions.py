"""torch.distributions: recorded from PyTorch 2.13, checked against SciPy, and against integrals of what they say."""

import math
import pickle
import subprocess
import sys

import pytest
import support

import torch

D = torch.distributions
C = D.constraints
F64 = torch.float64


def tensor(*values):
    return torch.tensor(values, dtype=F64)


def close(actual, expected, rtol=1e-10, atol=1e-12):
    expected = expected if isinstance(expected, torch.Tensor) else torch.as_tensor(expected, dtype=F64)
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


# ---- recorded ----


def recorded(name):
    expected = support.recorded(name)
    return pytest.mark.parametrize("case, expected", [(case, expected[case]) for case in support.read_cases(name)])


@recorded("distributions")
def test_values(case, expected):
    # PyTorch's trigamma, which its gradients of digamma use, is good to 1e-9
    support.assert_same(support.to_json(support.run_case(case)), expected, rtol=1e-9, atol=1e-11)


@recorded("distribution_draws")
def test_draws_bit_for_bit(case, expected):
    support.assert_same(support.to_json(support.run_case(case)), expected)


@recorded("distribution_errors")
def test_wrong_arguments(case, expected):
    with pytest.raises(Exception) as caught:
        support.run_case(case)
    assert [type(caught.value).__name__, str(caught.value).split("\nHint:")[0]] == [
        expected["type"],
        expected["message"],
    ]


@pytest.mark.parametrize("name", ["distributions", "distribution_draws", "distribution_errors"])
def test_every_case_is_recorded(name):
    assert set(support.read_cases(name)) == support.recorded(name).keys()


# ---- SciPy ----


def scipy_twins():
    """Return pairs of a distribution and SciPy's."""
    stats = pytest.importorskip("scipy.stats")
    k = 1.7
    return {
        "beta": (D.Beta(tensor(1.5), tensor(0.7)), stats.beta(1.5, 0.7)),
        "cauchy": (D.Cauchy(tensor(0.5), tensor(2.0)), stats.cauchy(0.5, 2.0)),
        "chi2": (D.Chi2(tensor(3.5)), stats.chi2(3.5)),
        "exponential": (D.Exponential(tensor(1.5)), stats.expon(scale=1 / 1.5)),
        "f": (D.FisherSnedecor(tensor(3.0), tensor(7.0)), stats.f(3.0, 7.0)),
        "gamma": (D.Gamma(tensor(2.5), tensor(1.5)), stats.gamma(2.5, scale=1 / 1.5)),
        "generalized pareto": (
            D.GeneralizedPareto(tensor(0.5), tensor(2.0), tensor(0.2)),
            stats.genpareto(0.2, 0.5, 2),
        ),
        "generalized pareto bounded": (
            D.GeneralizedPareto(tensor(0.5), tensor(2.0), tensor(-0.7)),
            stats.genpareto(-0.7, 0.5, 2),
        ),
        "generalized pareto exponential": (
            D.GeneralizedPareto(tensor(0.5), tensor(2.0), tensor(0.0)),
            stats.genpareto(0, 0.5, 2),
        ),
        "gumbel": (D.Gumbel(tensor(0.5), tensor(2.0)), stats.gumbel_r(0.5, 2.0)),
        "half-cauchy": (D.HalfCauchy(tensor(2.0)), stats.halfcauchy(scale=2.0)),
        "half-normal": (D.HalfNormal(tensor(2.0)), stats.halfnorm(scale=2.0)),
        "inverse gamma": (D.InverseGamma(tensor(3.5), tensor(1.5)), stats.invgamma(3.5, scale=1.5)),
        "laplace": (D.Laplace(tensor(0.5), tensor(2.0)), stats.laplace(0.5, 2.0)),
        "log-normal": (D.LogNormal(tensor(0.5), tensor(0.8)), stats.lognorm(0.8, scale=math.exp(0.5))),
        "normal": (D.Normal(tensor(0.5), tensor(2.0)), stats.norm(0.5, 2.0)),
        "pareto": (D.Pareto(tensor(1.5), tensor(3.5)), stats.pareto(3.5, scale=1.5)),
        "student": (D.StudentT(tensor(5.0), tensor(0.5), tensor(2.0)), stats.t(5.0, 0.5, 2.0)),
        "uniform": (D.Uniform(tensor(-1.0), tensor(3.0)), stats.uniform(-1.0, 4.0)),
        "von mises": (D.VonMises(tensor(0.5), tensor(k)), stats.vonmises(k, loc=0.5)),
        "weibull": (D.Weibull(tensor(2.0), tensor(k)), stats.weibull_min(k, scale=2.0)),
        "bernoulli": (D.Bernoulli(tensor(0.3)), stats.bernoulli(0.3)),
        "binomial": (D.Binomial(12, tensor(0.3)), stats.binom(12, 0.3)),
        "geometric": (D.Geometric(tensor(0.3)), stats.geom(0.3, loc=-1)),
        "negative binomial": (D.NegativeBinomial(tensor(3.5), tensor(0.3)), stats.nbinom(3.5, 0.7)),
        "poisson": (D.Poisson(tensor(4.5)), stats.poisson(4.5)),
        "multivariate normal": (
            D.MultivariateNormal(tensor(0.5, -1.0), tensor([2.0, 0.5], [0.5, 1.0])),
            stats.multivariate_normal([0.5, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        ),
        "low rank": (
            D.LowRankMultivariateNormal(tensor(0.5, -1.0), tensor([1.0], [0.5]), tensor(1.0, 0.75)),
            stats.multivariate_normal([0.5, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        ),
        "wishart": (
            D.Wishart(torch.tensor(4.5, dtype=F64), tensor([2.0, 0.5], [0.5, 1.0])),
            stats.wishart(4.5, [[2.0, 0.5], [0.5, 1.0]]),
        ),
        "dirichlet": (D.Dirichlet(tensor(0.5, 1.5, 3.0)), stats.dirichlet([0.5, 1.5, 3.0])),
        "multinomial": (D.Multinomial(5, tensor(0.2, 0.5, 0.3)), stats.multinomial(5, [0.2, 0.5, 0.3])),
    }


TWINS = (
    "beta,cauchy,chi2,exponential,f,gamma,generalized pareto,generalized pareto bounded,generalized pareto exponential,"
    "gumbel,half-cauchy,half-normal,inverse gamma,laplace,log-normal,normal,pareto,student,uniform,von mises,weibull,"
    "bernoulli,binomial,geometric,negative binomial,poisson,multivariate normal,low rank,wishart,dirichlet,multinomial"
).split(",")


@pytest.mark.filterwarnings("ignore:Singular sample")
@pytest.mark.parametrize("name", TWINS)
def test_against_scipy(name):
    np = pytest.importorskip("numpy")
    ours, theirs = scipy_twins()[name]
    torch.manual_seed(0)
    x = ours.sample((7,))
    value = np.asarray(x)
    if name == "wishart":
        value = np.moveaxis(value, 0, -1)
    elif name == "dirichlet":
        value = value.T
    density = theirs.logpmf if hasattr(theirs, "logpmf") else theirs.logpdf
    close(ours.log_prob(x).reshape(-1), np.reshape(density(value), -1), rtol=1e-9)

    def same(get, expected):
        try:
            actual = get()
        except NotImplementedError:
            return
        close(actual.squeeze(), np.squeeze(expected), rtol=1e-9)

    if hasattr(theirs, "entropy"):
        same(ours.entropy, theirs.entropy())
    if ours.event_shape == ():
        same(lambda: ours.cdf(x), theirs.cdf(value))
        q = torch.linspace(0.05, 0.95, 7, dtype=F64).unsqueeze(-1)
        same(lambda: ours.icdf(q), theirs.ppf(q.numpy()))
        if name not in ("von mises", "cauchy"):  # circular moments; no moments
            same(lambda: ours.mean, theirs.mean())
            same(lambda: ours.variance, theirs.var())
    elif name == "wishart":
        same(lambda: ours.mean, theirs.mean())
        same(lambda: ours.variance, theirs.var())


@pytest.mark.parametrize("name", [n for n in TWINS[:21]])
def test_draws_follow_the_law(name):
    stats = pytest.importorskip("scipy.stats")
    ours, theirs = scipy_twins()[name]
    torch.manual_seed(1)
    x = ours.sample((4000,)).reshape(-1).numpy()
    if name == "von mises":  # SciPy's distribution function is of the unrolled circle
        x = (x - 0.5 + math.pi) % (2 * math.pi) - math.pi + 0.5
    assert stats.kstest(x, theirs.cdf).pvalue > 1e-3


def test_every_family_of_one_variable_has_a_twin():
    assert set(TWINS) == scipy_twins().keys()


def test_kumaraswamy_mode_is_the_highest_point():
    # PyTorch gives NaN here
    d = D.Kumaraswamy(tensor(2.0, 1.5, 0.5), tensor(3.0, 1.0, 2.0))
    grid = torch.linspace(1e-4, 1 - 1e-4, 20001, dtype=F64).unsqueeze(-1)
    highest = grid[d.log_prob(grid).argmax(0)].squeeze(-1)
    close(d.mode[:1], highest[:1], atol=1e-4)
    assert d.mode[1] == 1 and highest[1] > 0.999 and d.mode[2].isnan()
    close(D.Kumaraswamy(tensor(2.0), tensor(3.0)).log_prob(tensor(0.5)), [math.log(6 * 0.5 * 0.75**2)])


def test_lkj_densities_integrate_to_one():
    # two rows have one free entry r, the correlation
    r = torch.linspace(-1, 1, 200001, dtype=F64)[1:-1]
    zero, one = torch.zeros_like(r), torch.ones_like(r)
    rest = (1 - r * r).sqrt()
    factor = torch.stack([torch.stack([one, zero], -1), torch.stack([r, rest], -1)], -2)
    density = D.LKJCholesky(2, torch.tensor(1.7, dtype=F64)).log_prob(factor).exp()
    # the measure is the one of factors: the second row lies on a half circle
    close(torch.trapezoid(density, r), 1.0, rtol=1e-4)


# ---- gradients of draws ----


@pytest.mark.parametrize("alpha", [0.01, 0.3, 1.0, 4.0, 60.0, 2000.0])
def test_gamma_draws_keep_their_quantile(alpha):
    special = pytest.importorskip("scipy.special")
    h = 1e-4 * alpha
    for q in (0.02, 0.3, 0.7, 0.98):
        x = special.gammaincinv(alpha, q)
        if x < 1e-300:
            continue
        steps = [special.gammaincinv(alpha + k * h, q) for k in (-2, -1, 1, 2)]
        slope = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
        close(torch._standard_gamma_grad(tensor(alpha), tensor(x)), [slope], rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.6, 1.0, 5.0, 80.0])
@pytest.mark.parametrize("beta", [0.05, 0.6, 2.0, 80.0])
def test_beta_draws_keep_their_quantile(alpha, beta):
    special = pytest.importorskip("scipy.special")
    h = 1e-4 * alpha
    for q in (0.1, 0.4, 0.9):
        steps = [special.betaincinv(alpha + k * h, beta, q) for k in (-2, -1, 0, 1, 2)]
        x = steps.pop(2)
        if not 1e-200 < x < 1 - 1e-10:
            continue
        slope = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
        close(torch._dirichlet_grad(tensor(x), tensor(alpha), tensor(alpha + beta)) * (1 - x), [slope], rtol=3e-6)


def test_mean_gradients_of_draws():
    # the mean of a draw is linear in what the gradient estimates
    torch.manual_seed(0)
    a = tensor(0.7, 2.0, 5.0).requires_grad_()
    draws = D.Dirichlet(a).rsample((40000,))
    (estimate,) = torch.autograd.grad(draws[:, 0].mean(), a)
    (exact,) = torch.autograd.grad(D.Dirichlet(a).mean[0], a)
    close(estimate, exact, atol=2e-3)
    for make in (lambda p: D.Gamma(p, 2.0), lambda p: D.Beta(p, 2.0), D.Chi2, lambda p: D.StudentT(p + 8, 0.0, p)):
        p = tensor(1.5).requires_grad_()
        (estimate,) = torch.autograd.grad(make(p).rsample((40000,)).pow(2).mean(), p)
        d = make(p)
        (exact,) = torch.autograd.grad(d.variance + d.mean**2, p)
        close(estimate, exact, rtol=0.05)


def test_wishart_draws_have_gradients():
    scale = torch.eye(2, dtype=F64).requires_grad_()
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="Singular sample detected"):
        draws = D.Wishart(torch.tensor(5.0, dtype=F64), scale_tril=scale).rsample((20000,))
    draws[..., 0, 0].mean().backward()
    close(scale.grad[0], tensor(10.0, 0.0), atol=0.1)


# ---- divergences ----

LINE = (-math.inf, math.inf)
CONTINUOUS = {
    "Beta": (lambda: D.Beta(tensor(1.5), tensor(2.5)), (0, 1)),
    "Cauchy": (lambda: D.Cauchy(tensor(0.2), tensor(1.3)), LINE),
    "ContinuousBernoulli": (lambda: D.ContinuousBernoulli(tensor(0.3)), (0, 1)),
    "Exponential": (lambda: D.Exponential(tensor(1.3)), (0, math.inf)),
    "Gamma": (lambda: D.Gamma(tensor(2.3), tensor(1.3)), (0, math.inf)),
    "Gumbel": (lambda: D.Gumbel(tensor(0.3), tensor(0.8)), LINE),
    "HalfNormal": (lambda: D.HalfNormal(tensor(1.3)), (0, math.inf)),
    "Laplace": (lambda: D.Laplace(tensor(0.3), tensor(0.8)), LINE),
    "LogNormal": (lambda: D.LogNormal(tensor(0.3), tensor(0.8)), (0, math.inf)),
    "Normal": (lambda: D.Normal(tensor(0.3), tensor(0.8)), LINE),
    "Pareto": (lambda: D.Pareto(tensor(0.5), tensor(3.5)), (0.5, math.inf)),
    "Uniform": (lambda: D.Uniform(tensor(0.6), tensor(0.9)), (0.6, 0.9)),
    "wide Uniform": (lambda: D.Uniform(tensor(0.0), tensor(1.0)), (0, 1)),
    "wide Pareto": (lambda: D.Pareto(tensor(0.4), tensor(2.5)), (0.4, math.inf)),
    "wide Gumbel": (lambda: D.Gumbel(tensor(-0.3), tensor(1.5)), LINE),
    "wide Normal": (lambda: D.Normal(tensor(-0.3), tensor(1.5)), LINE),
}


@pytest.mark.parametrize("left", CONTINUOUS)
def test_divergences_are_integrals(left):
    integrate = pytest.importorskip("scipy.integrate")
    make, (low, high) = CONTINUOUS[left]
    p = make()
    found = 0
    for right, (other, (q_low, q_high)) in CONTINUOUS.items():
        q = other()
        try:
            got = D.kl_divergence(p, q).item()
        except NotImplementedError:
            continue
        found += 1
        if q_low > low or q_high < high:
            assert got == math.inf, right
            continue

        def integrand(x, q=q):
            x = tensor(x)
            log_p = p.log_prob(x)
            return (log_p.exp() * (log_p - q.log_prob(x))).nan_to_num(0.0).item()

        ends = [e if math.isinf(e) else e + s * 1e-13 for e, s in ((low, 1), (high, -1))]
        middle = min(max(0.7, ends[0] + 0.1), ends[1] - 0.1)
        parts = [integrate.quad(integrand, a, b, limit=200)[0] for a, b in ((ends[0], middle), (middle, ends[1]))]
        assert got == pytest.approx(sum(parts), rel=1e-5, abs=1e-7), right
    assert found


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (lambda: D.Bernoulli(tensor(0.3)), lambda: D.Bernoulli(tensor(0.6))),
        (lambda: D.Bernoulli(tensor(0.3)), lambda: D.Poisson(tensor(0.6))),
        (lambda: D.Binomial(5, tensor(1.0)), lambda: D.Binomial(5, tensor(0.6))),
        (lambda: D.Binomial(5, tensor(0.2)), lambda: D.Binomial(5, tensor(0.6))),
        (lambda: D.Geometric(tensor(0.3)), lambda: D.Geometric(tensor(0.6))),
        (lambda: D.Poisson(tensor(3.0)), lambda: D.Poisson(tensor(4.0))),
        (lambda: D.Poisson(tensor(0.0)), lambda: D.Poisson(tensor(4.0))),
        (lambda: D.Categorical(tensor([0.2, 0.0, 0.8])), lambda: D.Categorical(tensor([0.3, 0.3, 0.4]))),
    ],
)
def test_divergences_are_sums(p, q):
    p, q = p(), q()
    if p.has_enumerate_support:
        k = p.enumerate_support()
    else:
        k = torch.arange(400, dtype=F64).unsqueeze(-1)
    log_p = p.log_prob(k)
    terms = torch.where(log_p == -math.inf, 0.0, log_p.exp() * (log_p - q.log_prob(k)))
    close(D.kl_divergence(p, q), terms.sum(0), rtol=1e-6, atol=1e-9)


def test_own_divergences_and_ambiguity():
    class Left(D.Normal):
        pass

    class Right(D.Normal):
        pass

    registry = dict(D.kl._KL_REGISTRY)
    try:
        D.register_kl(Left, D.Normal)(lambda p, q: "left")
        D.register_kl(D.Normal, Right)(lambda p, q: "right")
        with pytest.warns(RuntimeWarning, match=r"Ambiguous .*\(Left, Right\). Please register_kl\(Left, Right\)"):
            assert D.kl_divergence(Left(0.0, 1.0), Right(0.0, 1.0)) == "left"

        @D.register_kl(Left, Right)
        def both(p, q):
            return "both"

        assert D.kl_divergence(Left(0.0, 1.0), Right(0.0, 1.0)) == "both" and both(None, None) == "both"
        assert D.kl_divergence(Left(0.0, 1.0), Left(0.0, 1.0)) == "left"
        assert D.kl_divergence(Right(0.0, 1.0), Left(0.0, 1.0)).item() == 0
    finally:
        D.kl._KL_REGISTRY.clear()
        D.kl._KL_REGISTRY.update(registry)
        D.kl._KL_MEMOIZE.clear()


def test_bregman_divergence_of_a_family_of_ones_own():
    class Rate(D.Exponential):
        pass

    class OtherRate(D.Exponential):
        pass

    p, q = Rate(tensor(1.5)), Rate(tensor(0.4))
    close(D.kl._kl_expfamily_expfamily(p, q), D.kl_divergence(D.Exponential(tensor(1.5)), D.Exponential(tensor(0.4))))
    with pytest.raises(NotImplementedError, match="different exponential families"):
        D.kl._kl_expfamily_expfamily(p, OtherRate(tensor(1.0)))


# ---- transforms ----


def test_jacobians_are_determinants():
    torch.manual_seed(0)
    x = torch.randn(3, dtype=F64)
    affine = D.AffineTransform(1.0, tensor(2.0, -1.0, 0.5))
    for t in (
        D.StickBreakingTransform(),
        D.ComposeTransform([D.TanhTransform(), affine, D.StickBreakingTransform()]),
        D.IndependentTransform(D.SoftplusTransform(), 1),
    ):
        jacobian = torch.autograd.functional.jacobian(t, x)
        if jacobian.shape[0] > 3:  # the last entry of the simplex follows from the others
            jacobian = jacobian[:3]
        got = t.log_abs_det_jacobian(x, t(x)).sum()
        close(got, torch.linalg.slogdet(jacobian).logabsdet)
    t = D.CorrCholeskyTransform()
    jacobian = torch.autograd.functional.jacobian(lambda v: t(v)[[1, 2, 2], [0, 0, 1]], x)
    close(t.log_abs_det_jacobian(x, t(x)), torch.linalg.slogdet(jacobian).logabsdet)


def test_caches_return_the_very_tensor():
    x = torch.randn(3)
    for t in (D.ExpTransform(cache_size=1), D.ComposeTransform([D.ExpTransform(), D.TanhTransform()], cache_size=1)):
        y = t(x)
        assert t.inv(y) is x and t.inv.inv is t and t(x) is y
    t = D.TanhTransform()
    assert t.inv(t(x)) is not x
    y = torch.tensor([0.5])
    t = D.SigmoidTransform(cache_size=1)
    assert t(t.inv(y)) is y
    d = D.TransformedDistribution(D.Normal(torch.tensor(30.0), 0.1), [D.TanhTransform(cache_size=1)])
    assert torch.isfinite(d.log_prob(d.rsample((5,)))).all()  # atanh(1) would be infinite


@pytest.mark.parametrize("registry", [D.biject_to, D.transform_to])
def test_supports_have_transforms(registry):
    torch.manual_seed(0)
    for d in (
        D.Normal(0.0, 1.0), D.Gamma(1.0, 1.0), D.Beta(1.0, 1.0), D.Uniform(-1.0, 3.0), D.Pareto(2.0, 1.0),
        D.Dirichlet(torch.ones(3)), D.MultivariateNormal(torch.zeros(3), torch.eye(3)), D.LKJCholesky(3),
        D.Independent(D.HalfNormal(torch.ones(3)), 1),
    ):  # fmt: skip
        t = registry(d.support)
        y = t(torch.randn(t.inverse_shape(d.sample((4,)).shape)))
        assert d.support.check(y).all(), d
        if t.bijective:
            torch.testing.assert_close(t(t.inv(y)), y)


def test_own_constraints():
    class Even(C.Constraint):
        def check(self, value):
            return value % 2 == 0

    try:
        @D.transform_to.register(Even())
        def even(constraint):
            return D.AffineTransform(0.0, 2.0)

        assert D.transform_to(Even())(torch.tensor(3.0)).item() == 6
    finally:
        D.transform_to._registry.pop(Even)


# ---- the base class ----


def test_expanded_distributions_share_memory():
    loc = torch.zeros(2)
    d = D.Normal(loc, torch.ones(2)).expand((1000, 2))
    assert d.loc.data_ptr() == loc.data_ptr() and d.sample((3,)).shape == (3, 1000, 2)
    lazy = D.Bernoulli(logits=torch.zeros(2))
    assert "probs" not in vars(lazy.expand((3, 2))) and lazy.probs.tolist() == [0.5, 0.5]
    assert vars(lazy)["probs"] is lazy.probs and lazy.expand((3, 2)).probs.shape == (3, 2)
    assert isinstance(D.Bernoulli.probs, property)


def test_subclasses():
    class Standard(D.Normal):
        def __init__(self, n):
            super().__init__(torch.zeros(n), torch.ones(n))

    with pytest.raises(NotImplementedError, match="Subclass Standard of Normal that defines a custom __init__ method"):
        Standard(2).expand((3, 2))

    class Named(D.Normal):
        pass

    assert type(Named(0.0, 1.0).expand((3,))) is Named


def test_validation_can_be_switched_off():
    try:
        D.Distribution.set_default_validate_args(False)
        assert D.Normal(0.0, -1.0).scale.item() == -1
        with pytest.raises(ValueError, match="scale"):
            D.Normal(0.0, -1.0, validate_args=True)
    finally:
        D.Distribution.set_default_validate_args(True)
    assert D.Uniform(0.0, 1.0, validate_args=False).log_prob(torch.tensor(2.0)).item() == -math.inf

    class Bare(D.Distribution):
        pass

    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        Bare()

    class NoSupport(D.Distribution):
        arg_constraints = {}

        def log_prob(self, value):
            self._validate_sample(value)

    with pytest.warns(UserWarning, match="does not define `support`"):
        NoSupport().log_prob(torch.zeros(()))


def test_pickles():
    for d in (
        D.Normal(0.0, 1.0),
        D.Gumbel(torch.zeros(2), 1.0),
        D.Categorical(logits=torch.zeros(3)),
        D.LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2)),
    ):
        again = pickle.loads(pickle.dumps(d))
        assert repr(again) == repr(d)
        x = d.sample((2,))
        assert torch.equal(again.log_prob(x), d.log_prob(x))
    t = D.ComposeTransform([D.ExpTransform(cache_size=1).inv, D.AffineTransform(0.0, 2.0)])
    assert t.inv is not None and pickle.loads(pickle.dumps(t))(torch.tensor(1.0)).item() == 0


def test_draws_follow_the_default_dtype():
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(F64)
        assert D.Normal(0, 1).sample().dtype is F64 and D.Beta(1, 1).sample().dtype is F64
    finally:
        torch.set_default_dtype(before)
    assert D.Gamma(1, 1).sample().dtype is torch.float32


def test_loaded_when_named():
    program = (
        "import sys, torch; assert 'torch.distributions' not in sys.modules;"
        "torch.distributions.Normal(0.0, 1.0); assert 'torch.distributions' in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


# ---- vmap and torch.func ----


def test_draws_under_transforms_of_functions():
    vmap, grad = torch.func.vmap, torch.func.grad
    a = tensor(0.3, 1.5, 4.0)

    def draw(p):
        return D.Gamma(p, 2.0).rsample()

    torch.manual_seed(0)
    rows = vmap(grad(draw), randomness="different")(a)
    torch.manual_seed(0)
    p = a.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(draw(p).sum(), p)
    close(rows, slopes)
    alphas = torch.stack([a, a + 1])
    torch.manual_seed(0)
    rows = vmap(grad(lambda p: D.Dirichlet(p).rsample()[0]), randomness="different")(alphas)
    torch.manual_seed(0)
    p = alphas.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(D.Dirichlet(p).rsample()[:, 0].sum(), p)
    close(rows, slopes)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(draw)(a)
    with pytest.raises(NotImplementedError, match="the derivative for '_standard_gamma_grad' is not implemented"):
        grad(grad(draw))(a[1])


def test_parameters_are_checked_in_the_whole_batch():
    scales = tensor([1.0, 1.0], [2.0, 2.0], [-1.0, 1.0])

    def density(scale):
        return D.Normal(0.0, scale).log_prob(tensor(0.5))

    assert torch.func.vmap(density)(scales[:2]).shape == (2, 2)
    with pytest.raises(ValueError, match="Expected parameter scale"):
        torch.func.vmap(density)(scales)

"""torch.utils.nan_guard: what made a NaN or an infinity is named, and what is meant is left alone."""

import math
import pickle
import threading
import warnings

import pytest

import torch
from torch import nn
from torch.utils import NonFiniteError, nan_guard
from torch.utils.checkpoint import checkpoint

INF, NAN = math.inf, math.nan


def finding(run, **options):
    """Return what the guard finds in a call, which must raise."""
    with nan_guard(**options), pytest.raises(NonFiniteError) as caught:
        run()
    return caught.value.finding


class Log(nn.Module):
    def forward(self, x):
        return torch.log(x)  # the line to be named


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList([nn.Sequential(nn.Identity(), Log()), nn.Sequential(nn.Identity(), Log())])

    def forward(self, x, which=0):
        return self.body[which](x)


def line_of_log():
    return Log.forward.__code__.co_firstlineno + 1


MADE = {
    "log": (lambda: torch.log(torch.tensor([1.0, 0.0])), "Inf"),
    "sqrt": (lambda: torch.sqrt(torch.tensor(-1.0)), "NaN"),
    "div": (lambda: torch.tensor([1.0, 0.0]) / 0, "NaN and Inf"),
    "exp": (lambda: torch.exp(torch.tensor(89.0)), "Inf"),
    "to": (lambda: torch.tensor([1e5]).half(), "Inf"),
    "softmax": (lambda: torch.softmax(torch.full((2, 3), -INF), 1), "NaN"),
    "sub": (lambda: torch.tensor(INF) - torch.tensor(INF), "NaN"),
    "mul": (lambda: torch.tensor([0.0]) * torch.tensor([INF]), "NaN"),
    "div_": (lambda: torch.ones(3).div_(0), "Inf"),
    "mm": (lambda: torch.full((2, 2), 1e30) @ torch.full((2, 2), 1e30), "Inf"),
    "reciprocal": (lambda: torch.zeros(2, 3).t().reciprocal(), "Inf"),
    "cumprod": (lambda: torch.full((40,), 1e300, dtype=torch.float64).cumprod(0), "Inf"),
}


@pytest.mark.parametrize("operation", MADE)
def test_the_operation_is_named(operation):
    run, numbers = MADE[operation]
    found = finding(run)
    assert (found.operation, found.numbers, found.made, found.phase) == (operation, numbers, True, "forward")
    assert found.argument is None


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float16])
def test_overflow_of_narrow_dtypes(dtype):
    found = finding(lambda: torch.tensor([1.0, 1e5, 1e6]).to(dtype))
    assert (found.operation, found.numbers) == ("to", "Inf")
    assert "2 of 3 elements, the first is inf at [1]" in found.message


def test_an_out_argument_is_looked_at():
    assert finding(lambda: torch.div(torch.ones(2), 0, out=torch.empty(2))).operation == "div"


def causal_attention():
    q = torch.randn(2, 4, 8, requires_grad=True)
    mask = torch.full((4, 4), -INF).triu_(1)
    (torch.softmax(q @ q.transpose(1, 2) / 8**0.5 + mask, -1) @ q).sum().backward()


def filled_scores():
    scores = torch.randn(3, 5, requires_grad=True)
    keep = torch.arange(5) < 3
    masked = scores.masked_fill(~keep, -INF)
    torch.log_softmax(masked, -1)[:, :3].sum().backward()
    torch.where(keep, scores, -INF).logsumexp(-1).sum().backward()
    scores.masked_fill(~keep, -INF).max(-1).values.sum().backward()


def scaled_dot_product():
    q = torch.randn(1, 2, 4, 8, requires_grad=True)
    mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).tril() == 0, -INF)
    nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask).sum().backward()


def transformer_layer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False] * 3 + [True] * 2])
    layer(torch.randn(1, 5, 8), src_mask=mask, src_key_padding_mask=padding.float() * -1e9).sum().backward()


def placeholders():
    table = torch.full((3, 2), NAN)
    for i in range(3):
        table[i] = i
    torch.cat([table, torch.full((1, 2), NAN)]).nan_to_num().sum()
    torch.isnan(torch.tensor([NAN])).any()


def unwritten():
    for _ in range(20):
        x = torch.empty(1000)
        x[:500].fill_(1)
        x[500:] = 2
        torch.empty_like(x).copy_(x)


MEANT = [causal_attention, filled_scores, scaled_dot_product, transformer_layer, placeholders, unwritten]


@pytest.mark.parametrize("run", MEANT, ids=lambda run: run.__name__)
def test_what_is_meant_is_left_alone(run):
    with nan_guard():
        run()


def test_module_and_line_of_the_forward_pass():
    found = finding(lambda: Net()(torch.zeros(2), which=1))
    assert (found.module, found.function, found.line) == ("body.1.1", "Log.forward", line_of_log())
    assert found.file == __file__ and "log made Inf in 2 of 2 elements" in found.message


def test_module_and_line_of_a_derivative():
    net = Net()
    x = torch.zeros(2, requires_grad=True)
    found = finding(lambda: net(x).sum().backward(), forward=False)
    assert (found.operation, found.phase, found.numbers) == ("LogBackward0", "backward", "Inf")
    assert (found.module, found.line, found.file) == ("body.0.1", line_of_log(), __file__)


def test_a_derivative_that_makes_nan_of_finite_numbers():
    x = torch.tensor([0.0, 1.0], requires_grad=True)

    def run():
        torch.where(x > 0, torch.sqrt(x) * 2, 0.0).sum().backward()  # 0 times infinity

    found = finding(run, inf=False)
    assert (found.operation, found.numbers, found.made) == ("SqrtBackward0", "NaN", True)
    assert found.line == run.__code__.co_firstlineno + 1


def test_derivatives_of_higher_order_keep_the_line():
    x = torch.tensor([0.0], requires_grad=True)

    def run():
        y = x.pow(1.5)  # its second derivative has a pole at 0
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        g.sum().backward()

    found = finding(run)
    assert found.phase == "backward" and found.line == run.__code__.co_firstlineno + 1


def test_a_custom_function_is_named():
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * NAN

    x = torch.ones(2, requires_grad=True)
    found = finding(lambda: Bad.apply(x).sum().backward())
    assert (found.operation, found.made, found.numbers) == ("BadBackward", True, "NaN")


@pytest.mark.parametrize(
    ("run", "operation", "argument"),
    [
        (lambda: torch.add(torch.ones(2), torch.tensor([1.0, NAN])), "add", "other"),
        (lambda: nn.functional.linear(torch.ones(1, 2), torch.tensor([[NAN, 1.0]])), "mm", "mat2"),
        (lambda: torch.addmm(torch.tensor([NAN]), torch.ones(1, 1), torch.ones(1, 1)), "addmm", "input"),
        (lambda: torch.ones(2).mul_(torch.tensor(NAN)), "mul_", "other"),
    ],
)
def test_nan_from_outside_is_named_with_its_argument(run, operation, argument):
    found = finding(run)
    assert (found.operation, found.argument, found.made, found.numbers) == (operation, argument, False, "NaN")


def test_nan_given_to_backward_is_an_argument():
    x = torch.ones(2, requires_grad=True)
    found = finding(lambda: (x * 2).backward(torch.tensor([NAN, 1.0])))
    assert (found.operation, found.argument, found.made) == ("MulBackward0", "gradient", False)


def test_sums_of_gradients_are_looked_at():
    x = torch.zeros(2, requires_grad=True)

    def run():
        y = x * 1
        (y * 3e38).backward(torch.ones(2), retain_graph=True)
        torch.autograd.backward([y, y], [torch.full((2,), 3e38)] * 2)

    found = finding(run)
    assert (found.phase, found.operation) == ("backward", "MulBackward0")
    assert "the sum of the gradients" in found.message
    x = torch.zeros(2, requires_grad=True)
    x.grad = torch.full((2,), 3e38)
    assert ".grad of a leaf" in finding(lambda: (x * 3e38).sum().backward()).message


def test_gradients_keep_the_layout_of_their_leaf():
    x = torch.ones(2, 3).t().requires_grad_()
    with nan_guard():
        (x * 2).sum().backward()
        assert x.grad.stride() == (1, 3)


def test_an_optimizer_step_names_the_parameter():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e38)

    def run():
        (net(torch.ones(1, 2)) * 1e5).sum().backward()
        optimizer.step()

    found = finding(run)
    assert (found.phase, found.operation, found.made, found.numbers) == ("step", "SGD", True, "Inf")
    assert "parameter 0.weight" in found.message
    net = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e38)
    with nan_guard(step=False):
        (net(torch.ones(1, 2)) * 1e5).sum().backward()
        optimizer.step()


def test_warn_and_callback_go_on():
    seen = []
    with nan_guard(seen.append):
        y = torch.log(torch.tensor([-1.0])) * 2 + 1
        torch.sqrt(torch.tensor(-1.0))
    assert y.isnan().all() and [f.operation for f in seen] == ["log", "sqrt"]
    with warnings.catch_warnings(record=True) as caught, nan_guard("warn"):
        warnings.simplefilter("always")
        torch.sqrt(torch.tensor(-1.0))
    assert [w.category for w in caught] == [RuntimeWarning] and caught[0].filename == __file__


def test_options():
    with nan_guard(inf=False):
        torch.log(torch.zeros(1))
    with nan_guard(ignore="matmul"):
        torch.full((2, 2), 1e30) @ torch.full((2, 2), 1e30)
    with nan_guard(ignore="log"):
        torch.log(torch.tensor([-1.0, 0.0])).log_().exp()
    with nan_guard(ignore=["LogBackward0"]):
        torch.zeros(1, requires_grad=True).add(1e-45).log().sum().backward()
    with nan_guard(forward=False):
        torch.log(torch.zeros(1))
    with nan_guard(backward=False):
        torch.zeros(1, requires_grad=True).sqrt().sum().backward()
    with nan_guard(forward=False, backward=False):
        torch.zeros(1, requires_grad=True).log().sum().backward()
    with nan_guard():
        with nan_guard(enabled=False):
            torch.log(torch.zeros(1))
        with pytest.raises(NonFiniteError):
            torch.log(torch.zeros(1))
    with pytest.raises(ValueError, match="action must be"):
        nan_guard("shout")


def test_nothing_is_left_behind():
    with pytest.raises(NonFiniteError), nan_guard():
        Net()(torch.zeros(1))
    assert torch.log(torch.zeros(1)).isinf().all()
    net = Net()
    net(torch.ones(1))
    assert not nn.modules.module._global_forward_hooks


def test_a_decorator_guards_each_call():
    @nan_guard(inf=False)
    def ratio(a, b):
        """a over b"""
        return torch.tensor(a) / torch.tensor(b)

    assert ratio.__doc__ == "a over b" and ratio(1.0, 0.0) == INF
    with pytest.raises(NonFiniteError):
        ratio(0.0, 0.0)


def test_the_guard_belongs_to_its_thread():
    results = []
    with nan_guard():
        thread = threading.Thread(target=lambda: results.append(torch.log(torch.zeros(1))))
        thread.start()
        thread.join()
    assert results[0].item() == -INF


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradient_modes(mode):
    with mode():
        assert finding(lambda: torch.log(torch.zeros(2))).operation == "log"


def test_transforms_of_functions():
    for transform in (torch.func.grad, torch.func.jacrev, lambda f: torch.vmap(torch.func.grad(f))):
        found = finding(lambda: transform(lambda x: x.sqrt().sum())(torch.zeros(2)))
        assert (found.operation, found.numbers, found.made) == ("SqrtBackward0", "Inf", True)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints(use_reentrant):
    def roots(x):
        return (x + 1 - 1).sqrt()

    x = torch.zeros(2, requires_grad=True)

    def run():
        y = checkpoint(roots, x, use_reentrant=use_reentrant)
        y.sum().backward()

    found = finding(run)
    first = run.__code__ if use_reentrant else roots.__code__  # a re-entrant one hides what it recomputes
    assert (found.operation, found.line) == ("SqrtBackward0", first.co_firstlineno + 1)


def test_vmap_and_autocast_are_seen_through():
    assert finding(lambda: torch.vmap(torch.log)(torch.zeros(2, 3))).operation == "log"
    with torch.autocast("cpu", dtype=torch.float16):
        found = finding(lambda: torch.full((2, 2), 200.0) @ torch.full((2, 2), 200.0))
    assert (found.operation, found.numbers) == ("mm", "Inf")
    assert "mm inside matmul made Inf" in found.message


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64])
@pytest.mark.parametrize("place", [0, 1, 1023, 1024, 9999, 299_999])
def test_a_single_number_is_found(dtype, place):
    x = torch.zeros(300_000, dtype=dtype)
    with nan_guard():
        x * 1
    x[place] = NAN
    assert finding(lambda: x * 1).argument == "input"
    x = torch.zeros(300_000, dtype=dtype)
    x[place] = 1
    assert finding(lambda: 0 / (x - 1) if dtype.is_complex else 1 / (1 - x)).made


def test_strided_results():
    base = torch.ones(6, 8, 4)
    for view in (base[:, ::2], base.transpose(0, 2), base[1:3, :, 1], base[0].expand(3, 8, 4)):
        with nan_guard():
            view.mul(1)
    view = base[:, ::2, 1:3]
    base[:, 1] = NAN  # beside the view
    with nan_guard():
        view.add_(1)
    base[2, 4, 2] = 0.0
    found = finding(lambda: view.reciprocal_())
    assert (found.operation, found.numbers) == ("reciprocal_", "Inf")


def test_results_do_not_change():
    def losses():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 3))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        x, y = torch.randn(10, 8), torch.randint(0, 3, (10,))
        for _ in range(5):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            yield loss.item()

    plain = list(losses())
    with nan_guard():
        assert list(losses()) == plain


def test_the_error_pickles():
    found = finding(lambda: torch.log(torch.zeros(1)))
    again = pickle.loads(pickle.dumps(NonFiniteError(found)))
    assert again.finding == found and str(again) == found.message and isinstance(again, RuntimeError)

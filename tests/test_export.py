"""torch.export and control flow: what programs of tests/data print is what PyTorch 2.13 prints."""

import copy
import io
import zipfile

import pytest
import support

import torch
from torch.utils import _pytree as pytree

NAMES = ("export", "control_flow")
PROGRAMS = {(name, title): text for name in NAMES for title, text in support.read_programs(name).items()}
EXPECTED = {(name, title): text for name in NAMES for title, text in support.recorded(name).items()}


@pytest.mark.parametrize("name, title", PROGRAMS)
def test_program(name, title):
    assert support.run_program(PROGRAMS[name, title]) == EXPECTED[name, title]


def test_every_program_is_recorded():
    assert list(PROGRAMS) == list(EXPECTED)


class Branches(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x + self.weight, lambda x: x - 1, (x,))


class Loop(torch.nn.Module):
    def forward(self, x):
        return torch.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x))


@pytest.mark.parametrize("make, values", [(Branches, (1.0, -1.0)), (Loop, (1.0, 2.0))])
def test_branches_and_loops_survive_files_and_decompositions(make, values):
    module = make()
    program = torch.export.export(module, (torch.ones(2),))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    for each in (program, torch.export.load(file), program.run_decompositions()):
        for value in values:
            x = torch.full((2,), value)
            actual, expected = each.module()(x), module(x)
            leaves = zip(pytree.tree_leaves(actual), pytree.tree_leaves(expected), strict=True)
            assert all(torch.equal(a, e) for a, e in leaves)


def test_parameters_that_a_branch_takes_from_outside_are_inputs():
    program = torch.export.export(Branches(), (torch.ones(2),))
    assert program.graph_signature.parameters == ("weight",)
    assert program.graph_signature.lifted_tensor_constants == ()


def test_training_through_an_exported_program():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU())
    x = torch.randn(5, 3)
    program = torch.export.export(module, (x,))
    for each in (program.module(), program.run_decompositions().module()):
        module.zero_grad()
        each(x).sum().backward()
        gradients = [p.grad.clone() for p in each.parameters()]
        module.zero_grad()
        torch.nn.functional.relu(
            torch.nn.functional.batch_norm(module[0](x), None, None, module[1].weight, module[1].bias, True)
        ).sum().backward()
        for actual, parameter in zip(gradients, module.parameters(), strict=True):
            torch.testing.assert_close(actual, parameter.grad)


def test_gradients_are_off_where_the_program_had_them_off():
    class Partly(torch.nn.Module):
        def forward(self, x):
            with torch.no_grad():
                fixed = x * 2
            return fixed * x

    program = torch.export.export(Partly(), (torch.ones(2),))
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    program.module()(x).sum().backward()
    assert torch.equal(x.grad, torch.tensor([2.0, 4.0]))
    assert torch.is_grad_enabled()


def test_loading_reads_no_other_archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    file.seek(0)
    with pytest.raises(RuntimeError, match="not an archive of an exported program"):
        torch.export.load(file)


def test_sizes_that_the_program_multiplies_stay_open():
    class Windows(torch.nn.Module):
        def forward(self, x):
            pooled = torch.nn.functional.max_pool1d(x.t()[None], 3, 2)
            return pooled.reshape(-1), x[1:] * x.shape[0], x.view(x.shape[0] * 2, -1)

    module = Windows()
    rows = torch.export.Dim("rows", min=4)
    program = torch.export.export(module, (torch.randn(8, 6),), dynamic_shapes=({0: rows},))
    for size in (4, 5, 9, 16):
        x = torch.randn(size, 6)
        for each in (program, program.run_decompositions()):
            for actual, expected in zip(each.module()(x), module(x), strict=True):
                assert torch.equal(actual, expected)


class Attention(torch.nn.Module):
    """A causal self-attention over embedded tokens, with shapes taken from its input."""

    def __init__(self):
        super().__init__()
        self.embed, self.places = torch.nn.Embedding(10, 8), torch.nn.Parameter(torch.randn(16, 8))
        self.norm, self.qkv, self.out = torch.nn.LayerNorm(8), torch.nn.Linear(8, 24), torch.nn.Linear(8, 10)

    def forward(self, tokens):
        batch, length = tokens.shape
        x = self.embed(tokens) + self.places[:length]
        q, k, v = (t.view(batch, length, 2, 4).transpose(1, 2) for t in self.qkv(self.norm(x)).chunk(3, -1))
        mask = torch.tril(torch.ones(length, length, dtype=torch.bool))
        weights = (q @ k.transpose(-2, -1) * 0.5).masked_fill(~mask, float("-inf")).softmax(-1)
        return self.out(x + (weights @ v).transpose(1, 2).reshape(batch, length, 8))


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 8, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0][:, -1]


class Pictures(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.nn.BatchNorm2d(4)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(self.norm(self.conv(x)).relu(), 2)
        return torch.nn.functional.interpolate(x, scale_factor=2).mean((2, 3))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.filterwarnings("ignore:reduction")
def test_losses_keep_their_reduction(reduction):
    class Loss(torch.nn.Module):
        def forward(self, a, b):
            options = {} if reduction == "batchmean" else {"reduction": reduction}
            return torch.nn.functional.kl_div(a, b, reduction=reduction), torch.nn.functional.mse_loss(a, b, **options)

    a, b = torch.rand(2, 3).log(), torch.rand(2, 3)
    program = torch.export.export(Loss(), (a, b))
    for each in (program.module(), program.run_decompositions().module()):
        for actual, expected in zip(each(a, b), Loss()(a, b), strict=True):
            torch.testing.assert_close(actual, expected)


BATCH, LENGTH = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("length", min=2, max=16)
MODELS = {
    Attention: (lambda *size: torch.randint(10, size), {0: BATCH, 1: LENGTH}, (3, 5), (7, 9)),
    Recurrent: (torch.randn, {0: BATCH}, (3, 5, 4), (7, 5, 4)),
    Pictures: (torch.randn, {0: BATCH, 2: torch.export.Dim.AUTO}, (2, 3, 16, 16), (5, 3, 24, 16)),
}


@pytest.mark.parametrize("make", MODELS)
def test_models_with_open_sizes(make):
    torch.manual_seed(0)
    inputs, shapes, first, second = MODELS[make]
    module = make().eval()
    program = torch.export.export(module, (inputs(*first),), dynamic_shapes=(shapes,))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    for each in (program, program.run_decompositions(), torch.export.load(file)):
        for size in (first, second):
            x = inputs(*size)
            torch.testing.assert_close(each.module()(x), module(x))


def drafted(function, *args):
    class Module(torch.nn.Module):
        def forward(self, *given):
            return function(*given)

    return torch.export.draft_export(Module(), args)


def test_a_draft_decides_as_the_example_does_and_checks_it():
    def by_element(x):
        return x + 1 if x[0].item() > 2 else x * 2

    program = drafted(by_element, torch.tensor([3, 4]))
    assert len(program._report.failures) == 1 and not program._report.successful()
    assert torch.equal(program.module()(torch.tensor([5, 1])), torch.tensor([6, 2]))
    with pytest.raises(RuntimeError, match="Runtime assertion failed"):
        program.module()(torch.tensor([1, 1]))

    def by_truth(x):
        return x + 1 if x.sum() > 0 else x

    program = drafted(by_truth, torch.ones(2))
    assert torch.equal(program.module()(torch.ones(2)), torch.full((2,), 2.0))
    with pytest.raises(RuntimeError, match="Runtime assertion failed"):
        program.module()(-torch.ones(2))
    assert drafted(lambda x: x + 1, torch.ones(2))._report.successful()


def test_a_draft_keeps_sizes_that_the_program_relies_on():
    class Module(torch.nn.Module):
        def forward(self, x):
            return x if x.shape[0] > 5 else x + 1

    program = torch.export.draft_export(
        Module(), (torch.ones(3, 4),), dynamic_shapes=({0: torch.export.Dim("rows")},)
    )
    assert [str(r) for r in program.range_constraints.values()] == ["VR[0, 5]"]
    assert "Constraints violated" in program._report.failures[0]


ELEMENTS = torch.tensor([0, 1, 2, 0, 3])
FEWER = torch.tensor([1, 0, 0, 0, 0])


def set_where(x):
    x = x.clone()
    x[x > 1] = 7
    return x


def listed(x):
    a, b = x[:2].tolist()
    torch._check(a >= 0)
    torch._check(b >= 0)
    return torch.zeros(a, b), torch.arange(a * b + 1)


def padded(x):
    n = (x > 0).sum().item()
    torch._check(n >= 0)
    torch._check(n <= x.shape[0])
    part = x.narrow(0, 0, n)
    return torch.nn.functional.pad(part, (0, 5 - n)), part.view(-1, 1).expand(n, 2)


def places(x):
    found = x.nonzero()
    torch._check(found.shape[0] > 0)
    return found[0], found.sum(0), found.t(), torch.cat([found, found]), found.float() @ torch.ones(1, 2)


@pytest.mark.parametrize("function", [
    lambda x: x[x > 0] * 2, lambda x: torch.masked_select(x, x > 0).sum(), lambda x: x.float().sum().item() * 2,
    lambda x: torch.ones(x.max().item()), lambda x: x.unique(return_counts=True), set_where, listed, padded, places,
    lambda x: (x[: x[1].item()], x[x[1].item() :], x[x[1].item()]),
    lambda x: (torch.where(x > 0)[0], torch.repeat_interleave(x, x)),
    lambda x: (x.float()[:, None] * torch.ones(3))[x > 0] @ torch.ones(3, 2),
])  # fmt: skip
def test_sizes_and_numbers_of_elements_when_the_program_runs(function):
    class Module(torch.nn.Module):
        def forward(self, x):
            return function(x)

    program = torch.export.export(Module(), (ELEMENTS,))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file)
    for each in (program, loaded, program.run_decompositions(), loaded.run_decompositions()):
        for x in (ELEMENTS, FEWER):
            actual, expected = pytree.tree_leaves(each.module()(x)), pytree.tree_leaves(function(x))
            for a, e in zip(actual, expected, strict=True):
                assert torch.equal(a, e) if isinstance(e, torch.Tensor) else a == e


def test_fake_tensors_where_elements_do_not_matter():
    from torch._subclasses import FakeTensor, FakeTensorMode

    with FakeTensorMode():
        x = torch.ones(2, 3)
        x[x > 0] = 1.0
        chosen = x[torch.tensor([0, 1, 1])]
        classes = torch.nn.functional.one_hot(torch.tensor([1, 2]), 3)
        again = copy.deepcopy(torch.nn.Linear(3, 4))
    assert chosen.shape == (3, 3) and classes.shape == (2, 3) and classes.dtype == torch.int64
    assert all(isinstance(t, FakeTensor) for t in (chosen, classes, again.weight))
    assert isinstance(again.weight, torch.nn.Parameter) and again.weight.requires_grad


def test_a_program_moves_to_another_device():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(x) + torch.zeros(3, device="cpu") + torch.arange(3, device=x.device).to("cpu")

    program = torch.export.export(Module(), (torch.ones(2, 3),))
    moved = torch.export.passes.move_to_device_pass(program, "meta")
    assert moved is program
    assert {t.device.type for t in moved.state_dict.values()} == {"meta"}
    values = [n.meta["val"] for n in moved.graph.nodes if isinstance(n.meta.get("val"), torch.Tensor)]
    assert {v.device.type for v in values} == {"meta"}
    result = moved.module()(torch.ones(2, 3, device="meta"))
    assert result.device.type == "meta" and result.shape == (2, 3)
    with pytest.raises(RuntimeError, match="Invalid device string: '3'"):
        torch.export.passes.move_to_device_pass(program, 3)

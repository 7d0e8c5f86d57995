"""The programs of the article "PyTorch from tabula rasa", which this project set out to run.

    python examples/seed_programs.py             all of them
    python examples/seed_programs.py autograd    one of them

Each starts after torch.manual_seed(0). Where the article only states a value in its text, the program prints it.
The last one ends in the error that the article announces.
"""

import contextlib
import io
import sys
import traceback
import warnings

import torch


def data_types():
    a = [1, 2, 3]
    print(torch.FloatTensor(a).dtype)
    print(torch.DoubleTensor(a).dtype)
    print(torch.HalfTensor(a).dtype)
    print(torch.ByteTensor(a).dtype)
    print(torch.CharTensor(a).dtype)
    print(torch.ShortTensor(a).dtype)
    print(torch.IntTensor(a).dtype)
    print(torch.LongTensor(a).dtype)


def from_numpy():
    import numpy as np

    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    pta = torch.from_numpy(a)
    print(pta)
    print(pta.type())
    a = pta.numpy()
    print(a)
    pta = torch.FloatTensor(a)
    print(pta)


def gpu():
    data = torch.rand(4)
    print(data)
    data = data.cuda()


def reshape():
    a = torch.range(1, 12)
    a = a.view(3, 4)  # reshapes inot 3 columns x 4 rows
    print(a)
    print(a.view(-1))


def algebra():
    a = torch.rand(4, 4)
    print(a)
    b = torch.rand(4)
    print(b)

    mm = a.mm(a)  # matrix multiplication
    mv = a.mv(b)  # matrix-vector multiplication
    t = a.t()  # matrix transpose

    print(mm)
    print(mv)
    print(t)


def products():
    a = torch.Tensor([[1, 2], [3, 4]])
    b = torch.Tensor([5, 6])
    c = torch.Tensor([7, 8])

    print(a * b)  # element-wise matrix multiplication (Hadamard product)
    print(a * a)
    print(torch.dot(b, c))  # not like in numpy, works just on 1D Tensors


def seeds():
    import numpy as np

    seed = 42
    torch.manual_seed(seed)
    np.random.seed(seed)
    print(torch.rand(3))
    torch.manual_seed(seed)
    print(torch.rand(3))
    print(torch.initial_seed())


def losses():
    x = torch.randn(3, 5)
    y = torch.randn(3, 5)
    positive = torch.rand(3, 5)
    classes = torch.tensor([1, 0, 4])
    signs = torch.tensor([1.0, -1.0, 1.0])
    marks = torch.tensor([[1, 0, 0, 1, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 1]])
    log_probabilities = torch.randn(6, 2, 5).log_softmax(2)
    targets = torch.tensor([[1, 2, 3], [4, 1, 1]])
    nn = torch.nn
    print(nn.L1Loss()(x, y))
    print(nn.MSELoss()(x, y))
    print(nn.CrossEntropyLoss()(x, classes))
    print(nn.CTCLoss()(log_probabilities, targets, torch.tensor([6, 6]), torch.tensor([3, 2])))
    print(nn.NLLLoss()(x.log_softmax(1), classes))
    print(nn.PoissonNLLLoss()(x, positive))
    print(nn.KLDivLoss(reduction="batchmean")(x.log_softmax(1), y.softmax(1)))
    print(nn.BCELoss()(positive, marks.float()))
    print(nn.BCEWithLogitsLoss()(x, marks.float()))
    print(nn.MarginRankingLoss()(x[:, 0], y[:, 0], signs))
    print(nn.HingeEmbeddingLoss()(x[:, 0], signs))
    print(nn.MultiLabelMarginLoss()(x, torch.tensor([[3, 0, -1, 1, 1], [2, -1, 0, 0, 0], [0, 1, 2, -1, 1]])))
    print(nn.SmoothL1Loss()(x, y))
    print(nn.SoftMarginLoss()(x[:, 0], signs))
    print(nn.MultiLabelSoftMarginLoss()(x, marks.float()))
    print(nn.CosineEmbeddingLoss()(x, y, signs))
    print(nn.MultiMarginLoss()(x, classes))
    print(nn.TripletMarginLoss()(x, y, positive))


def autograd():
    # Create tensors
    x = torch.tensor(1., requires_grad=True)
    w = torch.tensor(2., requires_grad=True)
    b = torch.tensor(3., requires_grad=True)

    # Build the graph
    y = w * x + b    # y = 2 * x + 3

    # Compute gradients
    y.backward()

    # Print out the gradients.
    print(x.grad)    # x.grad = 2
    print(w.grad)    # w.grad = 1
    print(b.grad)    # b.grad = 1


def twice():
    from torch.autograd import Variable

    a = Variable(torch.rand(1, 4), requires_grad=True)
    b = a**2
    c = b*2
    d = c.mean()
    e = c.sum()
    d.backward(retain_graph=True)  # fine
    e.backward(retain_graph=True)  # fine
    print(a.grad)
    d.backward()  # also fine
    e.backward()  # error will occur!


PROGRAMS = {
    program.__name__: program
    for program in (data_types, from_numpy, gpu, reshape, algebra, products, seeds, losses, autograd, twice)
}


def run(name: str) -> dict:
    """Run a program; return what it printed and warned, and the error that ended it with the line that raised it."""
    printed, error = io.StringIO(), None
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        torch.manual_seed(0)
        try:
            PROGRAMS[name]()
        except Exception as raised:
            own = [frame for frame in traceback.extract_tb(raised.__traceback__) if frame.filename == __file__]
            error = {"type": type(raised).__name__, "message": str(raised), "line": own[-1].line}
    return {"printed": printed.getvalue(), "warnings": [w.category.__name__ for w in caught], "error": error}


def main() -> None:
    for name in sys.argv[1:] or PROGRAMS:
        outcome = run(name)
        print(f"--- {name}\n{outcome['printed']}", end="")
        if outcome["error"]:
            print("{type} at `{line}`: {message}".format(**outcome["error"]))


if __name__ == "__main__":
    main()

"""torchinfo.summary of many kinds of models: the whole text."""

from programs import attempt, show
from torchinfo import ColumnSettings, summary

import torch
from torch import nn
from torch.nn.utils import prune

COLUMNS = ("input_size", "output_size", "num_params", "params_percent", "kernel_size", "mult_adds", "trainable")


def text(model, *args, **kwargs):
    for line in str(summary(model, *args, verbose=0, **kwargs)).splitlines():
        show(line)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.dropout = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = nn.functional.relu(nn.functional.max_pool2d(self.conv1(x), 2))
        x = nn.functional.relu(nn.functional.max_pool2d(self.dropout(self.conv2(x)), 2))
        return nn.functional.log_softmax(self.fc2(nn.functional.relu(self.fc1(x.view(-1, 320)))), dim=1)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = nn.Conv2d(width, width, 1)
        self.scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        return x + self.scale * self.pointwise(self.depthwise(self.norm(x)).relu())


class Recursive(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        for _ in range(4):
            x = self.conv(x)
        return x


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.embedding = nn.Embedding(20, 30)
        self.layer = kind(30, 51, batch_first=True, **options)
        self.decoder = nn.Linear(51 * (2 if options.get("bidirectional") else 1), 20)

    def forward(self, tokens):
        out, state = self.layer(self.embedding(tokens))
        return self.decoder(out), state


class ManyInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 8), nn.Linear(6, 8)
        self.rows = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])
        self.table = nn.ModuleDict({"relu": nn.ReLU(), "gelu": nn.GELU()})

    def forward(self, x, y=None, *, kind="relu"):
        x = self.left(x) if y is None else self.left(x) + self.right(y)
        for row in self.rows:
            x = self.table[kind](row(x))
        return {"out": x, "mean": x.mean(-1)}


text(ConvNet())
text(ConvNet(), input_size=(2, 1, 28, 28))
text(ConvNet(), input_size=(2, 1, 28, 28), col_names=COLUMNS, row_settings=("var_names", "depth", "ascii_only"))
text(ConvNet(), input_data=torch.zeros(3, 1, 28, 28), col_names=("input_size", "trainable"), col_width=18, device="cpu")
resnet = nn.Sequential(
    nn.Conv2d(3, 8, 3), Block(8), nn.Sequential(Block(8), Block(8)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
)
for depth in (1, 2, 4):
    text(resnet, input_size=(1, 3, 16, 16), depth=depth)
text(resnet, (3, 16, 16), batch_dim=0, col_names=COLUMNS, row_settings=["var_names", "hide_recursive_layers"])
text(Recursive(), (1, 8, 6, 6))
text(Recursive(), (1, 8, 6, 6), row_settings=("depth", "var_names", "hide_recursive_layers"))
for kind, options in ((nn.LSTM, {"num_layers": 2}), (nn.GRU, {"bidirectional": True}), (nn.RNN, {})):
    text(Recurrent(kind, **options), input_size=(3, 7), dtypes=[torch.long], col_names=COLUMNS)
text(ManyInputs(), [(2, 4), (2, 6)])
text(ManyInputs(), input_data={"x": torch.zeros(5, 4)}, kind="gelu")
text(ManyInputs(), input_data=[torch.zeros(2, 4), torch.zeros(2, 6)], row_settings=("depth",))
text(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), input_size=(2, 5, 8), depth=4)
text(nn.MultiheadAttention(8, 2), input_size=[(5, 2, 8)] * 3)
text(nn.Linear(3, 2).half(), input_size=(4, 3), dtypes=[torch.float16])
text(nn.Linear(3, 2).double(), input_data=torch.zeros(1, 3, dtype=torch.float64))
frozen = ConvNet()
for parameter in frozen.conv1.parameters():
    parameter.requires_grad_(False)
frozen.fc1.bias.requires_grad_(False)
text(frozen, (1, 1, 28, 28), col_names=("output_size", "num_params", "trainable"))
text(nn.Sequential(), input_size=(1, 2))
text(nn.ParameterList([nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2))]))
shared = nn.Linear(4, 4)
text(nn.Sequential(shared, nn.ReLU(), shared, nn.Sequential(shared)), (2, 4))
lazy = nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d())
text(lazy, (3, 4))
text(
    nn.Sequential(nn.Unflatten(1, (2, 3)), nn.ConvTranspose1d(2, 3, 3, groups=1), nn.PReLU()), (4, 6), col_names=COLUMNS
)
pruned = prune.l1_unstructured(nn.Linear(6, 4), "weight", amount=0.5)
text(pruned, (1, 6))
results = summary(ConvNet(), (2, 1, 28, 28), verbose=0)
show(results.total_params, results.trainable_params, results.total_mult_adds, results.total_input // 100)
show(results.total_output_bytes, results.total_param_bytes, results.to_readable(123456789), len(results.summary_list))
show(
    [f"{info.class_name}/{info.depth} {info.output_size}" for info in results.summary_list],
    [c.name for c in ColumnSettings],
)
attempt(summary, ConvNet(), input_size=(1, 3, 28, 28), verbose=0)
attempt(summary, ConvNet(), input_size="x", verbose=0)
attempt(summary, ConvNet(), input_size=(1, 1, 28, 28), input_data=torch.zeros(1), verbose=0)
attempt(summary, ConvNet(), col_names=("nothing",), verbose=0)
model = ConvNet().train()
summary(model, (1, 1, 28, 28), verbose=0, mode="eval")
show(model.training, len(model._forward_hooks), [p.grad for p in model.parameters()])

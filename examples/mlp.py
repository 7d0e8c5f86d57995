"""Train a multilayer perceptron to tell benign from malignant tumours by 30 measurements.

    python examples/mlp.py --out out/mlp

Data: the 569 cases of scikit-learn's breast cancer table (``sklearn.datasets.load_breast_cancer``), a quarter of them
held out. The architecture is the oldest one (Rumelhart, Hinton & Williams 1986, "Learning representations by
back-propagating errors"); ReLU, dropout and AdamW with a one-cycle learning rate are today's way to train it.

Prints the accuracy and the area under the ROC curve on the held-out cases, and draws the loss curve and both classes'
scores (mlp.png). Exit status 1 if the accuracy is below 94 % or the area below 0.98.
"""

import sys

from _frame import Run, launch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 25
BATCH = 32


class MLP(nn.Module):
    """Linear layers with ReLU and dropout between them; one score per case: above zero means malignant.

    Shapes: (batch, features) -> (batch,).
    """

    def __init__(self, features: int, hidden: tuple[int, ...] = (64, 32), dropout: float = 0.3):
        super().__init__()
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [nn.Linear(features, width), nn.ReLU(), nn.Dropout(dropout)]
            features = width
        self.hidden = nn.Sequential(*layers)
        self.score = nn.Linear(features, 1)
        for layer in self.hidden:
            if isinstance(layer, nn.Linear):  # He initialisation keeps the variance through ReLU
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, cases: torch.Tensor) -> torch.Tensor:
        return self.score(self.hidden(cases)).squeeze(1)


def load_data(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return the measurements for training and for the test, standardised, and the labels of both (1 = malignant)."""
    measured, benign = load_breast_cancer(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(measured, 1 - benign, stratify=benign, random_state=0)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    arrays = (train - mean) / deviation, (test - mean) / deviation, train_labels, test_labels
    return tuple(torch.from_numpy(array).to(dtype) for array in arrays)


def main(run: Run) -> None:
    train, test, train_labels, test_labels = load_data(run.dtype)
    loader = DataLoader(TensorDataset(train, train_labels), batch_size=BATCH, shuffle=True)

    model = MLP(train.shape[1])
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=EPOCHS * len(loader))

    run.start(EPOCHS * len(loader))
    for _ in range(EPOCHS):
        for cases, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(cases), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            run.step(loss)

    model.eval()
    with torch.no_grad():
        scores = model(test)
    accuracy = ((scores > 0) == (test_labels > 0)).float().mean().item()
    run.check("test accuracy", accuracy, at_least=0.94)
    run.check("area under the ROC curve", float(roc_auc_score(test_labels.numpy(), scores.numpy())), at_least=0.98)

    with run.picture("mlp.png", 9, 3.5) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(run.losses, linewidth=0.8)
        left.set(xlabel="step", ylabel="cross-entropy", title="training loss")
        malignant = test_labels > 0
        for name, chosen in (("benign", ~malignant), ("malignant", malignant)):
            right.hist(scores[chosen].numpy(), bins=25, alpha=0.6, label=name)
        right.axvline(0, color="black", linewidth=0.8)
        right.set(xlabel="score", ylabel="cases", title=f"held-out cases, {accuracy:.1%} on the right side of 0")
        right.legend()


if __name__ == "__main__":
    sys.exit(launch(main))

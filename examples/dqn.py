"""Train a deep Q-network to balance a pole on a cart.

    python examples/dqn.py --out out/dqn

The environment is the cart and pole of Barto, Sutton & Anderson 1983, "Neuronlike adaptive elements that can solve
difficult learning control problems": their equations and constants, a push to the left or to the right every fiftieth
of a second; an episode ends when the pole leans by more than 12 degrees, when the cart leaves its track, or after 500
pushes. Nothing is read: the network learns from what it tries. The method is that of Mnih et al. 2015, "Human-level
control through deep reinforcement learning" (replay memory, target network), with van Hasselt's double Q-learning
(2016) and a dueling head (Wang et al. 2016).

Prints how long the pole stays up, mean of 20 episodes without exploration (about 20 pushes at random); draws the
length of the episodes while it learned, what the network thinks of the pole's angle and speed, and one episode
(dqn.png). Exit status 1 below 195, which counts as solved.
"""

import copy
import math
import sys

import numpy as np
from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F

STEPS = 12000  # pushes, and optimiser steps
BEFORE = 200  # pushes at random before the first optimiser step
BATCH = 128
DISCOUNT = 0.99
LONGEST = 500


class CartPole:
    """A pole hinged to a cart; the state is the cart's place and speed and the pole's angle and its speed."""

    GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, generator: np.random.Generator):
        self.generator = generator

    def reset(self) -> list[float]:
        """Begin an episode close to the upright position; return its first state."""
        self.state = self.generator.uniform(-0.05, 0.05, 4).tolist()
        self.pushes = 0
        return self.state

    def step(self, action: int) -> tuple[list[float], bool, bool]:
        """Push to the left (0) or right (1); return the new state, whether the pole fell, whether the time is up."""
        place, speed, angle, turning = self.state
        force = self.FORCE if action else -self.FORCE
        total = self.CART + self.POLE
        swing = (force + self.POLE * self.HALF_LENGTH * turning**2 * math.sin(angle)) / total
        turning_change = (self.GRAVITY * math.sin(angle) - math.cos(angle) * swing) / (
            self.HALF_LENGTH * (4 / 3 - self.POLE * math.cos(angle) ** 2 / total)
        )
        speed_change = swing - self.POLE * self.HALF_LENGTH * turning_change * math.cos(angle) / total
        changes = (speed, speed_change, turning, turning_change)
        self.state = [value + self.SECONDS * change for value, change in zip(self.state, changes, strict=True)]
        self.pushes += 1
        fell = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return self.state, fell, self.pushes == LONGEST


class DuelingNetwork(nn.Module):
    """States (batch, 4) -> the value of each action (batch, 2): the state's value plus the action's advantage."""

    def __init__(self, width: int = 128):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, 2)
        self.register_buffer("scale", torch.tensor([1.0, 1.0, 0.1, 1.0]))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        hidden = self.body(states / self.scale)
        advantage = self.advantage(hidden)
        return self.value(hidden) + advantage - advantage.mean(dim=1, keepdim=True)


class Memory:
    """The transitions so far: state, action, next state, and whether the pole fell, one row of a tensor each."""

    def __init__(self, size: int):
        self.rows = torch.empty(size, 10)
        self.count = 0

    def add(self, state: list[float], action: int, after: list[float], fell: bool) -> None:
        self.rows[self.count] = torch.tensor([*state, action, *after, fell])
        self.count += 1

    def sample(self) -> tuple[torch.Tensor, ...]:
        rows = self.rows[torch.randint(self.count, (BATCH,))]
        state, action, after, fell = rows.split([4, 1, 4, 1], dim=1)
        return state, action.long(), after, fell


@torch.no_grad()
def best(model: nn.Module, state: list[float]) -> int:
    return model(torch.tensor([state])).argmax(dim=1).item()


def episode(model: nn.Module, environment: CartPole) -> list[list[float]]:
    """Play without exploration; return the states."""
    states, ended = [environment.reset()], False
    while not ended:
        state, fell, late = environment.step(best(model, states[-1]))
        states.append(state)
        ended = fell or late
    return states


def main(run: Run) -> None:
    environment = CartPole(np.random.default_rng(run.seed))
    model = DuelingNetwork()
    target = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, amsgrad=True)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, STEPS)
    memory = Memory(BEFORE + STEPS)
    lengths = []

    run.start(STEPS)
    state = environment.reset()
    for push in range(BEFORE + STEPS):
        random_share = max(0.02, 1 - max(0, push - BEFORE) / 2500)
        explore = torch.rand(()).item() < random_share
        action = torch.randint(2, ()).item() if explore else best(model, state)
        after, fell, late = environment.step(action)
        memory.add(state, action, after, fell)
        state = after
        if fell or late:
            lengths.append((push - BEFORE, environment.pushes))
            state = environment.reset()
        if push < BEFORE:
            continue

        states, actions, afters, falls = memory.sample()
        with torch.no_grad():  # the network chooses the next action, the target says what it is worth
            worth = target(afters).gather(1, model(afters).argmax(dim=1, keepdim=True))
            wanted = 1 + DISCOUNT * worth * (1 - falls)
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(model(states).gather(1, actions), wanted)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast, 0.005)
        run.step(loss)

    episodes = [episode(model, environment) for _ in range(20)]
    run.check("pushes until the pole falls", sum(len(states) - 1 for states in episodes) / 20, at_least=195)

    with run.picture("dqn.png", 14, 4.5) as figure:
        left, middle, right = figure.subplots(1, 3)
        left.plot(*zip(*lengths, strict=True), marker=".", linewidth=0.8)
        left.set(xlabel="step", ylabel="pushes", title="length of the episodes while it learned")
        angles, speeds = torch.meshgrid(torch.linspace(-0.2, 0.2, 81), torch.linspace(-2.5, 2.5, 81), indexing="xy")
        grid = torch.zeros(81, 81, 4)
        grid[..., 2], grid[..., 3] = angles, speeds
        with torch.no_grad():
            values = model(grid.flatten(0, 1)).view(81, 81, 2)
        gain = (values[..., 1] - values[..., 0]).numpy()
        limit = np.abs(gain).max()  # white stands for zero
        degrees = np.degrees(angles.numpy())
        image = middle.pcolormesh(degrees, speeds.numpy(), gain, cmap="RdBu", vmin=-limit, vmax=limit)
        figure.colorbar(image, label="worth of a push to the right over one to the left")
        middle.set(xlabel="angle of the pole, degrees (right: positive)", ylabel="speed of the angle, 1/s")
        middle.set_title("what the network does: blue pushes right")
        states = np.array(episodes[0])
        seconds = np.arange(len(states)) * CartPole.SECONDS
        right.plot(seconds, states[:, 0], label="place of the cart, m")
        right.plot(seconds, np.degrees(states[:, 2]), linewidth=0.7, label="angle of the pole, degrees")
        right.set(xlabel="seconds", title="one episode without exploration")
        right.legend()


if __name__ == "__main__":
    sys.exit(launch(main))

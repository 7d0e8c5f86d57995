"""Learn the law of motion of a pendulum with a neural ordinary differential equation.

    python examples/neural_ode.py --out out/neural_ode

Data: 24 swings of a damped pendulum, angle'' = -4 sin(angle) - 0.2 angle', observed ten times per second with noise.
The network is given neither that equation nor accelerations: it is the right-hand side of an equation of its own, whose
solutions are to pass through the observations. Gradients come from the adjoint method of Chen et al. 2018, "Neural
ordinary differential equations": a second equation, solved backwards in time together with the first, so that memory
doesn't grow with the number of solver steps. Both are solved by the classical Runge-Kutta method of fourth order.

Prints how much the adjoint's gradient differs from that of automatic differentiation through the solver, and the error
of the predicted angle over ten seconds for eight swings that were never seen (root mean square, relative to the angle);
draws those swings, the learned field beside the true one, and the loss (neural_ode.png). Exit status 1 if the gradients
differ by more than 1 % or the error is above 10 %.
"""

import sys
from collections.abc import Callable

import numpy as np
from _frame import Run, launch

import torch
from torch import nn
from torch.nn import functional as F

STEPS = 1500
BATCH = 96
INTERVAL = 0.1  # seconds between observations
AHEAD = 10  # observations that a prediction has to reach in training
SOLVER_STEPS = 2  # per interval

State = tuple[torch.Tensor, ...]


class Field(nn.Module):
    """The right-hand side: time, angle and speed (..., 2) -> their rates of change (..., 2)."""

    def __init__(self, width: int = 64):
        super().__init__()
        first, second, last = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 2)
        self.layers = nn.Sequential(first, nn.Tanh(), second, nn.Softplus(), last)

    def forward(self, time: float, state: torch.Tensor) -> torch.Tensor:
        return self.layers(state)  # the law doesn't change with time


def runge_kutta(rate: Callable[[float, State], State], state: State, start: float, end: float) -> State:
    """Follow y' = rate(t, y) from one time to another, later or earlier one; y is a tuple of tensors."""
    step = (end - start) / SOLVER_STEPS

    def along(state: State, rates: State, length: float) -> State:
        return tuple(torch.add(value, change, alpha=length) for value, change in zip(state, rates, strict=True))

    for i in range(SOLVER_STEPS):
        time = start + i * step
        first = rate(time, state)
        second = rate(time + step / 2, along(state, first, step / 2))
        third = rate(time + step / 2, along(state, second, step / 2))
        fourth = rate(time + step, along(state, third, step))
        mean = tuple((a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True))
        state = along(state, mean, step)
    return state


def solve(field: nn.Module, start: torch.Tensor, times: list[float]) -> torch.Tensor:
    """Return the states at all times, the first of which is that of ``start``: (..., 2) -> (times, ..., 2)."""
    states = [start]
    for before, after in zip(times, times[1:], strict=False):
        states += runge_kutta(lambda time, state: (field(time, state[0]),), (states[-1],), before, after)
    return torch.stack(states)


class Adjoint(torch.autograd.Function):
    """:func:`solve` whose gradient is found by solving the adjoint equation backwards."""

    @staticmethod
    def forward(ctx, field: nn.Module, times: list[float], start: torch.Tensor, *parameters: torch.Tensor):
        ctx.field, ctx.times = field, times
        states = solve(field, start, times)  # no gradients are recorded in here
        ctx.save_for_backward(states, *parameters)
        return states

    @staticmethod
    def backward(ctx, gradients: torch.Tensor):
        states, *parameters = ctx.saved_tensors

        def rates(time: float, both: State) -> State:
            """Return the rates of the state, of the gradient by it (the adjoint), and of those by the parameters."""
            state, adjoint, *_ = both
            with torch.enable_grad():
                state = state.detach().requires_grad_()
                change = ctx.field(time, state)
                return change.detach(), *torch.autograd.grad(change, (state, *parameters), -adjoint)

        adjoint, totals = gradients[-1], tuple(torch.zeros_like(parameter) for parameter in parameters)
        for i in range(len(states) - 1, 0, -1):
            backwards = runge_kutta(rates, (states[i], adjoint, *totals), ctx.times[i], ctx.times[i - 1])
            adjoint, totals = backwards[1] + gradients[i - 1], backwards[2:]
        return None, None, adjoint, *totals


def swings(count: int, observations: int, generator: np.random.Generator) -> np.ndarray:
    """Return true angles and speeds: (observations, count, 2), from random angles and speeds on."""
    state = np.stack([generator.uniform(-2, 2, count), generator.uniform(-1.5, 1.5, count)], axis=1)
    states, fine = [state], 50
    for _ in range(observations - 1):
        for _ in range(fine):  # leapfrog, a method other than the network's
            speed = state[:, 1] + INTERVAL / fine / 2 * (-4 * np.sin(state[:, 0]) - 0.2 * state[:, 1])
            angle = state[:, 0] + INTERVAL / fine * speed
            state = np.stack([angle, speed + INTERVAL / fine / 2 * (-4 * np.sin(angle) - 0.2 * speed)], axis=1)
        states.append(state)
    return np.stack(states)


def main(run: Run) -> None:
    generator = np.random.default_rng(run.seed)
    truth = swings(32, 101, generator)
    noisy = truth[:, :24] + generator.normal(0, 0.03, truth[:, :24].shape)
    observed = torch.from_numpy(noisy).to(run.dtype)
    unseen = torch.from_numpy(truth[:, 24:]).to(run.dtype)
    times = [i * INTERVAL for i in range(101)]

    field = Field()
    parameters = list(field.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=STEPS // 3)

    run.start(STEPS)
    for _ in range(STEPS):
        first = torch.randint(len(observed) - AHEAD, (BATCH,))
        swing = torch.randint(observed.shape[1], (BATCH,))
        wanted = torch.stack([observed[first + i, swing] for i in range(AHEAD + 1)])
        optimizer.zero_grad()
        predicted = Adjoint.apply(field, times[: AHEAD + 1], wanted[0], *parameters)
        loss = F.l1_loss(predicted[1:], wanted[1:])
        loss.backward()
        optimizer.step()
        scheduler.step()
        run.step(loss)

    both = []
    for solution in (Adjoint.apply(field, times[:51], unseen[0], *parameters), solve(field, unseen[0], times[:51])):
        gradients = torch.autograd.grad(solution.square().mean(), parameters)
        both.append(torch.cat([gradient.flatten() for gradient in gradients]))
    difference = torch.linalg.vector_norm(both[0] - both[1]) / torch.linalg.vector_norm(both[1])
    run.check("relative difference of the adjoint's gradient", difference.item(), at_most=0.01)
    with torch.no_grad():
        predicted = solve(field, unseen[0], times)
    error = (predicted - unseen)[..., 0].square().mean().sqrt() / unseen[..., 0].square().mean().sqrt()
    run.check("relative error of the angle over ten seconds, unseen swings", error.item(), at_most=0.1)

    with run.picture("neural_ode.png", 14, 8) as figure:
        upper, lower = figure.subfigures(2, 1)
        left, right = upper.subplots(1, 2, width_ratios=[2, 1])
        for swing, colour in zip((0, 2, 5), ("tab:blue", "tab:orange", "tab:green"), strict=True):
            left.plot(times, unseen[:, swing, 0].numpy(), ".", markersize=4, color=colour)
            left.plot(times, predicted[:, swing, 0].numpy(), color=colour)
        left.set(xlabel="seconds", ylabel="angle", title="three unseen swings (dots) and what the network foretells")
        right.plot(run.losses, linewidth=0.7)
        right.set(xlabel="step", ylabel="mean absolute error", yscale="log", title="training loss")
        angle, speed = torch.meshgrid(torch.linspace(-3, 3, 25), torch.linspace(-4.5, 4.5, 25), indexing="xy")
        with torch.no_grad():
            learned = field(0.0, torch.stack([angle, speed], dim=-1))
        true = torch.stack([speed, -4 * angle.sin() - 0.2 * speed], dim=-1)
        for axis, name, rate in zip(lower.subplots(1, 2), ("learned", "true"), (learned, true), strict=True):
            pace = torch.linalg.vector_norm(rate, dim=-1).numpy()
            arguments = [part.numpy() for part in (angle[0], speed[:, 0], rate[..., 0], rate[..., 1])]
            axis.streamplot(*arguments, color=pace, cmap="viridis", density=1.2, linewidth=0.8)
            axis.set(xlabel="angle", ylabel="speed", title=f"{name} field")


if __name__ == "__main__":
    sys.exit(launch(main))

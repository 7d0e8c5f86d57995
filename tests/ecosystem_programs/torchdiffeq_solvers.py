"""torchdiffeq: every solver, with its options, gradients straight and by the adjoint, events, and what is refused."""

from programs import attempt, show
from torchdiffeq import odeint, odeint_adjoint, odeint_dense, odeint_event

import torch
from torch import nn

STEPPING = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams", "implicit_adams", "fixed_adams")
ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")


class Spiral(nn.Module):
    def __init__(self, dtype=torch.float64):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=dtype))
        self.calls = 0

    def forward(self, t, y):
        self.calls += 1
        return (y**3) @ self.matrix * (1 + 0.1 * t)


t = torch.linspace(0, 1, 4, dtype=torch.float64)
y0 = torch.tensor([[1.5, 0.2], [0.5, -1.0]], dtype=torch.float64)
for method in ADAPTIVE + ("scipy_solver",):
    system = Spiral()
    options = {"solver": "LSODA"} if method == "scipy_solver" else None
    out = odeint(system, y0, t, method=method, rtol=1e-6, atol=1e-8, options=options)
    show(method, out[-1], system.calls)
for method in STEPPING:
    for options in ({}, {"step_size": 0.05}, {"step_size": 0.1, "interp": "cubic"}, {"perturb": True}):
        system = Spiral()
        out = odeint(system, y0, t, method=method, options=options)
        show(method, options, out[-1], system.calls)

for solve, more in ((odeint, {}), (odeint_adjoint, {}), (odeint_adjoint, {"adjoint_method": "rk4"})):
    for method in ("dopri5", "rk4", "dopri8", "implicit_adams"):
        system, start, times = Spiral(), y0.clone().requires_grad_(), t.clone().requires_grad_()
        out = solve(system, start, times, method=method, rtol=1e-7, atol=1e-9, **more)
        (out[1:] ** 2).sum().backward()
        show(solve.__name__, method, [float(f"{v:.4g}") for v in system.matrix.grad.flatten().tolist()])
        show([round(v, 4) for v in start.grad.flatten().tolist()], [round(v, 4) for v in times.grad.tolist()])

backwards = odeint(Spiral(), y0, t.flip(0))
show(backwards[-1], odeint(Spiral(), y0, t[:1]).shape)
show(odeint(Spiral(torch.float32), y0.float(), t.float(), rtol=1e-4, atol=1e-4)[-1])
show(odeint(lambda t, y: 1j * y, torch.ones(2, dtype=torch.complex128), t)[-1])
pair = odeint(lambda t, y: (y[1], -y[0]), (torch.zeros(2), torch.ones(1)), t.float(), rtol=1e-5)
show(pair)
show(odeint(Spiral(), y0, t, options={"norm": lambda v: v.abs().max(), "first_step": 0.01, "max_num_steps": 500})[-1])
jump = torch.tensor([0.5], dtype=torch.float64)
show(odeint(lambda t, y: torch.where(t < 0.5, y, -y), y0, t, options={"jump_t": jump})[-1])
show(odeint(Spiral(), y0, t, options={"step_t": t[1:3]}, rtol=1e-5)[-1])
show(
    odeint(
        Spiral(), y0, t, method="rk4", options={"grid_constructor": lambda f, y, t: torch.linspace(0, 1, 9).double()}
    )[-1]
)
dense = odeint_dense(Spiral(), y0, t[0], t[-1])
show(dense(torch.tensor(0.3, dtype=torch.float64)))


class Ball(nn.Module):
    def __init__(self):
        super().__init__()
        self.gravity = nn.Parameter(torch.tensor(9.8, dtype=torch.float64))

    def forward(self, t, state):
        position, velocity = state
        return velocity, -self.gravity * torch.ones_like(position)


for solve in (odeint, odeint_adjoint):
    ball = Ball()
    state = (torch.tensor([10.0], dtype=torch.float64), torch.tensor([0.0], dtype=torch.float64))
    event_t, solution = odeint_event(
        ball,
        state,
        torch.tensor(0.0, dtype=torch.float64),
        event_fn=lambda t, s: s[0],
        odeint_interface=solve,
        atol=1e-8,
        rtol=1e-8,
    )
    event_t.backward()
    show(event_t, solution[1][-1], ball.gravity.grad)
event_t, solution = odeint(
    Ball(),
    state,
    torch.tensor([0.0, 9.0], dtype=torch.float64),
    event_fn=lambda t, s: s[0] - 2,
    method="rk4",
    options={"step_size": 0.01},
)
show(event_t, solution[0][-1])

seen = []


class Watched(Spiral):
    def callback_step(self, t0, y0, dt):
        seen.append(float(t0))

    def callback_accept_step(self, t0, y0, dt):
        seen.append(float(dt))


odeint(Watched(), y0, t[:2], rtol=1e-3, atol=1e-3)
show(seen)

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
target = odeint(Spiral(torch.float32), y0.float(), t.float()).detach()
for _ in range(6):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(
        odeint_adjoint(lambda t, y: net(y**3), y0.float(), t.float(), adjoint_params=tuple(net.parameters())), target
    )
    loss.backward()
    optimizer.step()
    show(round(float(loss.detach()), 4))

attempt(odeint, Spiral(), y0, t, method="nothing")
attempt(odeint, Spiral(), y0, t[[0, 2, 1]])
attempt(odeint, Spiral(), y0.long(), t)
attempt(odeint, Spiral(), y0, t[None])
attempt(odeint, Spiral(), y0, t, options={"max_num_steps": 2}, rtol=1e-12, atol=1e-12)
attempt(odeint_adjoint, lambda t, y: y, y0, t)
attempt(odeint, lambda t, y: y / 0 * 0, y0, t)

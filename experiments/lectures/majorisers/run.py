"""Level sets of three majorisers of the Lasso in the plane, around one point: the lectures on unrolled algorithms.

F(y) = 1/2 ||x - y D||^2 + reg ||y||_1 with two unit atoms of correlation 0.9, around z = (1.2, 0), whose support is S = {1}:
Q_B(y) = f(z) + <grad f(z), y - z> + 1/2 (y - z) B (y - z)^T + reg ||y||_1 with B = L I (ISTA), B = L_S I (OISTA) and
B = A^T Lambda A (FacNet), A the eigenvectors of the Gram matrix G and Lambda = (L, mu + (L - mu) / 5) above its eigenvalues.

Theory. Q_B >= F everywhere if and only if B >= G; Q_{L_S} >= F on the points with support in S only. Q_B <= Q_L if
B <= L I. In the plane an A in between I and the eigenvectors gains nothing: G <= A^T Lambda A <= L I then forces
Lambda = L I. FacNet's closed-form step has ||y A^T||_1 for ||y||_1, which costs the bound reg (||y||_1 - ||y A^T||_1).

Claims checked on a grid: these, that each touches F at z, and that the steps are the minimisers and lower F.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from reproduction import Reproduction  # noqa: E402

import riata  # noqa: E402

REG, CORRELATION = 0.1, 0.9
D = np.array([[1.0, 0.0], [CORRELATION, np.sqrt(1 - CORRELATION**2)]])
X = np.array([0.9, 0.35])
Z = np.array([1.2, 0.0])
GRAM = D @ D.T
SPECTRUM, VECTORS = np.linalg.eigh(GRAM)
SPECTRUM, A = SPECTRUM[::-1], VECTORS[:, ::-1].T
L, L_S = SPECTRUM[0], GRAM[0, 0]
LAMBDA = np.array([L, SPECTRUM[1] + (L - SPECTRUM[1]) / 5])
GRADIENT = (Z @ D - X) @ D.T
CURVATURES = {"L": L * np.eye(2), "L_S": L_S * np.eye(2), "A": A.T @ np.diag(LAMBDA) @ A}


def smooth(y):
    return 0.5 * ((X - y @ D) ** 2).sum(-1)


def F(y):
    return smooth(y) + REG * np.abs(y).sum(-1)


def model(y, B):
    """Q without its l1 norm."""
    step = y - Z
    return smooth(Z) + step @ GRADIENT + 0.5 * np.einsum("...i,ij,...j", step, B, step)


def Q(y, name: str):
    return model(y, CURVATURES[name]) + REG * np.abs(y).sum(-1)


def soft(v, threshold):
    return np.sign(v) * np.maximum(np.abs(v) - threshold, 0)


def facnet_step(basis, diagonal):
    """The minimiser of model(y, A^T Lambda A) + reg ||y A^T||_1."""
    return soft(Z @ basis.T - GRADIENT @ basis.T / diagonal, REG / diagonal) @ basis


def minimiser(name: str):
    """Of Q over the plane (for L_S over the points with support in S), by proximal gradient."""
    B, y = CURVATURES[name], Z
    for _ in range(5000):
        y = soft(y - (GRADIENT + (y - Z) @ B) / L, REG / L)
        y = y * [1, 0] if name == "L_S" else y
    return y


def check(experiment: Reproduction, grid: np.ndarray) -> None:
    flat = grid.reshape(-1, 2)
    on_axis = np.stack([np.linspace(flat.min(), flat.max(), 2001), np.zeros(2001)], axis=1)
    tol = 1e-12
    for name in ("L", "A"):
        slack = (Q(flat, name) - F(flat)).min()
        experiment.claim(f"Q_{name} >= F at all {len(flat)} grid points: least difference {slack:.1e}", slack >= -tol)
    slack = (Q(on_axis, "L_S") - F(on_axis)).min()
    experiment.claim(f"Q_LS >= F on the points with support in S: least difference {slack:.1e}", slack >= -tol)
    under = (Q(flat, "L_S") < F(flat) - tol).mean()
    experiment.claim(f"but not elsewhere: under F on {100 * under:.0f} % of the grid", 0.1 < under < 0.9)
    for name in ("L_S", "A"):
        above = (Q(flat, name) - Q(flat, "L")).max()
        share = (Q(flat, name) < Q(flat, "L") - tol).mean()
        experiment.claim(f"Q_{name.replace('_', '')} <= Q_L on the whole grid (largest difference {above:.1e}), strictly on {100 * share:.1f} %",
                         above <= tol and share > 0.99)
    touch = max(abs(Q(Z, name) - F(Z)) for name in CURVATURES)
    experiment.claim(f"all three touch F at z: within {touch:.1e}", touch <= tol)

    best = {name: minimiser(name) for name in CURVATURES}
    values = {name: float(Q(best[name], name)) for name in CURVATURES}
    least = {"L": Q(flat, "L").min(), "L_S": Q(on_axis, "L_S").min(), "A": Q(flat, "A").min()}
    slack = min(least[name] - values[name] for name in CURVATURES)
    experiment.claim(f"the points drawn are the minimisers (of Q_LS with support in S): the grid is above by {slack:.1e} or more",
                     slack >= -tol)
    text = ", ".join(f"{name} {values[name] - F(Z):.4f} (F: {F(best[name]) - F(Z):.4f})" for name in CURVATURES)
    experiment.claim(f"each guarantees a descent, and F falls by no less: {text}",
                     all(F(best[name]) <= values[name] + tol and values[name] < F(Z) for name in CURVATURES))
    experiment.claim("the guaranteed descent of A^T Lambda A is larger than that of L", values["A"] < values["L"])

    ista = riata.encode(X[None], D, REG, method="ista", init=Z[None], max_iter=1, tol=0.0).codes[0]
    apart = max(np.abs(ista - best["L"]).max(), np.abs(ista - facnet_step(np.eye(2), np.full(2, L))).max())
    experiment.claim(f"riata's ISTA step minimises Q_L and is FacNet's with A = I, Lambda = L I: within {apart:.1e}", apart <= tol)
    y = facnet_step(A, LAMBDA)
    rotated = model(flat, CURVATURES["A"]) + REG * np.abs(flat @ A.T).sum(-1)
    at_step = model(y, CURVATURES["A"]) + REG * np.abs(y @ A.T).sum(-1)
    cost = REG * (np.abs(flat).sum(-1) - np.abs(flat @ A.T).sum(-1))
    experiment.claim(f"FacNet's step minimises its own model (grid: above by {rotated.min() - at_step:.1e} at least), which bounds "
                     f"F up to reg (||y||_1 - ||y A^T||_1), between {cost.min():.2f} and {cost.max():.2f} here",
                     bool(rotated.min() >= at_step - tol and (rotated + cost - F(flat)).min() >= -tol))

    gains = []
    for angle in np.linspace(0.01, np.pi / 4 - 0.01, 50):  # A = I at 0, the eigenvectors at pi / 4
        basis = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = basis @ GRAM @ basis.T
        # first entry at most L, second the least that keeps Lambda >= turned
        for first in np.linspace(turned[0, 0], L, 50)[1:]:
            gains.append(L - turned[1, 1] - turned[0, 1] ** 2 / (first - turned[0, 0]))
    experiment.claim(f"an A in between gains nothing: the other entry of Lambda is L or more (L minus it: {max(gains):.1e} at most)",
                     max(gains) <= 1e-9)


def draw(experiment: Reproduction, grid: np.ndarray) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure, axes = experiment.subplots(1, 3, figsize=(11, 4.2), sharex=True, sharey=True)
    value = F(grid)
    optimum = riata.encode(X[None], D, REG, method="cd", tol=1e-14).codes[0]
    levels = F(optimum) + (F(Z) - F(optimum)) * np.array([0.05, 0.3, 1.0, 2.5, 5.0, 9.0])
    titles = {"L": "$Q_L$: isotropic", "L_S": "$Q_{L_S}$: on the support", "A": r"$Q_A$: $A^\top \Lambda A$"}
    for axis, name in zip(axes, CURVATURES):
        bound, best = Q(grid, name), minimiser(name)
        under = bound < value - 1e-12
        if under.any():
            axis.contourf(grid[..., 0], grid[..., 1], under, levels=[0.5, 1.5], colors=["tab:red"], alpha=0.12)
        axis.contour(grid[..., 0], grid[..., 1], value, levels=levels, colors="0.45", linewidths=0.9)
        axis.contour(grid[..., 0], grid[..., 1], bound, levels=levels, colors="tab:blue", linewidths=1.2)
        axis.axhline(0, color="k", lw=0.5)
        axis.axvline(0, color="k", lw=0.5)
        axis.plot(*Z, "ko", ms=6)
        axis.plot(*best, "o", color="tab:blue", ms=6)
        axis.plot(*optimum, "*", color="0.3", ms=10)
        axis.annotate("", best, Z, arrowprops={"arrowstyle": "->", "color": "tab:blue", "lw": 1.5})
        axis.set(title=titles[name], xlabel="$y_1$", aspect="equal")
    axes[0].set_ylabel("$y_2$")
    handles = [Line2D([], [], color="0.45", label="$F$"), Line2D([], [], color="tab:blue", label="majoriser, same levels"),
               Line2D([], [], color="k", marker="o", ls="", label="$z$"),
               Line2D([], [], color="tab:blue", marker="o", ls="", label="its minimiser"),
               Line2D([], [], color="0.3", marker="*", ms=10, ls="", label=r"$z^\star$"),
               Patch(color="tab:red", alpha=0.12, label="under $F$")]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False)
    experiment.save_figure(figure, "majorisers.png")


if __name__ == "__main__":
    experiment = Reproduction(__file__, __doc__.splitlines()[0])
    side = 1001 if experiment.paper_size else 201
    grid = np.stack(np.meshgrid(np.linspace(-1, 2.2, side), np.linspace(-1.4, 1.8, side)), axis=-1)
    every = max(1, side // 100)
    experiment.write_rows("majorisers.csv", [
        {"y1": y[0], "y2": y[1], "F": F(y), **{f"Q_{name}": Q(y, name) for name in CURVATURES}}
        for y in grid[::every, ::every].reshape(-1, 2)])
    draw(experiment, grid)
    check(experiment, grid)
    experiment.finish()

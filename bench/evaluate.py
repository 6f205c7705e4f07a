"""How good an answer is: recomputed from the definitions, in double, by code that shares nothing with riata or a peer.

Lasso, per signal: primal F(z) = 1/2 ||x - z D||^2 + reg ||z||_1 with residual r; dual point theta = s r with
s = min(1, reg / ||D r||_inf); dual value 1/2 ||x||^2 - 1/2 ||x - theta||^2 <= min F; gap = primal - dual.

Unrolled networks: layer k takes u_k = y_k - (s_k / L) (y_k D - x) D^T to z_k = soft(u_k, s_k reg / L). ISTA goes on from
y_(k+1) = z_k, FISTA (Beck & Teboulle, 2009) from y_(k+1) = z_k + b_k (z_k - z_(k-1)) with b_k = (t_k - 1) / t_(k+1), t_1 = 1,
t_(k+1) = (1 + sqrt(1 + 4 t_k^2)) / 2.

Learned networks: layer k takes r_k = z_k D - x and a_k = z_k - alpha_k r_k W_k^T to z_(k+1) = soft(a_k, theta_k reg), z_1 = 0. Step-LISTA
has W_k = D and theta_k = alpha_k, coupled LISTA alpha_k = 1.
"""

import numpy as np

CHUNK = 2_000  # signals at a time, so that the evaluation stays small beside what it evaluates


def _in_chunks(function, X, *others):
    """function over rows of X and of the others, in double; the parts of its results are joined."""
    rows = [np.asarray(A) for A in (X, *others)]
    parts = [function(*(A[i:i + CHUNK].astype(np.float64) for A in rows)) for i in range(0, len(X), CHUNK)]
    return tuple(np.concatenate(part) for part in zip(*parts))


def lasso_certificate(X, D, Z, reg):
    """(objective, gap) per signal. The smallest objective possible lies in [objective - gap, objective]."""
    D = np.asarray(D, dtype=np.float64)

    def certificate(X, Z):
        R = X - Z @ D
        primal = 0.5 * np.sum(R**2, axis=1) + reg * np.abs(Z).sum(axis=1)
        scale = np.minimum(1.0, reg / np.maximum(np.abs(R @ D.T).max(axis=1), np.finfo(float).tiny))
        dual = 0.5 * np.sum(X**2, axis=1) - 0.5 * np.sum((X - scale[:, None] * R) ** 2, axis=1)
        return primal, primal - dual

    return _in_chunks(certificate, X, Z)


def relative_gap(X, gap):
    """Largest duality gap over the signals, each relative to its 1/2 ||x||^2."""
    return float(np.max(gap / (0.5 * np.sum(np.asarray(X, dtype=np.float64) ** 2, axis=1))))


def suboptimality(objective, lower_bound):
    """(mean F - mean F*) / mean F*, with F* replaced by a lower bound, so that it is never understated."""
    return float(np.mean(objective - lower_bound) / np.mean(lower_bound))


def relative_difference(A, reference):
    """||A - reference|| / ||reference||."""
    return float(np.linalg.norm(np.asarray(A, dtype=np.float64) - reference) / np.linalg.norm(reference))


def _momenta(layers):
    t = [1.0]
    for _ in range(layers):
        t.append((1 + np.sqrt(1 + 4 * t[-1] ** 2)) / 2)
    return [(now - 1) / after for now, after in zip(t, t[1:])]


def _forward(X, D, reg, L, steps, momenta):
    """All y_k and z_k: y[k], z[k] for k = 1..N at index k - 1."""
    ys, zs = [np.zeros((len(X), len(D)))], []
    for step, momentum in zip(steps, momenta):
        u = ys[-1] - (step / L) * (ys[-1] @ D - X) @ D.T
        zs.append(np.sign(u) * np.maximum(np.abs(u) - step * reg / L, 0))
        ys.append(zs[-1] + momentum * (zs[-1] - (zs[-2] if len(zs) > 1 else 0)))
    return ys, zs


def ista_codes(problem):
    """Codes after the problem's layers of ISTA."""
    D = problem.D.astype(np.float64)
    momenta = np.zeros(problem.layers)
    return _in_chunks(lambda X: (_forward(X, D, problem.reg, problem.lipschitz, problem.steps, momenta)[1][-1],), problem.X)[0]


def fista_gradient(problem):
    """Derivative by D of the mean over the signals of F(z_N), z_N after the problem's layers of FISTA; L is a constant."""
    D, L, momenta = problem.D.astype(np.float64), problem.lipschitz, _momenta(problem.layers)

    def gradient(X):
        ys, zs = _forward(X, D, problem.reg, L, problem.steps, momenta)
        R = zs[-1] @ D - X
        G, cotangents = zs[-1].T @ R, [np.zeros_like(z) for z in zs]
        cotangents[-1] += R @ D.T + problem.reg * np.sign(zs[-1])
        for k in range(problem.layers - 1, -1, -1):
            u = cotangents[k] * (zs[k] != 0)
            G -= problem.steps[k] / L * (ys[k].T @ (u @ D) + u.T @ (ys[k] @ D - X))
            y = u - problem.steps[k] / L * (u @ D) @ D.T
            if k >= 1:
                cotangents[k - 1] += (1 + momenta[k - 1]) * y
            if k >= 2:
                cotangents[k - 2] -= momenta[k - 1] * y
        return (G[None],)

    return _in_chunks(gradient, problem.X)[0].sum(axis=0) / len(problem.X)


def _network_gradient(problem, weights, alphas, thetas):
    """Derivatives of the mean over the signals of F(z_(N+1)): lists of those by W_k, alpha_k, theta_k."""
    D, reg, n_signals = problem.D.astype(np.float64), problem.reg, len(problem.X)

    def gradient(X):
        zs, rs = [np.zeros((len(X), len(D)))], []
        for W, alpha, theta in zip(weights, alphas, thetas):
            rs.append(zs[-1] @ D - X)
            a = zs[-1] - alpha * rs[-1] @ W.T
            zs.append(np.sign(a) * np.maximum(np.abs(a) - theta * reg, 0))
        z = ((zs[-1] @ D - X) @ D.T + reg * np.sign(zs[-1])) / n_signals
        parts = []
        for W, alpha, r, after in zip(weights[::-1], alphas[::-1], rs[::-1], zs[:0:-1]):
            h = z * (after != 0)
            parts.append((-alpha * h.T @ r, -np.sum(h @ W * r), -reg * np.sum(np.sign(after) * h)))
            z = h - alpha * (h @ W) @ D.T
        return tuple(np.stack(part)[None] for part in zip(*parts[::-1]))

    return [part.sum(axis=0) for part in _in_chunks(gradient, problem.X)]


def step_gradient(problem):
    """By the steps of Step-LISTA, at the problem's steps."""
    D, alphas = problem.D.astype(np.float64), problem.steps / problem.lipschitz
    _, by_alpha, by_theta = _network_gradient(problem, [D] * len(alphas), alphas, alphas)
    return by_alpha + by_theta


def coupled_gradient(problem):
    """By the weights, then the thresholds of coupled LISTA, at W_k = step_k D / L and theta_k = step_k / L."""
    alphas = problem.steps / problem.lipschitz
    weights = [alpha * problem.D.astype(np.float64) for alpha in alphas]
    by_weight, _, by_theta = _network_gradient(problem, weights, np.ones(len(alphas)), alphas)
    return np.concatenate([by_weight.ravel(), by_theta])

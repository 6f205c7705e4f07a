"""What frozen.py calls: families, which are generators of (name, function). A call runs before the next is named.

A keyword or attribute that riata renames changes here and nowhere else. Calls return results of riata as they are, files as
paths, and beside the result of a run the `objective` that it must reach again.
"""

import argparse
import fnmatch
import functools
import json
import os
import pickle
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np

import riata

COMMAND = Path(os.environ.get("RIATA_CLI", Path(__file__).resolve().parent.parent / "build/release/riata")).resolve()
FLOATS = ("float32", "float64")
SEED = 5  # with which no code of a float32 call stands so near its threshold that rounding decides
FAMILIES = []
PLACE = argparse.Namespace(stored=None, scratch=None)  # the folder of what is stored; one that is empty when a call begins


def family(*dtypes):
    """Registers a generator of calls, which gets the inputs in each of these precisions."""
    return lambda calls: FAMILIES.append((calls, dtypes))


def calls(pattern):
    """(name, function) of the calls that fit, in the order in which they may use each other's stored files."""
    for generate, dtypes in FAMILIES:
        for dtype in dtypes:
            for name, function in generate(given(dtype)):
                name += f"/{dtype}" * (len(dtypes) > 1)
                if fnmatch.fnmatch(name, pattern):
                    shutil.rmtree(PLACE.scratch, ignore_errors=True)
                    PLACE.scratch.mkdir(parents=True)
                    yield name, function


# What calls are given -------------------------------------------------------------------------------------------------


def make_inputs():
    random = np.random.default_rng(SEED)
    normal, uniform = random.standard_normal, random.random

    def unit(n_atoms, n_features):
        D = normal((n_atoms, n_features))
        return D / np.sqrt(np.square(D).sum(axis=1, keepdims=True))

    D, large, wide, start = unit(24, 16), unit(128, 64), unit(8200, 16), unit(24, 16)
    X = (normal((200, 24)) * (uniform((200, 24)) < 0.15)) @ D + 0.05 * normal((200, 16))
    many = (normal((300, 128)) * (uniform((300, 128)) < 0.05)) @ large + 0.02 * normal((300, 64))
    rows, columns = np.mgrid[:40, :40]
    clean = np.where((rows - 18) ** 2 + (columns - 22) ** 2 < 150, 190.0, 60.0) + 20.0 * ((rows // 5 + columns // 5) % 2)
    leadfield, mixing = normal((20, 90)) + 0.5 * normal((20, 1)), normal((20, 20))
    fields = sum(np.outer(leadfield[:, s], normal(8)) for s in (9, 10, 51)) + 0.3 * normal((20, 8))
    return dict(D=D, X=X, start=start, near=X + 0.1 * normal(X.shape),
                targets=normal((200, 24)) * (uniform((200, 24)) < 0.2),
                weights=0.5 + uniform(24), groups=np.arange(24) // 3, regs=0.05 + 0.3 * uniform(200), large=large, many=many,
                steps=0.7 + 0.6 * uniform(10), wide=wide, move=0.9 + 0.2 * uniform(5000), leadfield=leadfield, fields=fields,
                noise=mixing @ mixing.T / 20 + 0.1 * np.eye(20), clean=clean, noisy=clean + 15 * normal((40, 40)).clip(-3, 3))


@functools.cache
def given(dtype):
    """The stored inputs, floating-point ones in this precision."""
    with np.load(PLACE.stored / "inputs.npz") as arrays:
        return argparse.Namespace(dtype=dtype, **{k: a.astype(dtype) if a.dtype.kind == "f" else a for k, a in arrays.items()})


def filled(g, options):
    """Options with the input of that name for "$name"."""
    return {k: getattr(g, v[1:]) if isinstance(v, str) and v.startswith("$") else v for k, v in options.items()}


def stored(path):
    """A file that a call kept: in a comparison, one of the version that stored it."""
    return PLACE.stored / "files" / path


# Sparse coding --------------------------------------------------------------------------------------------------------

NET = dict(penalty="elastic_net", l1_ratio=0.7)
PENALTIES = {"l1": {}, "positive": dict(positive=True), "weighted": dict(weights="$weights"), "elastic_net": NET,
             "elastic-net-positive-weighted": NET | dict(positive=True, weights="$weights"),
             "group": dict(penalty="group", groups="$groups"), "l0": dict(penalty="l0")}
LASSO = ("l1", "positive", "weighted")
SOLVERS = ("cd", "fista", "ista", "oista", "backtracking")
METHODS = dict.fromkeys(PENALTIES, SOLVERS) | dict.fromkeys(LASSO, (*SOLVERS, "lars"))
METHODS |= {"group": ("fista", "ista", "backtracking"), "l0": ("ista",)}
FISTA = dict(method="fista")
ENCODE = {"number": dict(reg=0.2), "per-signal": dict(reg="$regs"), "tight": dict(tol=1e-12), "few-iterations": dict(max_iter=2),
          "warm": dict(init="$targets"), "warm-fista": FISTA | dict(init="$targets"), "one-thread": dict(n_threads=1),
          "csr": dict(output="csr"), "csr-l0": dict(output="csr", penalty="l0"), "greedy": FISTA | dict(momentum="greedy"),
          "chambolle_dossal": FISTA | dict(momentum="chambolle_dossal", momentum_delay=4.0),
          "never-restart": FISTA | dict(restart="never"), "restart-by-objective": FISTA | dict(restart="objective"),
          "oista-exact": dict(method="oista", support_norm="exact"),
          "backtracking-steps": dict(method="backtracking", shrink=0.7, first_step=0.9),
          **{f"record-{method}": dict(method=method, record=True) for method in SOLVERS[1:]}}


def stream(g, **options):
    told, blocks, X, Z = [], [], PLACE.scratch / "X.npy", PLACE.scratch / "Z.npz"
    np.save(X, g.X)
    options |= {"block_size": 128, "progress": lambda *counts: told.append(counts)}
    return {"into_a_call": riata.encode_stream(g.X, g.D, "0.1max", blocks.append, **options), "blocks": blocks,
            "into_a_file": riata.encode_stream(X, g.D, g.regs, Z, **options), "Z": Z, "told": told}


def certificates(g, **options):
    codes, has_gap = (g.X, g.D, np.abs(g.targets), g.regs), options.get("penalty") != "l0"
    return {"objective": riata.lasso_objective(*codes, **options), "kkt_violation": riata.kkt_violation(*codes, **options),
            "gap": riata.duality_gap(*codes, **options) if has_gap else None, "reg_max": riata.reg_max(g.X, g.D, **options)}


@family(*FLOATS)
def sparse_coding(g):
    for penalty, options in PENALTIES.items():
        options = filled(g, options)
        for method in METHODS[penalty]:
            yield f"encode/{penalty}/{method}", lambda: riata.encode(g.X, g.D, "0.1max", method, **options)
        yield f"encode_stream/{penalty}", lambda: stream(g, **options)
        yield f"certificates/{penalty}", lambda: certificates(g, **options)
        if penalty in LASSO:
            paths = {}, dict(reg_min=0.1), dict(max_knots=4)
            yield f"lasso_path/{penalty}", lambda: [riata.lasso_path(x, g.D, **options, **more) for x, more in zip(g.X, paths)]
    for name, options in ENCODE.items():
        yield f"encode/{name}", lambda: riata.encode(g.X, g.D, **{"reg": "0.1max"} | filled(g, options))
    yield "encode/large/cd", lambda: riata.encode(g.many, g.large, "0.2max", "cd")
    yield "encode/large/fista", lambda: riata.encode(g.many, g.large, "0.2max", "fista")
    yield "encode/many-atoms", lambda: riata.encode(g.X[:3], g.wide, "0.5max", tol=1e-4)  # where "auto" is FISTA,
    yield "encode/few-signals", lambda: riata.encode(g.X[:2], g.wide[:1100], "0.5max")  # and where it is the path
    for name, options in {"atoms": dict(n_nonzero=4), "tol": dict(tol=0.05), "both": dict(n_nonzero=3, tol=0.05)}.items():
        yield f"omp/{name}", lambda: riata.omp(g.X, g.D, **options)
    for size in (1, 3):
        yield f"joint_encode/{size}/fraction", lambda: riata.joint_encode(g.X, g.D, "0.3max", tol=1e-9, group_size=size)
        yield f"joint_encode/{size}/number", lambda: riata.joint_encode(g.X[:20], g.D, 1.5, group_size=size)
        yield f"joint_certificate/{size}", lambda: riata.joint_certificate(g.X, g.D, g.targets, 0.7, size)
        yield f"joint_reg_max/{size}", lambda: riata.joint_reg_max(g.X, g.D, size)


@family("float64")
def sources(g):
    kinds = ["mag" if i % 3 == 0 else "grad" for i in range(20)]
    singular = g.noise - np.outer(g.noise[:, 0], g.noise[0]) / g.noise[0, 0]
    yield "whitener", lambda: riata.whitener(singular, kinds, 1e-5)
    for penalty, n_orient in (("l1", 1), ("group", 1), ("group", 3)):
        options = dict(penalty=penalty, n_orient=n_orient)
        yield f"sparse_inverse/{penalty}-{n_orient}", lambda: [
            riata.sparse_inverse(g.fields, g.leadfield, g.noise, "0.4max", **options),
            riata.sparse_inverse(g.fields, g.leadfield, singular, 2.0, 0.0, channel_types=kinds, rank_tol=1e-5, **options)]


# Layers and derivatives -----------------------------------------------------------------------------------------------

LAYERS = {"plain": {}, "steps": dict(steps="$steps"), "positive": dict(positive=True), "weighted": dict(weights="$weights"),
          "lipschitz": dict(lipschitz=9.0), "extrapolated": dict(return_extrapolated=True)}
LOSSES = {"lasso": {}, "least-squares": dict(loss="least_squares", reduction="sum"), "target": dict(targets="$near"),
          "truncated": dict(backprop=3), "alternating": dict(backprop=0, return_codes=False)}
STABILITY = {"estimated": {}, "all": dict(directions=None, return_errors=True), "long-steps": dict(lipschitz=4.0)}


def one_by_one(g, options):
    encoder = pickle.loads(pickle.dumps(riata.UnrolledEncoder(g.D, 10, **options)))
    return np.array([encoder.encode(x, reg) for x, reg in zip(g.X[:20], g.regs)])


@family(*FLOATS)
def unrolled(g):
    for method in ("fista", "ista"):
        for name, options in LAYERS.items():
            options = filled(g, options) | {"algorithm": method}
            yield f"UnrolledEncoder/{method}/{name}", lambda: one_by_one(g, options)
            yield f"unrolled_encode/{method}/{name}", lambda: riata.unrolled_encode(g.X, g.D, "0.2max", 10, **options)
            yield f"unrolled_encode/{method}/{name}/warm", lambda: riata.unrolled_encode(
                g.X, g.D, g.regs, 10, init=g.targets, **options)
            yield f"code_jacobian/{method}/{name}", lambda: [
                riata.code_jacobian(g.X[0], g.D, "0.2max", 10, 3, backprop=backprop, **options) for backprop in (None, 4)]
            for loss, more in LOSSES.items():
                more = options | filled(g, more) | {"wrt": ("dictionary", "steps", "reg", "signals")}
                yield f"unrolled_gradient/{method}/{name}/{loss}", lambda: [
                    riata.unrolled_gradient(g.X, g.D, reg, 10, **more) for reg in (0.1, g.regs)]
        for name, options in STABILITY.items():
            options = options | {"algorithm": method}
            yield f"unrolled_stability/{method}/{name}", lambda: riata.unrolled_stability(g.X[:9], g.D, 0.2, 40, **options)
        yield f"unrolled_vjp/{method}", lambda: riata._riata.unrolled_vjp(  # what riata.torch differentiates layers with
            g.X, g.D, 0.2, g.targets, {"n_layers": 10, "algorithm": method, "backprop": None})
    for reg in ("0.05max", "0.5max"):  # codes that are nearly dense, and sparse ones
        yield f"unrolled_gradient/large/{reg}", lambda: riata.unrolled_gradient(g.many, g.large, reg, 20)


@family(*FLOATS)
def exact(g):
    for penalty in LASSO:
        options = filled(g, PENALTIES[penalty])
        yield f"code_jacobian/exact/{penalty}", lambda: riata.code_jacobian(g.X[0], g.D, "0.2max", None, 3, **options)
        yield f"implicit_gradient/{penalty}", lambda: riata.implicit_gradient(g.X, g.D, g.regs, g.targets, **options)
        yield f"implicit_gradient/{penalty}/at-codes", lambda: riata.implicit_gradient(
            g.X, g.D, 0.2, g.targets, np.abs(g.targets), **options)
        yield f"implicit_jvp/{penalty}/signals", lambda: riata.implicit_jvp(g.X, g.D, g.regs, dX=g.near, **options)
        yield f"implicit_jvp/{penalty}/all", lambda: riata.implicit_jvp(g.X, g.D, 0.2, g.near, g.start, 1.0, **options)
        held_out = g.near[:, :9].copy(), g.D[:, :9].copy()
        yield f"hypergradient/{penalty}", lambda: [
            riata.hypergradient(g.X, g.D, 0.2, "least_squares", g.near, **options),
            riata.hypergradient(g.X, g.D, g.regs, "least_squares", *held_out, **options),
            riata.hypergradient(g.X, g.D, "0.1max", lambda Z: (float(np.square(Z).sum()), 2 * Z), **options)]


# Networks -------------------------------------------------------------------------------------------------------------

ATOM, SELECTION = dict(threshold="atom"), dict(support_selection=(15, 40))
NETWORKS = {"lista": {}, "lista-atom": ATOM, "coupled": {}, "coupled-atom": ATOM, "coupled-selection": SELECTION, "tied": {},
            "tied-atom-selection": ATOM | SELECTION, "alista": {}, "alista-selection": SELECTION, "step": {}, "hessian": {},
            "hessian-atom": ATOM, "first_step": {}, "facnet": {}, "iht": {}, "lamp": {}, "group": dict(groups="$groups")}
GUARDS = {"certify": {}, "finish": dict(finish=1e-5), "safeguard": dict(safeguard=True), "both": dict(safeguard=True, finish=0.1)}
ADAM = dict(optimizer="adam", batch_size=64, learning_rate=1e-3, random_state=3)
FITS = {"supervised": dict(loss="supervised", targets="$targets"), "semi": dict(loss="semi"), "recursive": dict(mode="recursive"),
        "greedy": dict(mode="greedy"), "recursive-semi-adam": ADAM | dict(mode="recursive", loss="semi", max_iter=40),
        "validated": ADAM | dict(validation=0.2, validate_every=3, patience=9, max_iter=60, learning_rate=1e-2),
        "tol": dict(tol=1e-3, max_iter=99), "number": dict(reg=0.25, learning_rate=0.1), "one-thread": dict(n_threads=1)}
LISTA = {"certified": dict(certify=True, finish=1e-4), "supervised": dict(loss="supervised", transform_reg=0.2)}
RESUMED = {"step": {}, "coupled": dict(mode="recursive"), "lista": ADAM, "tied": ADAM | dict(mode="recursive")}


def network(g, case, moved=False, **more):
    """At the start of its kind; or with every parameter moved a little, each its own way."""
    net = riata.Network(case.split("-")[0], g.D, 4, **filled(g, NETWORKS[case]), **more)
    if moved:
        parameters = {name: p * np.resize(g.move, p.shape) for name, p in net.parameters().items()}
        net.set_parameters({name: (p + p.T) / 2 if name.endswith("hessian") else p for name, p in parameters.items()})
    return net


def forward(g, net):
    names = ("kind", "n_layers", "threshold", "groups", "support_selection", "lipschitz", "dictionary")
    return {"about": {name: getattr(net, name) for name in names}, "parameters": net.parameters(), "codes": net.encode(g.X, 0.2),
            "outputs": net.layer_outputs(g.X, g.regs), "two_layers": net.encode(g.X, "0.3max", 2, init=g.targets),
            "losses": [net.loss(g.X, 0.2), net.loss(g.X, g.regs, g.targets)]}


def gradients(g, net):
    moving = net.gradient(g.X, 0.2)
    every = (*moving.parameters, "reg", "signals", "codes")
    return [moving, net.gradient(g.X, g.regs, every), net.gradient(g.X, 0.2, targets=g.targets),
            net.gradient(g.X, "0.3max", every, cotangent=g.targets), net.gradient(g.X, 0.2, cotangent=g.targets, n_layers=3)]


def trained(g, net, **options):
    told, names = [], ("phase", "n_layers", "iteration", "value", "ista", "optimum", "step")
    watch = {"callback": lambda info: told.append([getattr(info, name) for name in names])}
    result = net.fit(g.X, **{"reg": "0.3max", "max_iter": 15} | watch | filled(g, options))
    return {"result": result, "objective": result.value, "parameters": net.parameters(), "codes": net.encode(g.X),
            "told": np.array(told), "reg": net.reg, "metadata": net.metadata}


def resumed(run, **options):
    """A run that its callback ends early, the same from its checkpoint on, and the same without a break."""
    kept = options | dict(checkpoint=PLACE.scratch / "c.checkpoint", checkpoint_every=2)
    cut = run(**kept, callback=lambda info: info.iteration >= 7)
    return {"cut": cut, "resumed": run(**kept, resume=True), "whole": run(**options)}


def estimated(g, model):
    """What an estimator learns: all that ends in _, and what it makes of signals."""
    codes = model.fit(g.X, g.targets).transform(g.near)
    fitted = {name: v for name, v in vars(model).items() if name.endswith("_") and not isinstance(v, riata.Network)}
    return {**fitted, "objective": fitted.get("loss_", fitted.get("error_", [0.0]))[-1], "codes": codes,
            "signals": model.inverse_transform(codes)}


@family(*FLOATS)
def networks(g):
    for case in NETWORKS:
        yield f"network/{case}/start", lambda: forward(g, network(g, case))
        yield f"network/{case}/moved", lambda: forward(g, network(g, case, True))
        yield f"network/{case}/gradient", lambda: gradients(g, network(g, case, True))
        for name, options in GUARDS.items():
            yield f"network/{case}/{name}", lambda: network(g, case, True).encode(g.X, "0.3max", certify=True, **options)
        yield f"network/{case}/line-search", lambda: trained(g, network(g, case))
        yield f"network/{case}/adam", lambda: trained(g, network(g, case), **ADAM)
    for kind in ("step", "coupled"):
        for name, options in FITS.items():
            yield f"fit/{kind}/{name}", lambda: trained(g, network(g, kind), **options)
    for kind in ("tied", "alista", "step", "first_step"):
        yield f"fit/{kind}/positive-steps", lambda: trained(g, network(g, kind, lipschitz=1.5), positive_steps=True)
    for kind, options in RESUMED.items():
        yield f"fit/{kind}/resumed", lambda: resumed(lambda **more: trained(g, network(g, kind), **more), **options)
    for name, options in LISTA.items():
        yield f"LISTA/{name}", lambda: estimated(g, riata.LISTA(g.D, kind="coupled", n_layers=4, max_iter=10, **options))
    yield "analytic_weight", lambda: [riata.analytic_weight(D) for D in (g.D, g.large, g.D[:9])]


# Learning -------------------------------------------------------------------------------------------------------------

EXACT, STEPS = dict(method="alternating_exact"), dict(learn_steps=True, max_iter=40, tol=1e-3)
TRUNCATED, BALL = dict(method="truncated", backprop=3), dict(constraint="unit_ball")
DEAD = dict(n_atoms=60, init="random", reg="0.7max", max_iter=12)  # most of these atoms are never used
LEARN = {"unrolled": {}, "alternating": dict(method="alternating"), "truncated": TRUNCATED, "exact": EXACT, "steps": STEPS,
         "truncated-steps": TRUNCATED | STEPS, "ball": BALL, "ball-exact": BALL | EXACT, "ball-steps": BALL | STEPS,
         "positive": dict(positive=True), "positive-exact": EXACT | dict(positive=True), "weighted": dict(weights="$weights"),
         "ista": dict(algorithm="ista"), "least-squares": dict(loss="least_squares", reg=0.1), "sum": dict(reduction="sum"),
         "published": dict(lipschitz_bound="frobenius", return_extrapolated=True, max_iter=5), "dct": dict(init="dct"),
         "random": dict(init="random", random_state=5), "array": dict(init="$start"), "centre": dict(centre=True),
         "replace": DEAD, "keep": DEAD | dict(replace_atoms=False), "long": dict(max_iter=80), "one-thread": dict(n_threads=1)}
FITTED = {"unrolled": {}, "alternating": {}, "truncated": dict(backprop=2), "alternating_exact": {}}
ALGORITHMS = ("lasso_cd", "lasso_fista", "omp")


def learned(g, **options):
    told = []
    watch = {"callback": lambda info: told.append((info.phase, info.iteration, info.value, info.step))}
    options = {"n_atoms": 24, "reg": "0.2max", "n_layers": 8, "max_iter": 20} | watch | filled(g, options)
    result = riata.learn_dictionary(g.X, **options)
    return {"result": result, "objective": result.history.value[-1], "told": np.array(told),
            "score": riata.recovery_score(result.dictionary, g.D)}


@family(*FLOATS)
def learning(g):
    for name, options in LEARN.items():
        yield f"learn/{name}", lambda: learned(g, **options)
    for name in ("unrolled", "exact", "steps", "ball-steps"):
        yield f"learn/{name}/resumed", lambda: resumed(functools.partial(learned, g), **LEARN[name])
    for method, options in FITTED.items():
        options = options | dict(alpha=0.1, max_iter=10, n_layers=8, random_state=1, fit_algorithm=method)
        for algorithm in (*ALGORITHMS, "unrolled"):
            yield f"DictionaryLearning/{method}/{algorithm}", lambda: estimated(
                g, riata.DictionaryLearning(24, transform_algorithm=algorithm, **options))
    for algorithm in ALGORITHMS:
        yield f"SparseCoder/{algorithm}", lambda: estimated(
            g, riata.SparseCoder(g.D, transform_algorithm=algorithm, transform_alpha="0.2max", split_sign=True))


# Pictures and generators ----------------------------------------------------------------------------------------------

PICTURES = {**dict.fromkeys(("float64", "float32", "uint8", "uint16", "colour"), {}), "dct": dict(learn=False),
            "plain": dict(plain=True, n_atoms=20), "alternating": dict(method="alternating"), "estimated": dict(sigma=None),
            "reg": dict(n_layers=6, reg=20.0)}


def denoised(g, name):
    pictures = [np.rint(picture) * (257 if name == "uint16" else 1) for picture in (g.noisy, g.clean)]
    if name in ("float32", "uint8", "uint16"):
        pictures = [picture.astype(name) for picture in pictures]
    if name == "colour":
        pictures = [np.stack([picture, 255 - picture, picture.T], axis=2) for picture in pictures]
    result = riata.denoise(pictures[0], reference=pictures[1], **{"sigma": 15.0, "n_atoms": 32, "patch": 6} | PICTURES[name])
    return {"result": result, "objective": result.psnr_out}


@family("float64")
def denoising(g):
    for name in PICTURES:
        yield f"denoise/{name}", lambda: denoised(g, name)


@family(*FLOATS)
def others(g):
    data = riata.datasets
    yield "plot/mosaic", lambda: riata.plot.mosaic(g.D, (2, 8), columns=5)
    yield "extract_patches", lambda: riata.extract_patches(g.noisy, 6, 4)
    yield "average_patches", lambda: riata.average_patches(riata.extract_patches(g.noisy, 6, 4), (40, 40), 4)
    yield "psnr", lambda: riata.psnr(g.noisy, g.clean)
    yield "datasets/planted", lambda: data.planted(12, 20, 150, 0.2, 0.05, 7, g.dtype)
    yield "datasets/gaussian_dictionary", lambda: data.gaussian_dictionary(12, 20, 7, g.dtype)
    yield "datasets/dct_dictionary", lambda: [data.dct_dictionary(*sizes, g.dtype) for sizes in ((16, 30), (10, 10))]
    yield "datasets/perturbed", lambda: data.perturbed(g.D, 0.4, 7)
    for law in ("gaussian", "coding", "sphere"):
        yield f"datasets/{law}", lambda: data.signals_on_b_infinity(g.D, 20, law, 7)
    yield "datasets/scaled", lambda: data.scale_to_b_infinity(g.X, D=g.D)
    yield "recovery_score", lambda: riata.recovery_score(g.start, g.D)


# Files: those that are saved now, and those that were kept ------------------------------------------------------------


def save_model(g):
    found, path = learned(g, **STEPS), PLACE.scratch / "model.safetensors"
    riata.save_model(path, found["result"], metadata={"note": "frozen"})
    riata.save_model(path.with_name("plain.safetensors"), g.D)
    return {"model": path, "plain": path.with_name("plain.safetensors"), "objective": found["objective"]}


def save_network(g, case):
    net, path = network(g, case), PLACE.scratch / "network.safetensors"
    value = net.fit(g.X, "0.3max", max_iter=5).value
    net.save(path)
    net.save_parameters(path.with_name("parameters.npz"))
    return {"network": path, "parameters": path.with_name("parameters.npz"), "objective": value}


def load_model(g):
    model = riata.load_model(stored(f"save/model/{g.dtype}/model.safetensors"))
    return [model, riata.unrolled_encode(g.X, model.dictionary, 0.2, len(model.steps), steps=model.steps)]


def load_network(g, case):
    folder, other = stored(f"save/network/{case}/{g.dtype}"), network(g, case)
    other.load_parameters(folder / "parameters.npz")
    net = riata.load_network(folder / "network.safetensors")
    return {"network": [net.parameters(), net.reg, net.metadata], "copy": pickle.loads(pickle.dumps(net)).encode(g.X),
            "codes": net.encode(g.X), "by_parameters": other.encode(g.X, 0.2), "objective": net.loss(g.X, 0.2)}


@family(*FLOATS)
def files(g):
    yield "save/model", lambda: save_model(g)
    yield "load/model", lambda: load_model(g)
    for case in NETWORKS:
        yield f"save/network/{case}", lambda: save_network(g, case)
        yield f"load/network/{case}", lambda: load_network(g, case)


# The command ----------------------------------------------------------------------------------------------------------

ENCODE_D = "encode D.npy X.npy -o Z.npz --reg 0.1max"
LEARN_X = "learn X.npy -o m.safetensors --n-atoms 24 --reg 0.2max --n-layers 8"
TRAIN_X = "train --dictionary D.npy --data X.npy -o n.safetensors --n-layers 4 --max-iter 9"
COMMANDS = {
    "encode/model": ["encode model.safetensors X.npy -o Z.npz"],
    "encode/layers": ["encode model.safetensors X.npy -o Z.npy --n-layers 8"],
    "encode/float32": ["encode D32.npy X32.npy -o Z.npz --reg 0.1 --method fista --momentum greedy --positive --centre"],
    "encode/elastic-net": [f"{ENCODE_D} --penalty elastic_net --l1-ratio 0.7"],
    "encode/group": [f"{ENCODE_D} --penalty group --groups groups.npy"],
    "encode/l0": [f"{ENCODE_D} --penalty l0"],
    "encode/stream": [f"{ENCODE_D} --stream"],
    "encode/picture": ["encode D.npy noisy.png -o Z.npz --reg 0.2max --centre"],
    "learn/steps": [f"{LEARN_X} --learn-steps --tol 1e-3 --reference D.npy"],
    "learn/exact": [f"{LEARN_X} --method alternating_exact --constraint unit_ball --positive --max-iter 20"],
    "learn/resumed": [f"{LEARN_X} --checkpoint c --max-iter 6", f"{LEARN_X} --checkpoint c --resume --max-iter 20"],
    "learn/picture": ["learn noisy.png -o m.safetensors --n-atoms 30 --patch 5 --reg 0.2max --centre --init dct --max-iter 9"],
    "train/step": [f"{TRAIN_X} --kind step --reg 0.3max"],
    "train/adam": [f"{TRAIN_X} --kind coupled --threshold atom --reg 0.3 --optimizer adam --mode recursive --loss semi"],
    "train/group": [f"{TRAIN_X} --kind group --groups groups.npy --reg 0.3max"],
    "train/start": ["train --init network.safetensors --max-iter 0 -o p.npz", f"{TRAIN_X} --kind coupled --init p.npz --reg 0.2"],
    "infer/plain": ["infer network.safetensors X.npy -o Z.npy"],
    "infer/layers": ["infer network.safetensors X.npy -o Z.npz --reg 0.2max --n-layers 3"],
    "infer/finish": ["infer network.safetensors X.npy -o Z.npz --finish 1e-5 --safeguard --certify"],
    "denoise/learned": ["denoise noisy.png -o c.png --sigma 15 --n-atoms 32 --patch 6 --reference clean.png"
                        " --model-out m.safetensors"],
    "denoise/dct": ["denoise noisy.png -o c.tif --dct --patch 6 --n-atoms 49 --reference clean.png"],
    "info": ["info", "info model.safetensors network.safetensors X.npy noisy.png"]}


def png(pixels):
    def chunk(name, data):
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    rows = b"".join(b"\0" + row.tobytes() for row in np.rint(pixels).astype(np.uint8))
    header = b"".join(n.to_bytes(4, "big") for n in pixels.shape[::-1]) + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def command(g, lines):
    folder, single = PLACE.scratch, given("float32")
    for name, values in {"X": g.X, "D": g.D, "X32": single.X, "D32": single.D, "groups": g.groups}.items():
        np.save(folder / f"{name}.npy", values)
    (folder / "noisy.png").write_bytes(png(g.noisy))
    (folder / "clean.png").write_bytes(png(g.clean))
    shutil.copy(stored("save/model/float64/model.safetensors"), folder)
    shutil.copy(stored("save/network/coupled/float64/network.safetensors"), folder)
    before, said = set(folder.iterdir()), []
    for line in lines:
        done = subprocess.run([COMMAND, *line.split(), "--json"], cwd=folder, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        said.append(json.loads(done.stdout.splitlines()[-1]))
    written = {path.name: path for path in sorted(set(folder.iterdir()) - before) if path.name != "c"}
    objective = [said[-1][key] for key in ("objective", "value", "psnr_out") if key in said[-1]]
    return {"said": said, "objective": objective, **written}


@family("float64")
def commands(g):
    for name, lines in COMMANDS.items():
        yield f"command/{name}", lambda: command(g, lines)

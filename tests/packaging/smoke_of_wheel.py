"""An installed wheel, run by the Python that has it: tools/test_wheel.sh and cibuildwheel call it. Twenty calls, the command, and
that NumPy, SciPy and PyTorch (where it is) compute after them what they computed before, on as many threads.

    python tests/packaging/smoke_of_wheel.py [riata-first]      imports riata before its neighbours
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

if "riata-first" in sys.argv:
    import riata
import numpy as np
import scipy.linalg
import threadpoolctl

torch = None
if importlib.util.find_spec("torch"):
    import torch

PICTURE = Path(__file__).resolve().parents[2] / "examples/images/coins.png"
COMMAND = Path(sysconfig.get_path("scripts"), "riata")


def neighbours():
    """What they compute, and with how many threads."""
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((2, 500, 500))
    found = {"numpy": A @ B, "scipy": scipy.linalg.eigh(A @ A.T)[0]}
    if torch is not None:
        found["torch"] = (torch.from_numpy(A).float() @ torch.from_numpy(B).float()).numpy()
        found["torch's threads"] = torch.get_num_threads()
    for pool in threadpoolctl.threadpool_info():
        if "/riata.libs/" not in pool["filepath"]:
            found[pool["filepath"]] = pool["num_threads"]
    return found


def twenty_calls(folder):
    problem = riata.datasets.planted(n_features=12, n_atoms=20, n_signals=200, density=0.1)
    D, X, reg = problem.dictionary, problem.signals, 0.1
    allowed = 1e-6 * 0.5 * np.sum(X**2, axis=1) + 1e-12
    coded = riata.encode(X, D, reg)                                                             # 1
    assert np.all(coded.gap <= allowed)
    assert np.all(riata.encode(X, D, reg, method="fista").gap <= allowed)                       # 2
    assert np.all(riata.duality_gap(X, D, coded.codes, reg) <= allowed)                         # 3
    assert np.all(riata.kkt_violation(X, D, coded.codes, reg) < 0.1)                            # 4
    assert np.allclose(riata.lasso_objective(X, D, coded.codes, reg), coded.objective)          # 5
    assert np.all(riata.encode(X, D, riata.reg_max(X, D)).codes == 0)                           # 6
    assert len(riata.lasso_path(X[0], D).regs) > 1                                              # 7
    assert np.all(np.count_nonzero(riata.omp(X, D, n_nonzero=3).codes, axis=1) <= 3)            # 8
    many = riata.unrolled_encode(X, D, reg, n_layers=2000)                                      # 9
    assert np.allclose(riata.lasso_objective(X, D, many, reg), coded.objective, rtol=1e-4)
    assert riata.unrolled_gradient(X, D, reg, n_layers=5).dictionary.shape == D.shape           # 10
    learned = riata.learn_dictionary(X, 20, reg, n_layers=5, max_iter=3)                        # 11
    assert 0 < riata.recovery_score(learned.dictionary, D) <= 1                                 # 12
    riata.save_model(folder / "model.safetensors", learned)                                     # 13
    assert np.array_equal(riata.load_model(folder / "model.safetensors").dictionary, learned.dictionary)  # 14
    net = riata.Network("step", D, n_layers=3)
    net.fit(X, reg, max_iter=2)                                                                 # 15
    net.save(folder / "net.safetensors")
    assert np.array_equal(riata.load_network(folder / "net.safetensors").encode(X), net.encode(X))  # 16
    assert riata.joint_encode(X[:5], D, 0.5).codes.shape == (5, 20)                             # 17
    assert np.isfinite(riata.hypergradient(X, D, reg, X_held_out=X).reg).all()                               # 18
    noisy = np.random.default_rng(0).normal(100, 10, (24, 24))
    assert riata.denoise(noisy, sigma=10, n_layers=2).image.shape == (24, 24)                   # 19
    codes = riata.SparseCoder(D, transform_alpha=reg).fit(X).transform(X)                                  # 20
    assert np.allclose(codes, coded.codes, atol=1e-3)
    return D, X


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def the_command(folder, D, X, version):
    assert run(COMMAND, "--version").split()[-1] == version
    np.save(folder / "D.npy", D)
    np.save(folder / "X.npy", X)
    run(COMMAND, "encode", folder / "D.npy", folder / "X.npy", "--reg", "0.1", "-o", folder / "Z.npy", "--quiet")
    assert np.array_equal(np.load(folder / "Z.npy"), riata.encode(X, D, 0.1).codes)
    for suffix in (".jpg", ".png", ".tif"):
        out = folder / f"clean{suffix}"
        run(COMMAND, "denoise", PICTURE, "-o", out, "--sigma", 10, "--dct", "--quiet")
        assert "303" in run(COMMAND, "info", out) or "384" in run(COMMAND, "info", out)


def all_are_its_own(package):
    """Of the libraries that a wheel brings, none may be the system's: on other machines it is not there."""
    brought = r"\S*/lib(?:openblas|png|jpeg|tiff|gomp|gfortran|quadmath|fmt|lzma|zstd|deflate|webp|Lerc|jbig)[^/\s]*\.so\S*"
    loaded = set(re.findall(brought, Path("/proc/self/maps").read_text()))
    of_command = subprocess.run([package / "riata"], env=os.environ | {"LD_TRACE_LOADED_OBJECTS": "1"},
                                capture_output=True, text=True, check=True).stdout
    for_riata = {library for library in loaded if "riata.libs" in library} | set(re.findall(brought, of_command))
    foreign = {library for library in for_riata if not library.startswith(sys.prefix)}
    # What the interpreter itself or its neighbours have loaded is theirs.
    assert not foreign, foreign
    assert any("openblas" in library for library in for_riata), for_riata


def seconds_of_import():
    """Of processor time beyond NumPy's, the best of several: the clock tells how busy the machine is, too."""
    best = {}
    for _ in range(7):
        for modules in ("numpy", "numpy, riata"):
            child = os.posix_spawn(sys.executable, [sys.executable, "-c", f"import {modules}"], os.environ)
            used = os.wait4(child, 0)[2]
            best[modules] = min(best.get(modules, 9), used.ru_utime + used.ru_stime)
    return best["numpy, riata"] - best["numpy"]


before = neighbours()
import riata  # noqa: E402

package = Path(riata.__file__).parent
version = importlib.metadata.version("riata")
assert package.is_relative_to(sysconfig.get_path("platlib")), package
assert riata.__version__ == version
assert (package / "py.typed").exists() and (package / "_riata.pyi").exists(), sorted(package.iterdir())
with tempfile.TemporaryDirectory() as scratch:
    D, X = twenty_calls(Path(scratch))
    the_command(Path(scratch), D, X, version)
after = neighbours()
assert before.keys() <= after.keys()
for name in before:
    assert np.array_equal(before[name], after[name]), name
repaired = package.with_name("riata.libs").exists()
if repaired:
    all_are_its_own(package)
took = seconds_of_import()
assert took < 0.1, f"import riata takes {took:.3f} s beyond NumPy"
print(f"riata {version}, Python {sys.version.split()[0]}: twenty calls, the command; NumPy, SciPy"
      f"{', PyTorch' if torch else ''} as before; its own libraries: {'yes' if repaired else 'no'}; "
      f"import {took * 1000:.0f} ms beyond NumPy; compiler here: {shutil.which('c++') or 'none'}")

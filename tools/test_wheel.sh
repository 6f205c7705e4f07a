#!/bin/bash
# pip install . into a fresh environment; then import the package and run the command that came along.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install -q .
cd "$scratch"
version=$("$scratch/venv/bin/riata" --version)
"$scratch/venv/bin/python" - "$version" <<'PYTHON'
import importlib.metadata
import pathlib
import sys

import numpy as np
import riata

version = importlib.metadata.version("riata")
assert version in sys.argv[1], (version, sys.argv[1])
package = pathlib.Path(riata.__file__).parent
assert "site-packages" in str(package), package
assert (package / "py.typed").exists() and (package / "_riata.pyi").exists(), sorted(package.iterdir())

rng = np.random.default_rng(0)
D = rng.standard_normal((16, 8))
D /= np.linalg.norm(D, axis=1, keepdims=True)
X = rng.standard_normal((10, 8))
assert np.all(riata.encode(X, D, 0.1).gap <= 1e-6 * 0.5 * np.sum(X**2, axis=1))
print("wheel: riata", version, "installs, imports, encodes; its command runs")
PYTHON

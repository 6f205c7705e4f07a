"""Installs the peers one by one into the environment that runs this. One that does not install stops nobody: its reason
is kept and becomes its row in the results. What brings a CUDA runtime of several gigabytes is not installed unasked.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

REASONS = Path(sys.prefix) / "not_installed.json"


def not_installed():
    """Package name -> why it is absent."""
    return json.loads(REASONS.read_text()) if REASONS.exists() else {}


def present(requirement):
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def pip(*arguments):
    return subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], capture_output=True, text=True)


def complaint(run):
    lines = [line.strip() for line in run.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return errors[0] if errors else f"pip ended with {run.returncode}"


def cuda_packages(report):
    """Packages of a CUDA runtime among those that pip's report would install."""
    names = [item["metadata"]["name"].lower() for item in report["install"]]
    return [name for name in names if name.startswith(("nvidia-", "cuda-"))]


def install(requirement, cuda):
    """None, or why it is not there now."""
    if present(requirement):
        return None
    trial = pip("--dry-run", "--report", "-", str(requirement))
    if trial.returncode:
        return complaint(trial)
    if (unwanted := cuda_packages(json.loads(trial.stdout))) and not cuda:
        return (f"{requirement} would bring a CUDA runtime of several gigabytes ({len(unwanted)} packages): "
                f"name a CPU build with TORCH=..., or ask for it with CUDA=yes")
    run = pip(str(requirement))
    return complaint(run) if run.returncode else None


def main():
    from peers import MODULES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("only", nargs="*", help="packages to install (all); the exit status tells whether they are there")
    parser.add_argument("--torch", default="torch", help="which PyTorch, as pip understands it")
    parser.add_argument("--cuda", action="store_true", help="install a CUDA build where pip would")
    args = parser.parse_args()

    reasons = not_installed()
    for name in args.only or [module.REQUIREMENT for module in MODULES]:
        reason = install(Requirement(args.torch if name == "torch" else name), args.cuda)
        if reason:
            reasons[name] = reason
            print(f"{name} is not installed: {reason}", file=sys.stderr)
        else:
            reasons.pop(name, None)
    REASONS.write_text(json.dumps(reasons, indent=1))
    return 1 if reasons.keys() & set(args.only) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Where a row comes from."""

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def version_of(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def provenance():
    return {"commit": commit(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "processor": processor(),
            "cores": os.cpu_count(), "compiler": compiler(), "python": platform.python_version(),
            "numpy": version_of("numpy"), "scipy": version_of("scipy")}


def commit():
    described = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return described.stdout.strip() or None


def processor():
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in text), "")
    return f"{model[1]}, {widest}" if model else platform.processor()


def compiler():
    """Compiler and flags of the release build, from its cache."""
    cache = ROOT / "build/release/CMakeCache.txt"
    if not cache.exists():
        return None
    entry = dict(re.findall(r"^(CMAKE_CXX_(?:COMPILER|FLAGS|FLAGS_RELEASE)):\w+=(.*)$", cache.read_text(), re.M))
    version = subprocess.run([entry["CMAKE_CXX_COMPILER"], "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    return f"{version}, {entry['CMAKE_CXX_FLAGS']} {entry['CMAKE_CXX_FLAGS_RELEASE']}".strip()

#!/usr/bin/env python3
"""Runs every test there is, goes on after a failure, and closes with one line: N passed, N failed, N skipped.

`make test` calls it after the build, `make test-long` with --long; with --sanitizer asan|tsan it runs what that preset built.
"""

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shell(command, **environment):
    print("\n$", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment).returncode


def counts_of(report):
    """(passed, failed, skipped) of a JUnit report, as written by ctest and pytest alike."""
    cases = list(xml.parse(report).iter("testcase"))
    failed = sum(c.find("failure") is not None or c.find("error") is not None for c in cases)
    skipped = sum(c.find("skipped") is not None for c in cases)
    return len(cases) - failed - skipped, failed, skipped


def run(command, report, **environment):
    """Runs one test runner; one that fails without a readable report counts as one failure."""
    report.unlink(missing_ok=True)
    status = shell(command, **environment)
    try:
        passed, failed, skipped = counts_of(report)
    except (OSError, xml.ParseError):
        passed, failed, skipped = 0, 0, 0
    return passed, max(failed, int(status != 0)), skipped


def run_ctest(preset, reports):
    ctest = "/usr/bin/ctest" if os.path.exists("/usr/bin/ctest") else "ctest"
    jobs = str(os.cpu_count() or 1)
    return run([ctest, "--preset", preset, "--parallel", jobs, "--no-tests=error", "--output-junit", reports / "ctest.xml"],
               reports / "ctest.xml")


def run_pytest(folders, reports, selected="not long", **environment):
    folders = [f for f in folders if any((ROOT / f).glob("test_*.py"))]
    beside = ["-n", str(os.cpu_count() or 1), "--dist", "worksteal"]
    report = reports / "pytest.xml"
    return run([sys.executable, "-m", "pytest", "-q", "--durations=5", "-m", selected, *beside, f"--junitxml={report}", *folders],
               report, OMP_WAIT_POLICY="passive", **environment)  # spinning would take the other test's core


def sanitized_python():
    """The environment in which a plain Python can import an extension built with AddressSanitizer."""
    runtimes = [subprocess.check_output(["g++", f"-print-file-name={name}"], text=True).strip()
                for name in ("libasan.so", "libubsan.so")]
    return {
        "LD_PRELOAD": ":".join(runtimes),
        # Python itself leaks at exit; leaks of ours are looked for in the C++ tests.
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(ROOT / "build/asan/python"),
        "RIATA_CLI": str(ROOT / "build/asan/riata"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sanitizer", choices=["asan", "tsan"])
    parser.add_argument("--long", action="store_true", help="larger sizes, and what `make test` leaves out")
    arguments = parser.parse_args()
    preset = arguments.sanitizer or "release"
    if arguments.long:
        os.environ |= {"RIATA_LONG_TESTS": "1", "RIATA_KILLS": "300"}
    reports = ROOT / "build" / preset / "reports"
    reports.mkdir(parents=True, exist_ok=True)

    start = time.monotonic()
    results = {}
    if preset == "release":
        broken = shell([sys.executable, "tools/check_layering.py"])
        results["layering"] = (1 - broken, broken, 0)
    results["C++ and examples (ctest)"] = run_ctest(preset, reports)
    if preset == "release":
        results["command, Python, package, experiments, bench (pytest)"] = run_pytest(
            ["tests/packaging", "tests/cli", "tests/python", "tests/experiments", "tests/bench", "tests/torch"],
            reports, "long or not long" if arguments.long else "not long")
    elif preset == "asan":
        results["command, Python (pytest)"] = run_pytest(["tests/cli", "tests/python"], reports, **sanitized_python())

    print(f"\n{time.monotonic() - start:.0f} s")
    for name, (passed, failed, skipped) in results.items():
        print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped")
    passed, failed, skipped = (sum(column) for column in zip(*results.values()))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

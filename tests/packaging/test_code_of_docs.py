"""The code of README and docs, as printed: what a reader copies compiles with #include <riata/riata.hpp>, and runs."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import riata

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def program_of(blocks):
    """A page's blocks one after the other; those that are no declarations, which their indentation tells, stand in main()."""
    text, statements = "", ""
    for block in blocks:
        is_within = text.count("{") == text.count("}") and block.startswith("  ")
        text, statements = (text, statements + block) if is_within else (text + block, statements)
    return f"{text}int main() {{\n{statements}}}\n" if statements else text


def command_of(example):
    """That of the build for an example, up to its output: [compiler, flags...]."""
    commands = json.loads((ROOT / "build/release/compile_commands.json").read_text())
    (entry,) = [c for c in commands if c["file"].endswith(f"examples/{example}.cpp")]
    words = shlex.split(entry["command"])
    compiler = next(i for i, word in enumerate(words) if re.search(r"(c|g|clang)\+\+[-\d.]*$", word))  # after ccache
    return words[compiler : words.index("-o")]


def test_cpp_blocks_compile(tmp_path):
    programs = [program_of(blocks) for page in PAGES if (blocks := blocks_of(page, "cpp"))]
    assert len(programs) >= 5
    # One translation unit, since reading the headers takes most of the time: what is included first, then each page a namespace.
    include = re.compile(r"^#include .*\n", re.MULTILINE)
    source = "".join(dict.fromkeys(line for program in programs for line in include.findall(program)))
    for i, program in enumerate(programs):
        source += f"namespace page_{i} {{\n{include.sub('', program)}}}  // namespace page_{i}\n"
    for name in ("Error", "Interrupted", "read_npy", "read_image", "version", "SoftShrink", "leave_if_stopped"):
        source += f"using riata::{name};\n"
    (tmp_path / "pages.cpp").write_text(source)
    command = [*command_of("own_network"), "-O0", "-fsyntax-only", tmp_path / "pages.cpp"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    problem = riata.datasets.planted(n_features=12, n_atoms=20, n_signals=100, density=0.1)
    names = {"X": problem.signals, "D": problem.dictionary}  # what README's second block begins with
    for block in blocks_of(page, "python"):
        exec(compile(block, page.name, "exec"), names)
    assert "nan" not in capsys.readouterr().out

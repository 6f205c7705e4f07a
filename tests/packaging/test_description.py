"""The description of the Python package: README.md, whose links are absolute there and lead to files of the project."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ADDRESS = PYPROJECT["project"]["urls"]["Source"]


def test_its_links_are_absolute_and_lead_to_files():
    text = (ROOT / "README.md").read_text()
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)
    assert len(links) > 15
    for is_picture, link in links:
        assert link.startswith("https://"), link
        if link.startswith(ADDRESS):
            path = re.fullmatch(f"{ADDRESS}/{'raw' if is_picture else 'blob'}/main/([^#]*)(#.*)?", link)[1]
            assert (ROOT / path).exists(), link


def test_there_is_one_address():
    assert all(url.startswith(ADDRESS) for url in PYPROJECT["project"]["urls"].values())
    assert set(re.findall(r"https://github.com/[\w-]+/riata", (ROOT / "pyproject.toml").read_text())) == {ADDRESS}

"""The code that the documentation shows is code that the tests compile and run."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_how_to_add_network_shows_the_example_word_for_word():
    page = (ROOT / "docs/how_to_add_network.md").read_text()
    example = (ROOT / "examples/own_network.cpp").read_text()
    blocks = re.findall(r"```cpp\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        assert block in example, block


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

"""The code that the documentation shows is code that the tests compile and run."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("what", ["dictionary", "penalty", "network", "learner"])
def test_how_to_add_shows_the_example_word_for_word(what):
    page = (ROOT / f"docs/how_to_add_{what}.md").read_text()
    example = (ROOT / f"examples/own_{what}.cpp").read_text()
    blocks = re.findall(r"```cpp\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 6
    for block in blocks:
        assert block in example, block


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)  # a lambda looks like a link
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

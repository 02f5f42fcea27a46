"""The documents name links, make targets, and modules that exist."""

import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from stack_file import Configuration, check

ROOT = Path(__file__).parents[2]
# The changelog names what there was.
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://")):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_make_target_and_module_exists(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    for module in set(re.findall(r"python -m ([\w.]+\w)", text)) - {"venv", "pip"}:
        assert importlib.util.find_spec(module.replace("pulumi_aws_secrets", "components")), module


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_name_in_a_module_exists(document: Path) -> None:
    for name in re.findall(r"`(operations(?:\.[a-z_]+)+)[`(]", document.read_text()):
        pkgutil.resolve_name(name)


def test_the_stack_file_of_the_readme_is_valid() -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    key = "aws-secrets:stripeKey"
    values = {**yaml.safe_load(text)["config"], key: "x"}
    checked = check(
        Configuration(project="aws-secrets", stack="dev", values=values, encrypted=frozenset({key}))
    )
    assert sorted(checked.stack_file.secrets) == ["example-app-secret", "example-prismic"]

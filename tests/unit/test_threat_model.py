"""The threat model names the tests that show each defence."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_in_the_threat_model_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "threat-model.md").read_text()))
    existing = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 20
    assert named <= existing, named - existing

import subprocess
import sys
from pathlib import Path

import components

ROOT = Path(__file__).parents[3]


def test_the_reference_documents_every_exported_name(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tools.api_reference", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "pulumi_aws_secrets.html").read_text()
    for name in components.__all__:
        assert f'id="{name}"' in page, name

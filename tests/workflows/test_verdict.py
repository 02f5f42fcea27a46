"""A pull request cannot decide its own verdict: the report's job is run on real repositories."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from automation.exit_codes import ExitCode
from tests.workflows.pull_requests import (
    HARMLESS_LOG,
    PullRequest,
    base_in,
    git,
    merged,
    pull_request,
    virtual_environment,
)
from tests.workflows.test_workflows import WORKFLOWS, outputs, script

DANGEROUS, INCOMPLETE = ExitCode.DANGEROUS, ExitCode.INCOMPLETE_REPORT
# Says that all is well, and tells that it ran.
ALWAYS_GREEN = "import pathlib, sys\npathlib.Path({mark!r}).touch()\nprint('all is well')\nsys.exit(0)\n"
_DELETION: list[dict[str, Any]] = [
    {"preludeEvent": {"config": {}}},
    {
        "resourcePreEvent": {
            "metadata": {
                "op": "delete",
                "urn": "urn:pulumi:dev::aws-secrets::aws:secretsmanager/secret:Secret::app-secret",
                "type": "aws:secretsmanager/secret:Secret",
                "logical": True,
                "old": {"inputs": {"name": "app"}, "outputs": {"name": "app"}, "custom": True},
                "new": None,
            }
        }
    },
    {"summaryEvent": {"isPreview": True, "resourceChanges": {"delete": 1}, "result": "succeeded"}},
]
DELETES_A_SECRET = "\n".join(map(json.dumps, _DELETION))


@dataclass(frozen=True)
class Job:
    """The folder that the report's job works in; what becomes of its steps."""

    folder: Path

    def run(self, name: str, **environment: str) -> int:
        [where] = [
            step.get("working-directory", ".")
            for step in WORKFLOWS["preview-stack.yml"]["jobs"]["report"]["steps"]
            if step.get("name", "").startswith(name)
        ]
        known = {
            "PATH": os.environ["PATH"],
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        return subprocess.run(
            ["bash", "-e", "-c", script("report", name)],
            cwd=self.folder / where,
            env={**known, **environment},
            capture_output=True,
            check=False,
            timeout=60,
        ).returncode

    def verdict(self, request: PullRequest, log: str | None, outcome: str = "success") -> tuple[int, str]:
        """The exit code of the last step, and the report."""
        (self.folder / "temp" / "preview").mkdir(parents=True)
        if log is not None:
            (self.folder / "temp" / "preview" / "events.json").write_text(log)
        assert self.run("Check the base out", HEAD=request.head) == 0
        for checkout in ("base", "change"):  # whatever the one in the change is, it is not run
            if not (self.folder / checkout / ".venv" / "bin" / "python").exists():
                virtual_environment(self.folder / checkout)
        assert self.run("Report", STACK="dev", HEAD=request.head) == 0
        said = dict(outputs((self.folder / "output").read_text()))
        return self.run("Fail if", CODE=said["code"], OUTCOME=outcome), said["report"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    base_in(tmp_path / "change", whole=True)
    return Job(tmp_path)


def test_a_pull_request_that_rewrites_the_report_is_still_judged_red(job: Job) -> None:
    mark = job.folder / "ran"
    green = ALWAYS_GREEN.format(mark=str(mark))
    rewritten = {
        "automation/report/__main__.py": green,
        "automation/report/verdict.py": green,
        "automation/__init__.py": green,
        "sitecustomize.py": green,
        "yaml.py": green,
        "argparse.py": green,
        "requirements.txt": "evil==1\n",
        ".venv/bin/python": f"#!/bin/sh\ntouch {mark}\n",
        ".gitattributes": "* diff=evil filter=evil\n",
        ".git-blame-ignore-revs": "",
    }
    code, report = job.verdict(pull_request(job.folder / "change", rewritten), HARMLESS_LOG)
    assert code == DANGEROUS
    assert "automation/report/verdict.py" in report
    assert "review the program as well" in report
    assert "all is well" not in report
    assert not mark.exists()


def test_a_pull_request_that_rewrites_the_report_hides_no_danger_of_the_log(job: Job) -> None:
    rewritten = {"automation/report/judging.py": "def findings(plan):\n    return []\n"}
    code, report = job.verdict(pull_request(job.folder / "change", rewritten), DELETES_A_SECRET)
    assert code == DANGEROUS
    assert "deletes 1 secret" in report
    assert "has 1 change that cannot be judged" in report


@pytest.mark.parametrize(
    ("log", "outcome", "expected", "words"),
    [
        (HARMLESS_LOG, "success", 0, "Changes nothing"),
        (HARMLESS_LOG, "failure", 1, "Changes nothing"),
        (DELETES_A_SECRET, "success", DANGEROUS, "deletes 1 secret"),
        ("", "success", INCOMPLETE, "Incomplete"),
        (None, "success", INCOMPLETE, "Incomplete"),
    ],
)
def test_a_change_of_the_stack_file_alone_is_judged_by_its_log(
    job: Job, log: str | None, outcome: str, expected: int, words: str
) -> None:
    text = (job.folder / "change" / "Pulumi.dev.yaml").read_text()
    changed = text.replace("config:\n", "config:\n  aws-secrets:recoveryWindowDays: 8\n", 1)
    code, report = job.verdict(
        pull_request(job.folder / "change", {"Pulumi.dev.yaml": changed}), log, outcome
    )
    assert code == expected
    assert words in report


def test_only_githubs_own_merge_of_the_pull_request_is_compared(job: Job) -> None:
    request = pull_request(job.folder / "change", {"README.md": "changed"})
    assert job.run("Check the base out", HEAD="0" * 40) == 1
    git(request.folder, "checkout", "--quiet", "proposed")  # the head itself, without a merge
    assert job.run("Check the base out", HEAD=request.head) == 1
    assert not (job.folder / "base").exists()


def test_a_branch_that_is_behind_its_base_is_not_blamed_for_what_it_lacks(job: Job) -> None:
    folder = job.folder / "change"
    git(folder, "checkout", "--quiet", "-b", "proposed")
    (folder / "README.md").write_text("changed")
    git(folder, "commit", "--quiet", "--all", "--message", "proposed")
    git(folder, "checkout", "--quiet", "main")
    (folder / "__main__.py").write_text("# newer\n")
    git(folder, "commit", "--quiet", "--all", "--message", "newer")
    git(folder, "checkout", "--quiet", "proposed")
    code, report = job.verdict(merged(folder), HARMLESS_LOG)
    assert (code, "Changes nothing" in report) == (0, True)

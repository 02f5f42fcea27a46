"""Run the report's job on real repositories: a pull request cannot decide its own verdict."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operations.exit_codes import ExitCode
from tests.support.pull_requests import (
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
# Reports success and leaves a mark that it ran.
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
    """The report's job in its working directory."""

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
        """Run all steps and return the exit code of the last one, and the report."""
        (self.folder / "temp" / "preview").mkdir(parents=True)
        if log is not None:
            (self.folder / "temp" / "preview" / "events.json").write_text(log)
        assert self.run("Check out the base", HEAD=request.head) == 0
        for checkout in ("base", "change"):  # the environment in the change must not be used
            if not (self.folder / checkout / ".venv" / "bin" / "python").exists():
                virtual_environment(self.folder / checkout)
        assert self.run("Report", STACK="dev", HEAD=request.head) == 0
        result = dict(outputs((self.folder / "output").read_text()))
        return self.run("Fail if", CODE=result["code"], OUTCOME=outcome), result["report"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    base_in(tmp_path / "change", whole=True)
    return Job(tmp_path)


def test_pull_request_that_rewrites_the_report_still_fails(job: Job) -> None:
    mark = job.folder / "ran"
    green = ALWAYS_GREEN.format(mark=str(mark))
    rewritten = {
        "operations/report/command.py": green,
        "operations/report/verdict.py": green,
        "operations/__init__.py": green,
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
    assert "operations/report/verdict.py" in report
    assert "review the program as well" in report
    assert "all is well" not in report
    assert not mark.exists()


def test_pull_request_that_rewrites_rules_hides_no_danger(job: Job) -> None:
    rewritten = {"operations/report/rules.py": "def findings(plan):\n    return []\n"}
    code, report = job.verdict(pull_request(job.folder / "change", rewritten), DELETES_A_SECRET)
    assert code == DANGEROUS
    assert "deletes 1 secret" in report
    assert "has 1 change that cannot be assessed" in report


@pytest.mark.parametrize(
    ("log", "outcome", "expected", "words"),
    [
        (HARMLESS_LOG, "success", 0, "No changes"),
        (HARMLESS_LOG, "failure", 1, "No changes"),
        (DELETES_A_SECRET, "success", DANGEROUS, "deletes 1 secret"),
        ("", "success", INCOMPLETE, "Incomplete"),
        (None, "success", INCOMPLETE, "Incomplete"),
    ],
)
def test_change_of_stack_file_is_assessed_by_its_log(
    job: Job, log: str | None, outcome: str, expected: int, words: str
) -> None:
    text = (job.folder / "change" / "Pulumi.dev.yaml").read_text()
    changed = text.replace("config:\n", "config:\n  aws-secrets:recoveryWindowDays: 8\n", 1)
    code, report = job.verdict(
        pull_request(job.folder / "change", {"Pulumi.dev.yaml": changed}), log, outcome
    )
    assert code == expected
    assert words in report


def test_only_githubs_merge_commit_is_compared(job: Job) -> None:
    request = pull_request(job.folder / "change", {"README.md": "changed"})
    assert job.run("Check out the base", HEAD="0" * 40) == 1
    git(request.folder, "checkout", "--quiet", "proposed")  # the head itself, without a merge
    assert job.run("Check out the base", HEAD=request.head) == 1
    assert not (job.folder / "base").exists()


def test_branch_behind_its_base_is_not_blamed_for_missing_changes(job: Job) -> None:
    folder = job.folder / "change"
    git(folder, "checkout", "--quiet", "-b", "proposed")
    (folder / "README.md").write_text("changed")
    git(folder, "commit", "--quiet", "--all", "--message", "proposed")
    git(folder, "checkout", "--quiet", "main")
    (folder / "__main__.py").write_text("# newer\n")
    git(folder, "commit", "--quiet", "--all", "--message", "newer")
    git(folder, "checkout", "--quiet", "proposed")
    code, report = job.verdict(merged(folder), HARMLESS_LOG)
    assert (code, "No changes" in report) == (0, True)

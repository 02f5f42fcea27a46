"""Test that the workflows are valid, have least privilege, and work as documented."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.linters import run_actionlint, run_zizmor
from tools.localcloud.engine_build import engine_version
from tools.localcloud.layout import checkout

ROOT = checkout().root
FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.name: path.read_text() for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = [(name, key, job) for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()]
MARKER = "<!-- aws-secrets-preview:dev -->"


def folder_with(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """Write all workflows, one of them with a replaced text, and return their folder."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    for other, text in TEXTS.items():
        (folder / other).write_text(text)
    assert old in TEXTS[name]
    (folder / name).write_text(TEXTS[name].replace(old, new, 1))
    (tmp_path / ".git").mkdir()  # actionlint looks for the repository of a reusable workflow
    return folder


def test_actionlint_finds_nothing() -> None:
    assert run_actionlint(FOLDER) == ""


def test_zizmor_finds_nothing() -> None:
    assert run_zizmor(FOLDER) == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("ci.yml", "timeout-minutes", "timeout-minute", "unexpected key"),
        ("preview-stack.yml", "steps.report.outputs.report", "steps.other.outputs.report", "not defined"),
        ("preview-stack.yml", "needs: report", "needs: nothing", "does not exist"),
        ("preview.yml", "stack: ${{ matrix.stack }}", "stacks: dev", "is not defined"),
        ("up.yml", "runs-on: ubuntu-24.04", "runs-on: ubuntu-1.04", "unknown"),
    ],
)
def test_actionlint_finds_a_broken_workflow(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    assert words in run_actionlint(folder_with(tmp_path, name, old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "audit"),
    [
        (
            "ci.yml",
            "- run: .ci/run",
            "- run: echo ${{ github.event.pull_request.title }}",
            "template-injection",
        ),
        ("ci.yml", "permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("ci.yml", "persist-credentials: false", "fetch-depth: 1", "artipacked"),
        ("preview.yml", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        (
            "preview.yml",
            "    secrets:\n      PULUMI_CONFIG",
            "    secrets: inherit\n#      PULUMI_CONFIG",
            "secrets-inherit",
        ),
        ("up.yml", "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "v7", "unpinned-uses"),
    ],
)
def test_zizmor_finds_a_vulnerable_workflow(
    tmp_path: Path, name: str, old: str, new: str, audit: str
) -> None:
    assert audit in run_zizmor(folder_with(tmp_path, name, old, new))


def test_workflows_have_no_permissions_and_jobs_have_timeouts() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {}
        # YAML reads the key "on" as true
        assert "pull_request_target" not in workflow[True]
        assert "workflow_run" not in workflow[True]
    for name, key, job in JOBS:
        assert "permissions" in job, (name, key)
        assert "uses" in job or job["timeout-minutes"] <= 90, (name, key)


def test_every_action_is_pinned_by_commit_and_version() -> None:
    for name, text in TEXTS.items():
        for line in text.splitlines():
            if "uses:" in line and "./" not in line:
                assert re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), (name, line)


def test_scripts_receive_untrusted_text_only_as_environment_variables() -> None:
    scripts = [step["run"] for _, _, job in JOBS for step in job.get("steps", []) if "run" in step]
    assert len(scripts) >= 7
    assert not [script for script in scripts if "${{" in script]


def test_jobs_with_pull_request_code_cannot_write_to_the_repository() -> None:
    for name, key, job in JOBS:
        writes = {scope for scope, access in job["permissions"].items() if access == "write"}
        if any("checkout" in step.get("uses", "") for step in job.get("steps", [])):
            assert writes <= {"id-token"}, (name, key)
        elif "steps" in job:
            assert "id-token" not in writes, (name, key)


def test_credentials_pull_request_code_and_verdict_are_in_separate_jobs() -> None:
    preview, report, comment = (
        WORKFLOWS["preview-stack.yml"]["jobs"][key] for key in ("preview", "report", "comment")
    )
    assert preview["permissions"] == {"contents": "read", "id-token": "write"}
    assert report["permissions"] == {"contents": "read", "pull-requests": "read"}
    assert comment["permissions"] == {"pull-requests": "write"}
    # it queries AWS and does not report
    assert re.findall(r"operations\S* \S+ \S+", json.dumps(preview)) == ["operations report live"]
    assert preview["outputs"].keys() == {"outcome"}
    texts = json.dumps([report, comment])
    assert not re.search("secrets[.]|AWS_|PULUMI_|configure-aws", texts)
    # only git reads the change; every other command runs in the base
    commands = [step for step in report["steps"] if "run" in step]
    assert [step["name"] for step in commands if step.get("working-directory") == "base"] == [
        "Install the base's program",
        "Report",
    ]
    # a cache could be poisoned
    assert "cache" not in json.dumps(report)


def test_report_is_written_whatever_the_preview_does() -> None:
    """A skipped job counts as passed, so a preview that times out must not skip the report."""
    jobs = WORKFLOWS["preview-stack.yml"]["jobs"]
    assert jobs["report"]["if"] == "${{ !cancelled() }}"
    assert "concurrency" not in jobs["preview"]
    assert WORKFLOWS["preview.yml"]["concurrency"]["cancel-in-progress"] is True
    [download] = [step for step in jobs["report"]["steps"] if "download-artifact" in step.get("uses", "")]
    assert download["continue-on-error"] is True


def test_forks_get_no_preview_and_no_credentials() -> None:
    job, labels = (WORKFLOWS["preview.yml"]["jobs"][key] for key in ("stack", "labels"))
    assert labels["needs"] == "stack"
    assert "needs.stack.result != 'skipped'" in labels["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]


def test_updates_wait_for_each_other_and_for_approval() -> None:
    [job] = WORKFLOWS["up.yml"]["jobs"].values()
    assert job["concurrency"] == {"group": "up-${{ matrix.stack }}", "cancel-in-progress": False}
    assert job["environment"] == "${{ matrix.environment }}"
    assert "github.ref == 'refs/heads/main'" in job["if"]
    # an environment would change the subject of the preview's token
    assert "environment" not in WORKFLOWS["preview-stack.yml"]["jobs"]["preview"]


def test_workflows_use_the_engine_version_of_the_tests() -> None:
    used = {
        step["with"]["pulumi-version"]
        for _, _, job in JOBS
        for step in job.get("steps", [])
        if step.get("uses", "").startswith("pulumi/actions")
    }
    assert used == {engine_version(ROOT / "tools" / "localcloud" / "engine")}


def script(job: str, name: str, workflow: str = "preview-stack.yml") -> str:
    [found] = [
        step["run"]
        for step in WORKFLOWS[workflow]["jobs"][job]["steps"]
        if step.get("name", "").startswith(name)
    ]
    return str(found)


def ran(script: str, folder: Path, **environment: str) -> int:
    """Run a script as a GitHub runner does and return its exit code."""
    command = ["bash", "-e", "-c", script]
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={"PATH": path, **environment}, check=False, timeout=60
    ).returncode


@pytest.fixture
def gh(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that posts a report with a fake of GitHub's CLI and returns all comments."""
    comments, program = tmp_path / "comments.json", tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{_GH}")
    program.chmod(0o755)

    def comment(report: str, *before: dict[str, Any], **more: str) -> list[dict[str, Any]]:
        if before or not comments.exists():
            comments.write_text(json.dumps(before))
        code = ran(
            script("comment", "Create or update"),
            tmp_path,
            COMMENTS=str(comments),
            NUMBER="7",
            REPORT=report,
            GITHUB_REPOSITORY="acme/shop",
            **{"UNCHANGED": "false", "WHEN": "", **more},
        )
        assert code == (0 if report.startswith("<!-- aws-secrets-preview:") else 1)
        found: list[dict[str, Any]] = json.loads(comments.read_text())
        return found

    return comment


_GH = """
import json, os, subprocess, sys
from pathlib import Path

file, labels = Path(os.environ["COMMENTS"]), Path("labels.json")
comments = json.loads(file.read_text())
arguments = sys.argv[2:]
issue = "repos/acme/shop/issues/7"
known = json.loads(labels.read_text()) if labels.exists() else []
if "--jq" in arguments:
    pulls = json.loads(os.environ.get("PULLS", "[]"))
    responses = {
        f"{issue}/comments": comments,
        f"{issue}/labels": [{"name": name} for name in known],
        "repos/acme/shop/commits/merged/pulls": pulls,
    }
    [listed] = [responses[argument] for argument in arguments if argument in responses]
    query = arguments[arguments.index("--jq") + 1]
    sys.exit(subprocess.run(["jq", "-r", query], input=json.dumps(listed), text=True).returncode)
if f"{issue}/labels" in arguments:
    labels.write_text(json.dumps([*known, arguments[-1].removeprefix("labels[]=")]))
    sys.exit()
if arguments[-1].startswith(f"{issue}/labels/"):
    known.remove(arguments[-1].rpartition("/")[2])
    labels.write_text(json.dumps(known))
    sys.exit()
body = Path(arguments[-1].partition("body=@")[2]).read_text()
method = arguments[arguments.index("--method") + 1]
if method == "POST":
    assert "repos/acme/shop/issues/7/comments" in arguments
    comments.append({"id": 100 + len(comments), "user": {"login": "github-actions[bot]"}, "body": body})
else:
    place = next(argument for argument in arguments if argument.startswith("repos/"))
    [found] = [comment for comment in comments if place == f"repos/acme/shop/issues/comments/{comment['id']}"]
    found["body"] = body
file.write_text(json.dumps(comments))
"""


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq stands in for the one built into gh")
def test_stack_has_one_comment_that_is_updated(
    gh: Callable[..., list[dict[str, Any]]],
) -> None:
    others = [
        {"id": 1, "user": {"login": "somebody"}, "body": f"{MARKER}\nnot the workflow's own"},
        {
            "id": 2,
            "user": {"login": "github-actions[bot]"},
            "body": "<!-- aws-secrets-preview:prod -->\nx",
        },
        {"id": 3, "user": {"login": "github-actions[bot]"}, "body": f"about {MARKER}"},
    ]
    first = gh(f'{MARKER}\ncreates `a`; $(touch hacked) "quoted"', *others)
    assert first[:3] == others
    assert [comment["body"] for comment in first[3:]] == [
        f'{MARKER}\ncreates `a`; $(touch hacked) "quoted"\n'
    ]
    second = gh(f"{MARKER}\nnothing changes")
    assert [comment["body"] for comment in second[3:]] == [f"{MARKER}\nnothing changes\n"]
    assert second[:3] == others
    assert gh("\nnot a report, so it replaces no comment") == second


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq stands in for the one built into gh")
def test_no_comment_is_posted_if_nothing_changes(
    gh: Callable[..., list[dict[str, Any]]],
) -> None:
    nothing = f"{MARKER}\nNo changes"
    assert gh(nothing, UNCHANGED="true") == []
    assert len(gh(nothing, UNCHANGED="true", WHEN="always")) == 1
    gh(f"{MARKER}\ndeletes a secret")
    [comment] = gh(nothing, UNCHANGED="true")
    assert comment["body"].endswith("No changes\n")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq stands in for the one built into gh")
def test_pull_request_has_the_labels_of_all_its_stacks(
    gh: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    def report(stack: str, *labels: str) -> str:
        block = json.dumps({"labels": labels})
        name = f"<!-- aws-secrets-findings: {json.dumps({'labels': ['of-a-name']})} -->"
        marker = f"<!-- aws-secrets-preview:{stack} -->"
        return f"{marker}\n- `{name}`\n<!-- aws-secrets-findings: {block} -->"

    forged = {"id": 1, "user": {"login": "somebody"}, "body": report("dev", "forged")}
    gh(report("dev", "deletes-secret", "widens-access"), forged)
    gh(report("prod", "deletes-secret", "incomplete", "not a label\n"))
    (tmp_path / "labels.json").write_text(
        '["bug", "preview:changes-login", "preview:widens-access", "preview:a/../../../comments/1"]'
    )

    def label() -> set[str]:
        environment = {"COMMENTS": str(tmp_path / "comments.json"), "NUMBER": "7"}
        code = ran(
            script("labels", "Label", "preview.yml"), tmp_path, **environment, GITHUB_REPOSITORY="acme/shop"
        )
        assert code == 0
        return set(json.loads((tmp_path / "labels.json").read_text()))

    odd = "preview:a/../../../comments/1"  # set by others; must not end up in the path of a request
    expected = {"bug", odd, "preview:deletes-secret", "preview:incomplete", "preview:widens-access"}
    assert label() == expected
    gh("<!-- aws-secrets-preview:dev -->\nNo changes")
    assert label() == expected - {"preview:widens-access"}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq stands in for the one built into gh")
def test_report_reads_the_comment_of_its_own_stack(
    gh: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    gh("<!-- aws-secrets-preview:dev_1 -->\nother", {"id": 1, "user": {"login": "somebody"}, "body": MARKER})
    gh(f"{MARKER}\nbefore")
    environment = {"COMMENTS": str(tmp_path / "comments.json"), "NUMBER": "7", "RUNNER_TEMP": str(tmp_path)}
    for stack, expected in (
        ("dev", f"{MARKER}\nbefore"),
        ("dev-1", "<!-- aws-secrets-preview:dev_1 -->\nother"),
    ):
        step = script("report", "Read the previous report")
        assert ran(step, tmp_path, **environment, STACK=stack, GITHUB_REPOSITORY="acme/shop") == 0
        assert (tmp_path / "previous.md").read_text().strip() == expected


@pytest.mark.parametrize("code", [0, 3, 4])
def test_report_is_passed_on_before_its_verdict_decides(tmp_path: Path, code: int) -> None:
    text = "**2 dangers**\nreport<<EOF\nEOF\ncode=0\n"
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nprintf '%s' \"$TEXT\"\nexit {code}\n")
    python.chmod(0o755)
    output, summary = tmp_path / "output", tmp_path / "summary"
    environment = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    assert ran(script("report", "Report"), tmp_path, STACK="dev", HEAD="", TEXT=text, **environment) == 0
    found = dict(outputs(output.read_text()))
    assert found == {"report": text, "code": str(code), "unchanged": "false"}
    assert summary.read_text() == text
    last = script("report", "Fail if")
    assert ran(last, tmp_path, CODE=found["code"], OUTCOME="success") == code
    assert ran(last, tmp_path, CODE=found["code"], OUTCOME="failure") == (code or 1)


def test_preview_without_outcome_or_report_never_passes(tmp_path: Path) -> None:
    last = script("report", "Fail if")
    for code, outcome in (("", "success"), ("", ""), ("0", ""), ("0", "cancelled"), ("0", "skipped")):
        assert ran(last, tmp_path, CODE=code, OUTCOME=outcome) != 0, (code, outcome)


def outputs(text: str) -> Iterator[tuple[str, str]]:
    """Parse step outputs as a runner does: `name=value`, or `name<<end`, lines and `end`."""
    lines = iter(text.splitlines())
    for line in lines:
        name, ended, end = line.partition("<<")
        if ended and "=" not in name:
            yield name, "\n".join(iter(lambda: next(lines), end))
        else:
            name, _, value = line.partition("=")
            yield name, value


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq stands in for the one built into gh")
def test_update_is_tied_to_the_report_on_the_merged_change(
    gh: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    def comment(revision: str, digest: str) -> str:
        block = json.dumps({"revision": revision, "digest": digest})
        name = f"<!-- aws-secrets-findings: {json.dumps({'revision': 'head', 'digest': 'f' * 40})} -->"
        return f"{MARKER}\n- `{name}`\n<!-- aws-secrets-findings: {block} -->"

    def reviewed(*pulls: dict[str, Any], given: str = "") -> str:
        output = tmp_path / "output"
        output.unlink(missing_ok=True)
        code = ran(
            script("up", "Find the reviewed report", "up.yml"),
            tmp_path,
            COMMENTS=str(tmp_path / "comments.json"),
            PULLS=json.dumps(pulls),
            STACK="dev",
            GIVEN=given,
            GITHUB_OUTPUT=str(output),
            GITHUB_REPOSITORY="acme/shop",
            GITHUB_SHA="merged",
        )
        assert code == 0
        return dict(outputs(output.read_text()))["digest"]

    digest, other = "a" * 40 + "." + "b" * 40, "c" * 40
    request = {"merge_commit_sha": "merged", "number": 7, "head": {"sha": "head"}}
    forged = {"id": 1, "user": {"login": "somebody"}, "body": comment("head", other)}
    gh("<!-- aws-secrets-preview:prod -->\nof another stack", forged)
    assert reviewed(request) == "nothing"  # no comment was posted, since nothing changes
    gh(comment("head", digest))
    assert reviewed(request) == digest
    assert reviewed({**request, "merge_commit_sha": "earlier"}) == "nothing"
    assert reviewed() == "nothing"  # a push without a pull request
    assert reviewed(given=other) == other
    assert reviewed({**request, "head": {"sha": "pushed after the preview"}}) == "nothing"
    for broken in ("", "nothing\nx=y", "A" * 40, "nothing"):
        gh(comment("head", broken))
        assert reviewed(request) == "nothing"


@pytest.mark.parametrize(("reviewed", "code"), [("", 0), ("a.b", 0), ("nothing", 14)])
def test_update_that_was_not_reviewed_stops_and_shows_its_report(
    tmp_path: Path, reviewed: str, code: int
) -> None:
    python, summary = tmp_path / ".venv" / "bin" / "python", tmp_path / "summary"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" > arguments\necho "Preview of dev"\nexit {code}\n')
    python.chmod(0o755)
    environment = {"GITHUB_STEP_SUMMARY": str(summary), "STACK": "dev", "REVIEWED": reviewed}
    assert ran(script("up", "Update", "up.yml"), tmp_path, **environment) == code
    expected = ["--reviewed", reviewed] if reviewed else []
    assert (tmp_path / "arguments").read_text().split()[2:] == ["up", "--stack", "dev", "--yes", *expected]
    assert "Preview of dev" in summary.read_text()

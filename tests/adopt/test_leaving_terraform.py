"""Terraform forgets what was adopted: checked by a real `terraform plan`, here or where it was recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from operations.adopt import terraform_state
from operations.adopt.leaving_terraform import leaving
from operations.adopt.terraform_instance import Instance
from tests.adopt.live import snapshot
from tests.adopt.recorded import document
from tests.adopt.running import adopt
from tests.support.stacks import Stack
from tests.support.terraform import Terraform, find, new_work

PLANNED = sorted(name for name in document("leaving") if name != "//")
_MACHINE = find()


def recorded_plans(name: str) -> dict[str, Any]:
    found: dict[str, Any] = document("leaving")[name]
    return found


def actions(plan: dict[str, dict[str, int]]) -> set[str]:
    return {action for counts in plan.values() for action in counts}


@pytest.mark.parametrize("name", PLANNED)
def test_leaving_lines_are_those_that_a_real_plan_was_made_of(name: str) -> None:
    state = terraform_state.read(json.dumps(document(f"{name.removesuffix('_but_one')}.tfstate")))
    taken = [address for origin in state.origins.secrets.values() for address in origin.addresses]
    if name.endswith("_but_one"):
        taken = [address for address in taken if "app-app-00" not in address]
    made, planned = leaving(state.instances, taken), recorded_plans(name)
    # where these differ: make record-terraform, on a machine with terraform
    assert made.removed == planned["removed"]
    assert made.commands == planned["commands"]
    assert made.kept == planned["kept"]


@pytest.mark.parametrize("name", PLANNED)
def test_a_real_plan_destroys_nothing_once_terraform_was_left(name: str) -> None:
    plans = recorded_plans(name)["plans"]
    assert "delete" in actions(plans["nothing"])
    assert actions(plans["removed blocks"]) <= {"forget", "no-op"}
    assert actions(plans["state rm"]) <= {"no-op"}


def test_forty_secrets_leave_with_keys_and_passwords_of_their_modules() -> None:
    plans = recorded_plans("thoughtbot_40")["plans"]
    forgotten = {resource: counts["forget"] for resource, counts in plans["removed blocks"].items()}
    assert forgotten["module.app.module.secret.aws_secretsmanager_secret.this"] == 20
    assert forgotten["module.app.module.secret.aws_kms_key.this"] == 20
    assert forgotten["module.app.random_password.this"] == 20
    assert plans["state rm"] == {}


def test_a_secret_that_was_not_adopted_keeps_everything_in_terraform() -> None:
    plans = recorded_plans("thoughtbot_40_but_one")["plans"]
    kept = {resource: counts for resource, counts in plans["removed blocks"].items() if "no-op" in counts}
    assert plans["state rm"] == kept
    assert {tuple(counts.items()) for counts in kept.values()} == {(("no-op", 1),)}
    assert "module.app.module.secret.aws_kms_key.this" in kept


def instance(address: str, *dependencies: str, arn: str = "") -> Instance:
    module, kind, name = address.rsplit(".", 2) if address.count(".") > 1 else ("", *address.split("."))
    return Instance(
        module=module, type=kind, name=name, key="", attributes={"arn": arn}, dependencies=dependencies
    )


SECRET = "module.app.module.secret.aws_secretsmanager_secret.this"


def test_only_the_modules_of_the_secret_leave_a_larger_module() -> None:
    found = leaving(
        [
            instance(SECRET, "module.app.module.secret.aws_kms_key.this"),
            instance("module.app.module.secret.aws_kms_key.this"),
            instance("module.app.aws_vpc.main"),
        ],
        [SECRET],
    )
    assert found.kept == ["terraform state rm module.app.module.secret.aws_kms_key.this"]
    assert "aws_vpc" not in found.removed


def test_a_module_with_a_secret_of_terraform_keeps_what_it_has() -> None:
    other = "module.app.module.secret.aws_secretsmanager_secret.other"
    key = "module.app.module.secret.aws_kms_key.this"
    found = leaving([instance(SECRET, key), instance(other, key), instance(key)], [SECRET])
    assert found.kept == []
    assert "aws_kms_key" not in found.removed
    assert f"from = {SECRET}\n" in found.removed


@pytest.mark.skipif(isinstance(_MACHINE, str), reason=str(_MACHINE))
def test_terraform_leaves_adopted_secrets_as_they_are(stack: Stack, tmp_path: Path) -> None:
    assert isinstance(_MACHINE, Terraform)
    work = new_work(_MACHINE, tmp_path / "terraform", stack.environment)
    work.declare("thoughtbot", "terraform_aws_modules_many")
    work.set(prefix="app", each=2)
    work.apply()
    file = tmp_path / "state.json"
    file.write_text(work.state())
    names = ("app", *(f"app/{kind}-0{number}" for kind in ("vendor", "generated") for number in range(2)))
    before = snapshot(stack, *names)
    stack.configure({})
    removed = work.folder / "removed.tf"
    printed = adopt(stack, "terraform", str(file), "--yes", "--removed", str(tmp_path / "removed.tf"))
    assert "5 secrets adopted" in printed
    # the label that an adoption adds is no drift
    assert set(map(tuple, work.plan().values())) == {("no-op",)}
    work.declare()
    assert set(map(tuple, work.plan().values())) == {("delete",)}

    removed.write_text((tmp_path / "removed.tf").read_text())
    assert set(map(tuple, work.plan().values())) == {("forget",)}
    work.apply()
    assert work.plan() == {}
    removed.unlink()

    work.state_put(file.read_text())
    work.state_rm(line.strip() for line in printed.splitlines() if line.startswith("  terraform state rm"))
    assert work.plan() == {}
    work.apply()
    assert snapshot(stack, *names) == before
    assert stack.client("kms").list_keys()["Keys"]
    assert all(
        stack.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
        for key in stack.client("kms").list_keys()["Keys"]
    )
    assert stack.preview() == []

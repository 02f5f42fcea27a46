"""The schedule of a master secret that RDS manages, as AWS, report and status have it."""

import json
import os
from contextlib import chdir
from unittest.mock import patch

from automation.report import Kind, report
from automation.report.model import plain
from automation.status import status, texts
from automation.status.model import Secret
from tests.engine.shops import SECRET, Shop

SCHEDULE = "shop-master-schedule"


def master(shop: Shop) -> str:
    [instance] = shop.stack.client("rds").describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    return str(instance["MasterUserSecret"]["SecretArn"])


def reported(shop: Shop) -> list[tuple[Kind | None, str]]:
    """Dangers and changes of the master secret, of the last command of the engine."""
    lines = (shop.stack.folder / "events.json").read_text().splitlines()
    found = report([json.loads(line) for line in lines if line.strip()])
    return [
        *((danger.kind, plain(danger.text)) for danger in found.dangers),
        *((None, plain(change.text)) for change in found.changes if change.component.what == "master secret"),
    ]


def shown(shop: Shop) -> Secret:
    with patch.dict(os.environ, shop.stack.environment, clear=True), chdir(shop.stack.folder):
        found = status("test").secrets
    assert [secret.name for secret in found if not secret.existing] == [SECRET]
    [secret] = [secret for secret in found if secret.existing]
    return secret


def test_the_master_secret_of_rds_rotates_as_the_stack_file_says(shop: Shop) -> None:
    arn, client = master(shop), shop.stack.client()
    shop.configure()
    shop.stack.up()
    assert shown(shop).drift == ()  # whatever RDS does, where the stack file says nothing
    assert texts.state(shown(shop)) == "well, managed by rds"
    password = shop.stack.value(arn)

    shop.configure(server={"masterRotation": {"automaticallyAfterDays": 30, "duration": "3h"}})
    assert shop.stack.up() == [f"create {SCHEDULE}"]
    assert reported(shop) == [
        (None, "RDS renews the master user's password every 30 days within 3h, whatever it did before")
    ]
    described = client.describe_secret(SecretId=arn)
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30, "Duration": "3h"}
    assert "RotationLambdaARN" not in described
    assert shop.stack.value(arn) == password  # nothing was rotated for it
    assert shown(shop).problems == ()
    assert shop.stack.preview() == []

    rules = {"AutomaticallyAfterDays": 7}
    client.rotate_secret(SecretId=arn, RotationRules=rules, RotateImmediately=False)
    [difference] = shown(shop).drift
    assert (difference.what, difference.actual) == ("rotation", "every 7 days")
    shop.stack.refresh()
    assert shop.stack.up() == [f"update {SCHEDULE}"]
    assert shown(shop).drift == ()

    shop.configure(server={"masterRotation": {"enabled": False}})
    assert shop.stack.up() == [f"update {SCHEDULE}"]
    assert reported(shop) == [(Kind.REMOVES_ROTATION, "Rotation ends; the secret keeps the value it has")]
    assert client.describe_secret(SecretId=arn)["RotationEnabled"] is False
    assert shown(shop).problems == ()
    assert shop.stack.up() == []

    shop.configure(server={"masterRotation": {"scheduleExpression": "rate(10 days)"}})
    assert shop.stack.up() == [f"update {SCHEDULE}"]
    shop.configure()
    assert shop.stack.up() == [f"delete {SCHEDULE}"]
    assert reported(shop) == [(None, "The schedule leaves the stack, and AWS keeps it")]
    described = client.describe_secret(SecretId=arn)
    assert described["RotationRules"]["ScheduleExpression"] == "rate(10 days)"
    assert described["RotationEnabled"] is True

"""The rotation schedule of a master secret that RDS manages, in AWS, report, and status."""

import json
import os
from contextlib import chdir
from unittest.mock import patch

from operations.report import Kind, report
from operations.report.model import plain
from operations.status import status, texts
from operations.status.model import Secret
from tests.support.shops import SECRET, Shop

SCHEDULE = "shop-master-schedule"


def master(shop: Shop) -> str:
    [instance] = shop.stack.client("rds").describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    return str(instance["MasterUserSecret"]["SecretArn"])


def reported(shop: Shop) -> list[tuple[Kind | None, str]]:
    """Return the dangers and changes of the master secret in the last command's report."""
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


def test_the_rds_master_secret_rotates_as_declared(shop: Shop) -> None:
    arn, client = master(shop), shop.stack.client()
    shop.configure()
    shop.stack.up()
    assert shown(shop).drift == ()  # RDS's own schedule stays where the stack file has none
    assert texts.state(shown(shop)) == "healthy, managed by rds"
    password = shop.stack.value(arn)

    shop.configure(server={"masterRotation": {"automaticallyAfterDays": 30, "duration": "3h"}})
    assert shop.stack.up() == [f"create {SCHEDULE}"]
    assert reported(shop) == [
        (None, "RDS rotates the master password every 30 days within 3h, instead of on its own schedule")
    ]
    described = client.describe_secret(SecretId=arn)
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 30, "Duration": "3h"}
    assert "RotationLambdaARN" not in described
    assert shop.stack.value(arn) == password  # and the change rotated nothing
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
    text = "Rotation is turned off; the secret keeps its current value"
    assert reported(shop) == [(Kind.REMOVES_ROTATION, text)]
    assert client.describe_secret(SecretId=arn)["RotationEnabled"] is False
    assert shown(shop).problems == ()
    assert shop.stack.up() == []

    shop.configure(server={"masterRotation": {"scheduleExpression": "rate(10 days)"}})
    assert shop.stack.up() == [f"update {SCHEDULE}"]
    shop.configure()
    assert shop.stack.up() == [f"delete {SCHEDULE}"]
    assert reported(shop) == [(None, "The schedule is removed from the stack and stays in AWS")]
    described = client.describe_secret(SecretId=arn)
    assert described["RotationRules"]["ScheduleExpression"] == "rate(10 days)"
    assert described["RotationEnabled"] is True

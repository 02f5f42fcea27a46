"""The rules of a run of `rotate`: which secrets rotate, and which are refused, by the stack file alone."""

import json
from argparse import ArgumentTypeError
from typing import Any

import pytest

from operations.arguments import moment
from operations.renewal.model import Deployment
from operations.restore.plan import Refusal
from operations.rotate.plan import chosen, plan
from program.desired import Desired, resolve
from stack_file.top_level import StackFile

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation-function-1234567"
OWN = "arn:aws:lambda:us-east-1:123456789012:function:mine"
VALUES: dict[str, Any] = {"KEY": {"random": {}}}
SECRETS: dict[str, Any] = {
    "keys": {"values": VALUES, "rotation": {"keys": ["KEY"]}},
    "own": {"values": VALUES, "rotation": {"functionArn": OWN}},
    "vendor": {"values": VALUES, "partner": {"type": "SalesforceClientSecret"}},
    "plain": {"values": VALUES},
}
DATABASE: dict[str, Any] = {
    "host": "db.example.com",
    "outsideVpc": True,
    "admin": {"secret": "admin", "username": "root", "password": {"config": "admin"}},
    "logins": {
        "two": {"username": "shop", "database": "shop"},
        "one": {"username": "solo", "database": "shop", "users": "single"},
        "off": {"username": "off", "database": "shop", "rotation": {"enabled": False}},
    },
}


def stack() -> Desired:
    declared = {"secrets": SECRETS, "databases": {"shop": DATABASE}}
    return resolve(StackFile.model_validate_json(json.dumps(declared)), "aws-secrets", "dev")


def test_each_secret_has_its_function_and_the_end_of_its_old_value() -> None:
    deployment = Deployment(functions={None: FUNCTION, ("databases", "shop"): FUNCTION})
    found = plan(stack(), ["two", "one", "keys", "own"], (), deployment).secrets
    assert [(one.name, one.function, one.validity) for one in found] == [
        ("two", FUNCTION, "until-next-rotation"),
        ("one", FUNCTION, "ended"),
        ("keys", FUNCTION, "as-readers-accept"),
        ("own", OWN, "own-function"),
    ]


def test_all_unfit_secrets_are_refused_with_what_to_do() -> None:
    with pytest.raises(Refusal) as raised:
        chosen(stack(), ["keys", "vendor", "plain", "off", "kyes"], "web")
    text = str(raised.value)
    for words in (
        "declares no workload web",
        "vendor: AWS rotates it together with the partner",
        "aws secretsmanager rotate-secret --secret-id vendor",
        "plain: It does not rotate (aws-secrets:secrets.plain)",
        "off: Rotation is off (aws-secrets:databases.shop.logins.off)",
        "declares no secret kyes",
        "Nothing was changed.",
    ):
        assert words in text, words
    assert len(text.splitlines()) == 6


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"]
)
def test_a_time_that_does_not_exist_is_rejected(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a time"):
        moment(text)

"""Checking a stack file takes time linear in its secrets, counted in function calls."""

import cProfile
import pstats
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from operations.stack_file_text import with_config
from stack_file import Configuration, SettingsError, check
from stack_file.yaml_text import read, write

FEW, MANY = 100, 400
SERVICE_ACCOUNT = {
    "operator": "external-secrets",
    "namespace": "shop",
    "oidcProviderArn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE",
}
ADMIN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:admin-AbCdEf"


def config(count: int, kind: str = "random") -> dict[str, Any]:
    """Return a stack with `count` secrets, logins and workloads; half of the values have this source."""
    value: dict[str, Any] = {"values": {"KEY": {kind: {}}, "OTHER": {"config": "stripeKey"}}}
    if kind == "random":
        value["replicas"] = [{"region": "xx-unlisted-1"}]  # a warning for each
    logins = {f"login/{number}": {"username": f"u{number}", "database": "d"} for number in range(count)}
    workloads = {
        f"w{number}": {
            "kubernetes": {**SERVICE_ACCOUNT, "serviceAccount": f"s{number}"},
            "environment": {"KEY": {"secret": f"team/{number}"}},
        }
        for number in range(count)
    }
    server = {"host": "db.example.com", "outsideVpc": True, "admin": {"secretArn": ADMIN}, "logins": logins}
    return {
        "aws:region": "us-east-1",
        "aws-secrets:stripeKey": "encrypted",
        "aws-secrets:secrets": {f"team/{number}": value for number in range(count)},
        "aws-secrets:databases": {"shop": server},
        "aws-secrets:workloads": workloads,
    }


def checked(values: dict[str, Any]) -> None:
    with suppress(SettingsError):
        check(
            Configuration(
                project="aws-secrets",
                stack="dev",
                values=values,
                encrypted=frozenset({"aws-secrets:stripeKey"}),
                included={("secrets", name): "declarations/a.yaml" for name in values["aws-secrets:secrets"]},
            )
        )


def edited(values: dict[str, Any]) -> None:
    text = write({"config": values})
    content = dict(read(text).value)
    with_config(text, content, {**values, "aws-secrets:protect": True})


def calls(work: Callable[[dict[str, Any]], None], values: dict[str, Any]) -> int:
    profile = cProfile.Profile()
    profile.runcall(work, values)
    total: int = pstats.Stats(profile).total_calls  # type: ignore[attr-defined]  # not in the stubs
    return total


@pytest.mark.deep
@pytest.mark.parametrize("kind", ["random", "rondom"], ids=["right", "wrong"])
@pytest.mark.parametrize("work", [checked, edited])
def test_time_grows_linearly_with_the_secrets(work: Callable[[dict[str, Any]], None], kind: str) -> None:
    calls(work, config(FEW, kind))  # fill the caches
    few, many = calls(work, config(FEW, kind)), calls(work, config(MANY, kind))
    assert many < 1.15 * MANY / FEW * few, (few, many)

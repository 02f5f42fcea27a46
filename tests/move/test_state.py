"""Tests of the resources that leave a state together with a secret."""

from typing import Any

from operations.adopt.stack_state import resources_of, without_resources

STACK = "urn:pulumi:test::aws-secrets"
SECRET = "aws-secrets:index:Secret"


def resource(kind: str, name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    return {"urn": f"{STACK}::{kind}::{name}", "type": kind.rpartition("$")[2], **more}


APP = resource(SECRET, "app")
KEY = resource(f"{SECRET}$random:index/randomPassword:RandomPassword", "app-random:KEY", parent=APP["urn"])
ROTATION = resource("aws-secrets:index:Rotation", "app")
NESTED = resource(f"aws-secrets:index:PostgresLogin${SECRET}", "app")
OTHER = resource(SECRET, "app-2")
READER = resource(
    "aws:iam/policy:Policy",
    "reader",
    dependencies=[KEY["urn"], OTHER["urn"]],
    propertyDependencies={"policy": [KEY["urn"], OTHER["urn"]], "name": None},
)
STATE = {"resources": [APP, KEY, ROTATION, NESTED, OTHER, READER]}


def test_a_secret_leaves_with_everything_in_its_components() -> None:
    assert resources_of(STATE, "app") == [one["urn"] for one in (APP, KEY, ROTATION)]


def test_nothing_refers_to_a_resource_that_left() -> None:
    remaining = without_resources(STATE, resources_of(STATE, "app"))["resources"]
    assert remaining[:-1] == [NESTED, OTHER]
    assert remaining[-1] == {
        **READER,
        "dependencies": [OTHER["urn"]],
        "propertyDependencies": {"policy": [OTHER["urn"]], "name": []},
    }

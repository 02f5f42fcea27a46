"""Deferred rotations, as the labels of a secret's versions show them."""

from typing import Protocol

from components.lambdas.rotation.labels import deferred
from tests.support.rotation_world import AnyWorld


class Declare(Protocol):
    """Declares what happens while an old password of a secret is used."""

    def __call__(self, arn: str, mode: str, deferrals: int = 3) -> None: ...


def labels_of(world: AnyWorld, arn: str) -> list[str]:
    versions = world.secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]
    return [label for labels in versions.values() for label in labels]


def deferrals(world: AnyWorld, arn: str) -> int:
    """Return how many rotations in a row were deferred."""
    known = deferred(labels_of(world, arn))
    return known.times if known else 0

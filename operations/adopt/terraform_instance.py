"""A resource instance of a Terraform state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SECRET = "aws_secretsmanager_secret"  # noqa: S105  a resource type
VERSION = f"{SECRET}_version"
POLICY = f"{SECRET}_policy"
ROTATION = f"{SECRET}_rotation"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A resource instance of a state; its attributes may hold values and never show.

    Attributes:
        module: address of its module; empty for the root module.
        type, name: of its resource.
        key: `[0]`, `["a"]`, or empty.
        dependencies: addresses of resources, without keys.
        deposed: whether Terraform has replaced it and is about to destroy it.
    """

    module: str
    type: str
    name: str
    key: str
    attributes: Mapping[str, Any] = field(repr=False)
    dependencies: Sequence[str] = ()
    deposed: bool = False

    @property
    def resource(self) -> str:
        """Address of the resource."""
        return f"{self.module}.{self.type}.{self.name}".removeprefix(".")

    @property
    def address(self) -> str:
        """Address of the instance."""
        return f"{self.resource}{self.key}"

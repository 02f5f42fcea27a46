"""Requests and responses of the HTTP API."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,38}$")]
GivenKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

State = Literal["updating", "ready", "failed"]


class TenantRequest(BaseModel):
    """A tenant's secret, as a client requests it.

    Attributes:
        keys: the value source of each JSON key, as in `values` of the stack file.
        given: values that the client sets, by JSON key. They are encrypted immediately and never returned.
    """

    model_config = ConfigDict(extra="forbid")

    keys: dict[str, Any] = Field(default_factory=dict)
    given: dict[GivenKey, SecretStr] = Field(default_factory=dict)


class Tenant(BaseModel):
    """A tenant's status, without secret values.

    Attributes:
        state: `updating` while an update is running or waiting to be resumed, otherwise its outcome.
        secret: ARN, name and keys of the secret, once it exists.
        error: why the last update failed.
    """

    name: str
    state: State
    secret: dict[str, Any] | None = None
    error: str | None = None

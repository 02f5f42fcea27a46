"""What a client may ask for, and what it is told."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,38}$")]
GivenKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]

State = Literal["updating", "ready", "failed"]


class Wanted(BaseModel):
    """A tenant's secret.

    Attributes:
        keys: JSON key to where its first value comes from, as `values` of the stack file has it.
        given: JSON key to a value of the client's; it is encrypted at once and never told again.
    """

    model_config = ConfigDict(extra="forbid")

    keys: dict[str, Any] = Field(default_factory=dict)
    given: dict[GivenKey, SecretStr] = Field(default_factory=dict)


class Tenant(BaseModel):
    """What is known of a tenant; no value is in it.

    Attributes:
        state: `updating` while an update runs or waits to be taken up again, else how the last one ended.
        secret: ARN, name and keys of the secret, once it is made.
        error: why the last update failed.
    """

    name: str
    state: State
    secret: dict[str, Any] | None = None
    error: str | None = None

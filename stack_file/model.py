"""The base class of every model of a stack file."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Accepts only its own keys, in camelCase, and converts no types."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        field_title_generator=lambda name, _: to_camel(name),
    )

"""What all parts of a stack file's structure have in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Takes its own keys only, in camelCase, and converts nothing."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        field_title_generator=lambda name, _: to_camel(name),
    )

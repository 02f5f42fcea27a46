"""Model of `rehearsal` in a stack file: rehearsals of rotations on a schedule."""

from typing import Annotated

from pydantic import Field

from stack_file.model import Model


class Rehearsal(Model):
    """When the rotations of the stack's functions are rehearsed; `{}` is every day at noon, UTC."""

    every_days: Annotated[
        int, Field(ge=1, le=31, description="Days between two rehearsals, counted from the first of a month")
    ] = 1
    hour: Annotated[int, Field(ge=0, le=23, description="Hour of the day in UTC")] = 12

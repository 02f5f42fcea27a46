"""Settings of a stack file about the age of values: how old one may get, and when it expires."""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from stack_file.mistakes import refusal

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _check_date(text: str) -> str:
    try:
        if _DATE.fullmatch(text):
            date.fromisoformat(text)
            return text
    except ValueError:  # such as February 30
        pass
    raise refusal(
        "not a valid date",
        "Nobody would be reminded",
        'Use "YYYY-MM-DD" in quotes, the last day on which the value is valid',
    )


MaxAgeDays = Annotated[int, Field(ge=0, le=3650)]
RemindDays = Annotated[
    int,
    Field(ge=1, le=365, description="Days before a value expires or is too old from which it is reported"),
]
ExpiryDate = Annotated[
    str,
    AfterValidator(_check_date),
    Field(
        description='The last day on which the value is valid, for filledByHand and config: "2027-03-01"',
        json_schema_extra={"format": "date"},
    ),
]

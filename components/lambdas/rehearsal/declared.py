"""The function's contract with its component: an environment variable, and a file in its archive.

The file says which secrets to rehearse. It comes with the code, and the event is ignored: whoever may invoke
the function, or change the targets of its rule, can start the declared rehearsals and nothing else.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DECLARED_FILE = "declared.json"
FUNCTIONS_VARIABLE = "ROTATION_FUNCTIONS"
"""Names of the rotation functions, with spaces between: they are known only once these exist."""


@dataclass(frozen=True)
class Rehearsed:
    """A secret to rehearse.

    Attributes:
        secret: its name in AWS.
        function: position of its rotation function in FUNCTIONS_VARIABLE.
        schemas: PostgreSQL: the schemas that its login must be able to use.
    """

    secret: str
    function: int
    schemas: tuple[str, ...] = ()


def read() -> list[Rehearsed]:
    """Return what the archive's file says."""
    return parse(Path(__file__).with_name(DECLARED_FILE).read_text(encoding="utf-8"))


def parse(text: str) -> list[Rehearsed]:
    """Return what a file says."""
    return [Rehearsed(one["secret"], one["function"], tuple(one["schemas"])) for one in json.loads(text)]


def written(secrets: Sequence[Rehearsed]) -> str:
    """Return the file's text; the same secrets give the same text."""
    return json.dumps([asdict(one) for one in secrets], indent=1, sort_keys=True)

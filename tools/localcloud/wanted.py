"""Read from the stack file which servers it needs."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import yaml

from tools.localcloud.layout import Layout, SetupError

Server = Literal["postgres", "mariadb", "mysql", "cache"]

_DATABASES, _CACHES = "aws-secrets:databases", "aws-secrets:caches"


def wanted(layout: Layout) -> frozenset[Server]:
    """Return the kinds of servers that the stack's file declares.

    Raises:
        SetupError: The file is not valid YAML.
    """
    path = layout.stack_file
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return frozenset()
    except yaml.YAMLError as error:
        # The parser's own text would quote the file.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SetupError(
            f"{path.name}{where}: not valid YAML. Correct it, then run the command again."
        ) from None
    config = content.get("config") if isinstance(content, dict) else None
    return frozenset(_servers(config if isinstance(config, dict) else {}))


def _servers(config: Mapping[str, Any]) -> Iterator[Server]:
    databases = config.get(_DATABASES)
    for database in databases.values() if isinstance(databases, dict) else [databases] if databases else []:
        match database.get("engine") if isinstance(database, dict) else None:
            case "mariadb":
                yield "mariadb"
            case "mysql":
                yield "mysql"
            case _:
                yield "postgres"
    if config.get(_CACHES):
        yield "cache"

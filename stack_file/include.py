"""The model of `include` in a stack file: which other files declare its secrets."""

import re
from typing import Annotated

from pydantic import Field

from stack_file.mistakes import matching

FOLDER = "declarations"
"""Folder of all included files, so that a review can tell them from files that a preview runs."""

SECTIONS = ("secrets", "databases", "caches", "smtp", "workloads")
"""Sections that an included file can have: maps of entries by name."""

ANY_FOLDERS = "**"
"""Part of a path that stands for any number of folders."""

_NAME = r"(?!\.)(?:[A-Za-z0-9_.@+?-]|\*(?!\*)){1,250}"
# of a limited depth, as the system limits the length of a path
PATTERN = rf"{FOLDER}(?:/(?:{_NAME}|{re.escape(ANY_FOLDERS)})){{0,15}}/{_NAME}\.yaml"

IncludedFiles = Annotated[
    str,
    matching(
        PATTERN,
        f"not a path below {FOLDER}/ that ends in .yaml",
        "The file could be part of the program, which a review must not take for declarations",
        f"Use a path such as {FOLDER}/prod.yaml, or a pattern such as {FOLDER}/prod/*.yaml or "
        f"{FOLDER}/{ANY_FOLDERS}/*.yaml",
    ),
    Field(json_schema_extra={"pattern": rf"^{FOLDER}/.+\.yaml$"}),
]

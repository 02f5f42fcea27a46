"""Evaluate the subset of Go's text/template with Sprig that our manifests use; reject anything else.

Source: Go's packages text/template (functions index and urlquery) and net/url (QueryEscape), Sprig's replace.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import quote_plus

_STRING = r'"(?:[^"\\\n]|\\.)*"'
_ACTION = re.compile(r"\{\{(?P<inside>(?:[^\"}]|\}(?!\})|" + _STRING + r")*)\}\}", re.DOTALL)
_INDEX = re.compile(rf"index \. (?P<key>{_STRING})(?P<pipes>(?: \| [^|]+)*)")
_REPLACE = re.compile(rf"replace (?P<old>{_STRING}) (?P<new>{_STRING})")


def evaluate(text: str, data: Mapping[str, str]) -> str:
    """Return the template's text for these values."""
    result, end = "", 0
    while (start := text.find("{{", end)) >= 0:
        action = _ACTION.match(text, start)
        assert action, f"no action at {start}"
        result += text[end:start] + _action(action["inside"].strip(), data)
        end = action.end()
    return result + text[end:]


def _action(inside: str, data: Mapping[str, str]) -> str:
    if re.fullmatch(_STRING, inside):
        return str(json.loads(inside))
    found = _INDEX.fullmatch(inside)
    assert found, f"the action {inside!r} is not supported"
    value = data[json.loads(found["key"])]
    for pipe in filter(None, found["pipes"].split(" | ")):
        if pipe == "urlquery":
            value = quote_plus(value, safe="")
            continue
        replaced = _REPLACE.fullmatch(pipe)
        assert replaced, f"the function {pipe!r} is not supported"
        value = value.replace(json.loads(replaced["old"]), json.loads(replaced["new"]))
    return value

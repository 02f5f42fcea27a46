"""The values that Terraform's random provider has generated, with their options in a stack file's words."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from operations.adopt.json_files import text_of
from operations.adopt.model import Generated, Hidden
from operations.adopt.terraform_instance import Instance
from stack_file.secrets import Random, RandomBytes

_CLASSES = {
    "special": "min_special",
    "lower": "min_lower",
    "upper": "min_upper",
    "numeric": "min_numeric",
}
# How random_id and random_bytes show their bytes; a stack file has no decimal encoding.
_ENCODINGS = {
    "random_id": {"hex": "hex", "b64_std": "base64", "b64_url": "base64url"},
    "random_bytes": {"hex": "hex", "base64": "base64"},
}


def generated_values(instance: Instance) -> Iterator[tuple[Hidden, Generated]]:
    """Yield each value that an instance has generated, with how; nothing for other resources."""
    if instance.deposed:
        return
    if instance.type in {"random_password", "random_string"}:
        value, options = text_of(instance.attributes.get("result")), _text_options(instance)
        if value and options is not None:
            yield Hidden(value), Generated(by=instance.address, kind="random", options=options)
    for attribute, encoding in _ENCODINGS.get(instance.type, {}).items():
        value = text_of(instance.attributes.get(attribute))
        length = instance.attributes.get("byte_length", instance.attributes.get("length"))
        options = {"length": length, "encoding": encoding}
        if value and not instance.attributes.get("prefix") and _is_valid(RandomBytes, options):
            yield Hidden(value), Generated(by=instance.address, kind="randomBytes", options=options)


def _text_options(instance: Instance) -> dict[str, Any] | None:
    """Return the options of a random text; None if a stack file cannot have them."""
    given = instance.attributes
    allowed = {name: given.get(name, given.get("number") if name == "numeric" else None) for name in _CLASSES}
    options: dict[str, Any] = {"length": given.get("length")}
    for name, minimum in _CLASSES.items():
        if allowed[name] is False:
            options[name] = False
        # a minimum of a class that is not allowed cannot be declared, and generates nothing here
        elif given.get(minimum):
            options[_camel_case(minimum)] = given[minimum]
    if allowed["special"] is not False and given.get("override_special"):
        options["overrideSpecial"] = given["override_special"]
    return options if _is_valid(Random, options) else None


def _is_valid(model: type[Random | RandomBytes], options: dict[str, Any]) -> bool:
    try:
        model.model_validate(options)
    except ValidationError:
        return False
    return True


def _camel_case(name: str) -> str:
    first, second = name.split("_")
    return first + second.title()

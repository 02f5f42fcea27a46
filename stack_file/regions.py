"""Region codes: those that pulumi-aws lists, and those that may be newer."""

import difflib
import re

from stack_file.mistakes import nearest, refusal

# Plain data, so that stack files are checked without an SDK; a unit test compares it with pulumi_aws.Region.
REGIONS = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4"),
    *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1"),
    *("eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2"),
    *("us-west-1", "us-west-2", "cn-north-1", "cn-northwest-1", "eusc-de-east-1"),
    *("us-gov-east-1", "us-gov-west-1", "us-iso-east-1", "us-iso-west-1", "us-isob-east-1"),
    *("us-isob-west-1", "eu-isoe-west-1", "us-isof-east-1", "us-isof-south-1"),
)

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}")
_DIRECTIONS = (
    *("northeast", "northwest", "north", "southeast", "southwest", "south", "east", "west"),
    "central",
)
_TYPO = 0.75  # similarity of a misspelt direction, as difflib measures it


def check_region(region: str) -> str:
    """Return the region code, or raise a refusal; an unlisted but well-formed code may be a new region."""
    if is_listed(region):
        return region
    direction = region.split("-")[-2] if _REGION.fullmatch(region) else ""
    if not direction or (
        direction not in _DIRECTIONS and difflib.get_close_matches(direction, _DIRECTIONS, cutoff=_TYPO)
    ):
        raise refusal(
            f'unknown AWS region "{region}"{nearest(region, REGIONS)}',
            "Requests would go to a host that does not exist",
            "Use a region code, such as us-east-1",
        )
    return region


def is_listed(region: str) -> bool:
    """Return whether pulumi-aws lists the region."""
    return region in REGIONS


def unlisted_region(path: str, region: str) -> str:
    """Return the warning for a region that pulumi-aws does not list."""
    return (
        f'{path}: pulumi-aws does not list the region "{region}"{nearest(region, REGIONS)}. Ignore this if '
        "the region is newer than pulumi-aws; otherwise the update will fail, because nothing answers there."
    )

"""The division of a role's permissions into policies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.role_policies import MOST_INLINE, MOST_MANAGED, Division, distinct_keys, divide

LENGTHS = st.lists(st.integers(1, 600), max_size=60)


def divided(lengths: list[int], room: int = MOST_INLINE, fixed: int = 300) -> Division:
    def text(part: range, inline: bool) -> str:
        return "x" * (sum(lengths[place] for place in part) + (fixed if inline else 100))

    return divide(len(lengths), text, room)


def owners(division: Division) -> dict[int, set[int]]:
    """Return the policies of each item."""
    found: dict[int, set[int]] = {}
    for policy, part in enumerate(division.parts):
        for place in part:
            found.setdefault(place, set()).add(policy)
    return found


@given(LENGTHS)
def test_every_item_is_in_a_policy_with_room(lengths: list[int]) -> None:
    division = divided(lengths)
    assert sorted(owners(division)) == list(range(len(lengths)))
    assert division.sizes[0] <= MOST_INLINE
    assert all(size <= MOST_MANAGED for size in division.sizes[1:])
    assert division.managed <= sum(lengths) // (MOST_MANAGED - 100 - 2 * 600) + 1


def test_the_inline_policy_is_filled_to_its_limit() -> None:
    assert divided([500] * 19 + [440]) == Division(parts=[range(20)], sizes=[MOST_INLINE], whole=MOST_INLINE)
    division = divided([500] * 19 + [441])
    assert division == Division(parts=[range(19), range(18, 20)], sizes=[9_800, 1_041], whole=10_241)


@given(st.integers(1, 600), st.integers(1, 150), st.data())
def test_one_item_more_or_less_is_allowed_throughout(length: int, count: int, data: st.DataObject) -> None:
    """In any order of updates, each item stays in one of its policies.

    Only a new policy takes over items: it is created before, and deleted after, the others change.
    """
    place = data.draw(st.integers(0, count))
    divisions = [divided([length] * number) for number in (count, count + 1)]
    fewer, more = map(owners, divisions)
    new = set(range(len(divisions[0].parts), len(divisions[1].parts)))
    for item in range(count):
        later = more[item + (item >= place)]
        assert fewer[item] & later or later <= new


@given(LENGTHS, st.integers(1, 600), st.data())
def test_a_new_item_moves_only_later_items(lengths: list[int], added: int, data: st.DataObject) -> None:
    """A policy is updated after the later ones, which then already have the items that it loses."""
    place = data.draw(st.integers(0, len(lengths)))
    before = owners(divided(lengths))
    after = owners(divided([*lengths[:place], added, *lengths[place:]]))
    for item in range(len(lengths)):
        assert min(after[item + (item >= place)]) >= min(before[item])


def test_an_oversized_item_shows_in_the_sizes() -> None:
    assert max(divided([6_100, 6_100]).sizes[1:]) > MOST_MANAGED


@pytest.mark.parametrize("room", [1, 400])
def test_the_inline_policy_has_one_item_even_without_room(room: int) -> None:
    assert divided([500, 500], room).parts[0] == range(1)


def test_whitespace_does_not_count() -> None:
    whole = json.dumps(["x" * 9_000], indent=4) + " " * 2_000
    assert divide(1, lambda _, __: whole).parts == [range(1)]


def test_a_duplicate_key_occurs_once() -> None:
    assert distinct_keys(["a", "b", "a"]) == ["a", "b"]

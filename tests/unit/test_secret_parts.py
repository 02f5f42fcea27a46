"""The search of logs for passwords finds what a search for each one would."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.secret_parts import LENGTH, has_part

PARTS = st.sets(st.text("ab", min_size=LENGTH, max_size=LENGTH + 3), max_size=4)


@given(parts=PARTS, texts=st.lists(st.text("ab \n", max_size=40)))
def test_a_part_is_found_wherever_it_is(parts: set[str], texts: list[str]) -> None:
    for text in (*texts, *(f"{text}{part}{text}" for part in parts for text in texts)):
        assert has_part(text, parts) is any(part in text for part in parts)

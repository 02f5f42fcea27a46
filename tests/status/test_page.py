"""The page in a headless browser: legible at every width, in both color schemes, without a request."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operations.status.model import ActualReader, Difference, Placeholder, Readings, Status, Suggestion
from operations.status.page import render_page
from tests.support.browser import Browser, browser, find_or_install
from tests.support.sample_status import sample_status

SIZES = {
    "none read": (3, 0),
    "one read": (2, 1),
    "30 by 10": (30, 10),
    "1000 by 10": (1000, 10),
    "1000 by 40": (1000, 40),
}
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{ 7*7 }}"

_RECTANGLES = """
[...document.querySelectorAll("svg text")].map(text => {
  const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
  return {text: text.textContent, left: box.left - frame.left, right: box.right - frame.left,
          top: box.top - frame.top, bottom: box.bottom - frame.top, width: frame.width, height: frame.height};
})
"""
# Contrast of each text with its background (WCAG 2.2, "Contrast (Minimum)").
_CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const paint = (under, color) => {
    canvas.globalCompositeOperation = "copy"; canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
    canvas.globalCompositeOperation = "source-over"; canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgb(${red}, ${green}, ${blue})`;
  };
  const behind = element => element === null ? "white"
    : paint(behind(element.parentElement), getComputedStyle(element).backgroundColor);
  const light = color => {
    const parts = color.match(/\\d+/g).map(Number).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const all = document.querySelectorAll(
    "h1, h3, p, a, b, dt, dd, th, td, li, .badge, code, svg text, svg tspan");
  return [...all]
    .filter(element => element.textContent.trim() && element.checkVisibility())
    .filter(element => element.tagName !== "a")  // a link in the diagram has no text of its own
    .map(element => {
      const style = getComputedStyle(element), ground = behind(element);
      const ink = paint(ground, element.closest("svg") ? style.fill : style.color);
      const [low, high] = [light(ink), light(ground)].sort((one, other) => one - other);
      const large = parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 600;
      return {text: element.textContent.trim().slice(0, 40), contrast: (high + 0.05) / (low + 0.05),
              least: large ? 3 : 4.5};
    });
})()
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    program = find_or_install()
    if program is None:
        pytest.skip("Chromium is missing and could not be installed; set CHROMIUM=/path to use one")
    with browser(program) as tab:
        yield tab


def written(folder: Path, status: Status) -> Path:
    file = folder / "page.html"
    file.write_text(render_page(status), encoding="utf-8")
    return file


@pytest.mark.parametrize("size", SIZES)
def test_page_sends_no_request_and_logs_no_error(tab: Browser, tmp_path: Path, size: str) -> None:
    file = written(tmp_path, sample_status(*SIZES[size]))
    tab.open(file)
    assert tab.value("document.images.length + document.scripts.length") == 0
    requests = {sent["request"]["url"] for sent in tab.named("Network.requestWillBeSent")}
    assert {url for url in requests if not url.startswith("data:")} == {file.as_uri()}
    assert tab.named("Log.entryAdded") == []
    assert tab.named("Runtime.exceptionThrown") == []


@pytest.mark.parametrize("width", [320, 800, 1600])
@pytest.mark.parametrize("size", ["30 by 10", "1000 by 40"])
def test_page_never_scrolls_sideways(tab: Browser, tmp_path: Path, size: str, width: int) -> None:
    tab.open(written(tmp_path, sample_status(*SIZES[size])), width=width)
    assert tab.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", [size for size in SIZES if size != "none read"])
def test_names_in_the_diagram_neither_overlap_nor_overflow(tab: Browser, tmp_path: Path, size: str) -> None:
    tab.open(written(tmp_path, sample_status(*SIZES[size])))
    texts: list[dict[str, Any]] = tab.value(_RECTANGLES)
    assert texts
    for index, one in enumerate(texts):
        assert one["left"] >= 0, one
        assert one["right"] <= one["width"], one
        assert one["top"] >= 0, one
        assert one["bottom"] <= one["height"], one
        for other in texts[index + 1 :]:
            apart = (
                one["right"] <= other["left"]
                or other["right"] <= one["left"]
                or one["bottom"] <= other["top"] + 1
                or other["bottom"] <= one["top"] + 1
            )
            assert apart, (one, other)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast_in_both_schemes(tab: Browser, tmp_path: Path, scheme: str) -> None:
    tab.open(written(tmp_path, sample_status(30, 10, observed=True)), scheme=scheme)
    contrasts: list[dict[str, Any]] = tab.value(_CONTRASTS)
    assert len(contrasts) > 100
    assert [one for one in contrasts if one["contrast"] < one["least"]] == []


def test_color_schemes_differ_and_the_diagram_is_drawn(tab: Browser, tmp_path: Path) -> None:
    file = written(tmp_path, sample_status(30, 10))
    tab.open(file, scheme="light")
    light = tab.screenshot()
    tab.open(file, scheme="dark")
    assert tab.screenshot() != light
    drawn = tab.value("[...document.querySelectorAll('.edge')].filter(e => e.getTotalLength() > 100).length")
    assert drawn == sum(len(secret.readers) for secret in sample_status(30, 10).secrets)


def test_declared_actual_and_silent_readers_have_different_lines(tab: Browser, tmp_path: Path) -> None:
    status = sample_status(30, 10, observed=True)
    tab.open(written(tmp_path, status), width=320)
    assert tab.value("document.documentElement.scrollWidth") <= 320
    dashes = {
        kind: tab.value(
            f"[...document.querySelectorAll('.diagram .edge.{kind}')]"
            ".map(edge => getComputedStyle(edge).strokeDasharray + '|' + edge.textContent)"
        )
        for kind in ("actual", "silent", "undeclared")
    }
    readings = [one.readings for one in status.secrets if one.readings]
    assert len(dashes["silent"]) == sum(len(one.silent) for one in readings) > 0
    assert len(dashes["undeclared"]) == 5
    assert len({each.partition("|")[0] for lines in dashes.values() for each in lines}) == 3
    assert all("is not declared, and reads" in each for each in dashes["undeclared"])
    assert all("does not read" in each for each in dashes["silent"])
    legend = tab.value("document.querySelector('.legend').textContent")
    assert "declared, but does not read" in legend
    assert tab.value("[...document.querySelectorAll('pre')].every(e => e.textContent.includes('\\n  TOKEN'))")
    texts: list[dict[str, Any]] = tab.value(_RECTANGLES)
    inside = [one for one in texts if one["left"] >= 0 and one["right"] <= one["width"]]
    assert len(inside) == len(texts) > 30


def test_page_is_complete_without_scripts(tab: Browser, tmp_path: Path) -> None:
    tab.open(written(tmp_path, sample_status(1000, 10)), script=False)
    tree = tab.call("DOM.getDocument", depth=-1)["root"]
    text = repr(tree)
    assert text.count("'article'") >= 1000
    assert "143 of 1000 secrets need attention" in text


def test_problems_link_to_their_secrets(tab: Browser, tmp_path: Path) -> None:
    tab.open(written(tmp_path, sample_status(30, 10)))
    lost = tab.value(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length"
    )
    assert lost == 0
    first = tab.value("document.querySelector('.problems li').className")
    assert first == "unavailable"


def test_texts_from_aws_and_the_stack_file_are_escaped(tab: Browser, tmp_path: Path) -> None:
    status = sample_status(4, 1, observed=True)
    secret = replace(
        status.secrets[3],
        name=f"app{HOSTILE}",
        content="keys",
        keys=(HOSTILE,),
        placeholders=(Placeholder(key=HOSTILE, hint=HOSTILE),),
        drift=(Difference(what="description", declared=HOSTILE, actual=HOSTILE),),
        problems=tuple(replace(one, text=HOSTILE, remedy=HOSTILE) for one in status.secrets[3].problems),
        readings=Readings(
            actual=(
                ActualReader(
                    principal=HOSTILE,
                    account=HOSTILE,
                    kind="other",
                    declared=False,
                    workloads=(),
                    reads=1,
                    last_read=status.asked_at,
                    sources=(HOSTILE,),
                ),
            ),
            silent=(),
            unread=False,
            unread_keys=(HOSTILE,),
            monthly_usd=0.4,
            suggestions=(
                Suggestion(path=HOSTILE, change="remove", lines=f"{HOSTILE}\n{HOSTILE}", reason=HOSTILE),
            ),
        ),
    )
    workloads = (replace(status.workloads[0], runs_as=HOSTILE, role=HOSTILE),)
    hostile = replace(status, stack=HOSTILE, secrets=(*status.secrets[:3], secret), workloads=workloads)
    tab.open(written(tmp_path, hostile))
    assert tab.value("document.images.length + document.scripts.length") == 0
    assert tab.value(f"document.body.textContent.split({HOSTILE!r}).length") > 8
    assert tab.named("Log.entryAdded") == []

"""The page in a real headless browser: legible in every width and scheme, and asking for nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automation.status.model import Difference, Placeholder, Status
from automation.status.page import page
from tests.status.browser import Browser, browser, find_or_install
from tests.status.made_up import made_up

SIZES = {
    "none read": (3, 0),
    "one read": (2, 1),
    "30 by 10": (30, 10),
    "1000 by 10": (1000, 10),
    "1000 by 40": (1000, 40),
}
NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{ 7*7 }}"

_RECTANGLES = """
[...document.querySelectorAll("svg text")].map(text => {
  const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
  return {text: text.textContent, left: box.left - frame.left, right: box.right - frame.left,
          top: box.top - frame.top, bottom: box.bottom - frame.top, width: frame.width, height: frame.height};
})
"""
# Contrast of texts with what is behind them (WCAG 2.2, "Contrast (Minimum)").
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
  const all = document.querySelectorAll("h1, h3, p, a, b, dt, dd, th, td, li, .badge, svg text, svg tspan");
  return [...all]
    .filter(element => element.textContent.trim() && element.checkVisibility())
    .filter(element => element.tagName !== "a")  // a link in the picture has no text of its own
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
        pytest.skip("no Chromium is on this machine and none could be installed; CHROMIUM=/path names one")
    with browser(program) as tab:
        yield tab


def written(folder: Path, status: Status) -> Path:
    file = folder / "page.html"
    file.write_text(page(status), encoding="utf-8")
    return file


@pytest.mark.parametrize("size", SIZES)
def test_the_page_asks_for_nothing_and_nothing_goes_wrong_in_it(
    tab: Browser, tmp_path: Path, size: str
) -> None:
    file = written(tmp_path, made_up(*SIZES[size]))
    tab.open(file)
    assert tab.value("document.images.length + document.scripts.length") == 0
    requests = {asked["request"]["url"] for asked in tab.named("Network.requestWillBeSent")}
    assert {url for url in requests if not url.startswith("data:")} == {file.as_uri()}
    assert tab.named("Log.entryAdded") == []
    assert tab.named("Runtime.exceptionThrown") == []


@pytest.mark.parametrize("width", [320, 800, 1600])
@pytest.mark.parametrize("size", ["30 by 10", "1000 by 40"])
def test_nothing_sticks_out_at_the_side_in_any_width(
    tab: Browser, tmp_path: Path, size: str, width: int
) -> None:
    tab.open(written(tmp_path, made_up(*SIZES[size])), width=width)
    assert tab.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", [size for size in SIZES if size != "none read"])
def test_no_name_in_the_picture_covers_another_or_is_cut_off(tab: Browser, tmp_path: Path, size: str) -> None:
    tab.open(written(tmp_path, made_up(*SIZES[size])))
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
def test_every_text_stands_out_from_what_is_behind_it_in_both_schemes(
    tab: Browser, tmp_path: Path, scheme: str
) -> None:
    tab.open(written(tmp_path, made_up(30, 10)), scheme=scheme)
    contrasts: list[dict[str, Any]] = tab.value(_CONTRASTS)
    assert len(contrasts) > 100
    assert [one for one in contrasts if one["contrast"] < one["least"]] == []


def test_the_schemes_are_two_and_the_picture_is_drawn(tab: Browser, tmp_path: Path) -> None:
    file = written(tmp_path, made_up(30, 10))
    tab.open(file, scheme="light")
    light = tab.screenshot()
    tab.open(file, scheme="dark")
    assert tab.screenshot() != light
    drawn = tab.value("[...document.querySelectorAll('.edge')].filter(e => e.getTotalLength() > 100).length")
    assert drawn == sum(len(secret.readers) for secret in made_up(30, 10).secrets)


def test_without_script_everything_is_reached(tab: Browser, tmp_path: Path) -> None:
    tab.open(written(tmp_path, made_up(1000, 10)), script=False)
    tree = tab.call("DOM.getDocument", depth=-1)["root"]
    text = repr(tree)
    assert text.count("'article'") >= 1000
    assert "143 of 1000 secrets want attention" in text


def test_what_wants_attention_leads_to_its_secret(tab: Browser, tmp_path: Path) -> None:
    tab.open(written(tmp_path, made_up(30, 10)))
    lost = tab.value(
        "[...document.querySelectorAll('a[href^=\"#\"]')]"
        ".filter(a => !document.getElementById(a.getAttribute('href').slice(1))).length"
    )
    assert lost == 0
    first = tab.value("document.querySelector('.problems li').className")
    assert first == "unavailable"


def test_texts_of_aws_and_of_the_stack_file_are_texts(tab: Browser, tmp_path: Path) -> None:
    status = made_up(4, 1)
    secret = replace(
        status.secrets[3],
        name=f"app{NASTY}",
        content="keys",
        keys=(NASTY,),
        placeholders=(Placeholder(key=NASTY, hint=NASTY),),
        drift=(Difference(what="description", declared=NASTY, actual=NASTY),),
        problems=tuple(replace(one, text=NASTY, remedy=NASTY) for one in status.secrets[3].problems),
    )
    workloads = (replace(status.workloads[0], runs_as=NASTY, role=NASTY),)
    nasty = replace(status, stack=NASTY, secrets=(*status.secrets[:3], secret), workloads=workloads)
    tab.open(written(tmp_path, nasty))
    assert tab.value("document.images.length + document.scripts.length") == 0
    assert tab.value(f"document.body.textContent.split({NASTY!r}).length") > 8
    assert tab.named("Log.entryAdded") == []

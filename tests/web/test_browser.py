"""The page in a real browser: on a phone and on a desk, light and dark, with and without scripts."""

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from html import escape, unescape
from typing import Any

import pytest

from reconciler.web.seen import Seen
from tests.conftest import Parts
from tests.parts.browser import OPTIONS, SECONDS, Browser, Scheme, browser
from tests.report.example import MIB, actions
from tests.report.fleets import fleet_of
from tests.web.place import Served, a_bad_day

# What a person would see: how wide the page is, how well each text stands out, and where the keyboard leads.
LOOK = """<script>
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
function ground(element) {
  for (; element; element = element.parentElement) {
    const [r, g, b, alpha = 1] = channels(getComputedStyle(element).backgroundColor);
    if (alpha === 1) return [r, g, b];
  }
}
const texts = [];
for (const walker = document.createTreeWalker(document.querySelector("body"), NodeFilter.SHOW_TEXT); walker.nextNode();) {
  const element = walker.currentNode.parentElement, words = walker.currentNode.data.trim();
  if (!words || !element.checkVisibility() || ["SCRIPT", "NOSCRIPT"].includes(element.tagName)) continue;
  const [a, b] = [light(channels(getComputedStyle(element).color)), light(ground(element))];
  const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  texts.push([words.slice(0, 60), contrast, parseFloat(getComputedStyle(element).fontSize)]);
}
const reached = [...document.querySelectorAll("a, button, input, [tabindex='0']")].filter((item) => item.checkVisibility());
const small = reached.filter((item) => item.matches("nav a, button, input") && item.getBoundingClientRect().height < 24);
document.querySelector(".skip").classList.add("focused"); // a page without a window has no focus
const skip = document.querySelector(".skip").getBoundingClientRect();
const wide = [...document.querySelectorAll("body *")].filter((item) => !item.closest(".scroll") && !item.matches(".unseen"))
  .filter((item) => item.getBoundingClientRect().right > innerWidth + 1).map((item) => item.outerHTML.slice(0, 80));
parent.document.getElementById("answer").textContent = JSON.stringify({
  width: innerWidth, page: document.documentElement.scrollWidth, wide, texts, small: small.map((item) => item.outerHTML),
  ground: getComputedStyle(document.body).backgroundColor,
  skip: [skip.left, skip.top], image: document.images.length ? document.images[0].getBoundingClientRect().width : 0,
});
</script>"""

# A window has 500 pixels at least, a frame in it may have fewer.
FRAME = """<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><pre id="answer"></pre>
<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>"""


@pytest.fixture(scope="module")
def chromium(parts: Parts) -> Iterator[Browser]:
    with parts.running(browser()) as opened:
        yield opened


def alone(site: Served, path: str) -> str:
    """A page with everything that it refers to in it, and without its script."""
    page, style = site.page(path).text, site.ask("/style.css").text.replace(".skip:focus", ".skip.focused")
    page = re.sub(
        r'<link rel="(icon|stylesheet)"[^>]*>|<script src[^>]*></script>|<noscript>.*?</noscript>', "", page
    )
    drawn = base64.b64encode(site.ask("/status.svg").body).decode()
    page = re.sub(r'src="/status\\.svg[^"]*"', f'src="data:image/svg+xml;base64,{drawn}"', page)
    return page.replace("</head>", f"<style>{style}</style></head>").replace("</body>", f"{LOOK}</body>")


def busy(site: Served) -> None:
    """A bad day, and the next run under way."""
    a_bad_day(site.live)
    site.live.began()
    wiki = actions()["wiki"]
    site.live.planned(site.live.seen().plan or pytest.fail("no plan"))
    site.live.started(wiki)
    site.live.advanced(wiki.target, 200 * MIB)
    site.live.said("copy-pre in wiki", "x" * 300)


def visit(chromium: Browser, address: str, scheme: Scheme = "light") -> tuple[str, str]:
    """Open a page and let ten seconds pass there; what it has become, and what the browser had to say about it."""
    command = [
        chromium.binary,
        *OPTIONS,
        f"--user-data-dir={chromium.folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={1 if scheme == 'light' else 0}",
        "--window-size=1600,900",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        "--dump-dom",
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def measure(chromium: Browser, page: str, scheme: Scheme, width: int) -> Any:
    """What ``LOOK`` finds."""
    path = chromium.folder / "page.html"
    path.write_text(FRAME.format(width=width, page=escape(page)))
    dom, _ = visit(chromium, path.as_uri(), scheme)
    return json.loads(unescape(dom.partition('<pre id="answer">')[2].partition("</pre>")[0]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_everything_fits_and_can_be_read(chromium: Browser, site: Served, width: int, scheme: Scheme) -> None:
    busy(site)
    paths = ("/", "/targets/shop-db/dump" if scheme == "dark" else "/runs/20260120T030512Z")
    for path in paths:
        seen = measure(chromium, alone(site, path), scheme, width)
        assert seen["wide"] == [], path
        assert seen["page"] <= seen["width"], path
        assert [text for text in seen["texts"] if text[1] < 4.5] == [], "contrast of WCAG AA"
        assert min(size for _, _, size in seen["texts"]) >= 12, path
        assert seen["width"] == width
        assert seen["ground"] == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")
        assert len(seen["texts"]) > 20
        assert seen["small"] == []
        left, top = seen["skip"]
        assert 0 <= left < 50, "the link that leads past the head shows itself to the keyboard"
        assert 0 <= top < 50
        assert path != "/" or 320 < seen["image"] <= 376


class Turning:
    """What the page asks the service for; something happens to the service once the first page was seen."""

    def __init__(self, site: Served, then: Callable[[], object]) -> None:
        self.asked = 0
        self._seen = site.live.seen
        self._then = then

    def seen(self) -> Seen:
        self.asked += 1
        if self.asked >= 4:  # the page, its picture, and the first look of its script
            self._then()
        return self._seen()


def test_the_page_keeps_itself_fresh(
    chromium: Browser, site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(site)
    turning = Turning(site, lambda: site.live.ended(fleet_of(3)))
    monkeypatch.setattr(site.live, "seen", turning.seen)
    page, console = visit(chromium, f"http://{site.address}/")
    assert "service-1/data" in page
    assert "/targets/shop-db/dump" not in page
    assert '<p id="lost" class="box bad" role="alert" hidden' in page
    assert console == "", "no policy was broken, nothing was missing"


def test_it_says_when_the_service_is_gone(
    chromium: Browser, site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise ConnectionResetError

    busy(site)
    monkeypatch.setattr(site.live, "seen", Turning(site, gone).seen)
    page, _ = visit(chromium, f"http://{site.address}/")
    assert "/targets/grafana/data" in page, "what it said last stays"
    assert '<p id="lost" class="box bad" role="alert">' in page

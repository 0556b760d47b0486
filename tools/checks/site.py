"""Fail if a page of a built site asks another host for something, or links to nothing.

    python tools/checks/site.py build/site

A link that a person may click can lead anywhere; a script, style, picture, font or frame cannot.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADED = {"src", "srcset", "poster", "data", "action", "background"}
ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*['"]?([^'")\s]+)""")
CALLS = re.compile(
    r"""(?:fetch|import|importScripts|Worker|WebSocket|EventSource)\(\s*["'`]([^"'`]+)"""
)


class Page(HTMLParser):
    """What a page loads, where it links to, and which anchors it has."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.anchors, self.inside = [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        for name, value in attrs:
            if name in ("id", "name"):
                self.anchors.add(value)
            elif name == "srcset":
                self.loaded += re.findall(r"(?:^|,\s*)([^\s,]+)", value or "")
            elif name in LOADED or (tag == "link" and name == "href"):
                self.loaded.append(value or "")
            elif name == "href" and tag != "base":
                self.links.append(value or "")
            elif name == "style":
                self.loaded += IN_STYLES.findall(value or "")

    def handle_endtag(self, _):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in ("style", "script"):
            self.loaded += (IN_STYLES if self.inside == "style" else CALLS).findall(data)


def faults(site):
    """Yield a line for each request to another host, and each link within the site to nothing."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    for path, page in sorted(pages.items()):
        shown = path.relative_to(site.resolve())
        yield from (f"{shown}: loads {url}" for url in page.loaded if ELSEWHERE.match(url))
        for url in [*page.loaded, *page.links]:
            if re.match(r"[a-z]+:|//", url, re.IGNORECASE):
                continue
            name, _, anchor = unquote(url).partition("#")
            name = name.partition("?")[0]
            linked = (path.parent / name).resolve() if name else path
            if not linked.exists():
                yield f"{shown}: no file {url}"
            elif anchor and linked in pages and anchor not in pages[linked].anchors:
                yield f"{shown}: no anchor {url}"
    for pattern, found in (("*.css", IN_STYLES), ("*.js", CALLS)):
        for path in sorted(site.rglob(pattern)):
            urls = found.findall(path.read_text("utf-8"))
            yield from (f"{path.relative_to(site)}: loads {u}" for u in urls if ELSEWHERE.match(u))


if __name__ == "__main__":
    site = Path(sys.argv[1])
    found = list(faults(site))
    print(*found, sep="\n", end="\n" if found else "")
    pages = len(list(site.rglob("*.html")))
    print(f"{site}: {pages} pages, {len(found)} faults")
    sys.exit(bool(found))

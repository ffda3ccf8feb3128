"""Small pages for people: HTML without scripts, under a policy that lets them load nothing.

The text of a page is constant: it never has personal data, nor anything that a request or another server sent, except
for the addresses of links, which are escaped.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape

from starlette.responses import HTMLResponse

from app.http.refusals import UNTRANSFORMED

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2126; --paper: #fff; --action: #0b5563; --on-action: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf0; --paper: #12181c; --action: #8fd6e3; --on-action: #12181c }
}
body { background: var(--paper); color: var(--ink); font: 1.125rem/1.6 system-ui, sans-serif; margin: 0 }
main { margin: 15vh auto 2rem; max-width: 34rem; padding: 0 1.5rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem }
a, button { border-radius: 6px; display: inline-block; font: inherit; margin-top: 0.5rem; padding: 0.5rem 1rem }
a, button { background: var(--action); border: 2px solid transparent; color: var(--on-action); cursor: pointer }
a { text-decoration: underline }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 3px }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Turnup</title>
<link rel="icon" href="data:,">
<style>{style}</style>{refresh}
</head>
<body>
<main>
<h1>{title}</h1>
{paragraphs}
{action}
</main>
</body>
</html>
"""
POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
        "img-src data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Cache-Control": UNTRANSFORMED,
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The header fields of pages, and of redirects from one to another."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way on: an address and what is written on it. With `follows`, the browser goes there by itself."""

    label: str
    href: str
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Button:
    """A form without fields that is sent by POST."""

    label: str
    action: str


def page(
    title: str,
    *paragraphs: str,
    action: Link | Button | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page: its title, which is also its heading, its sentences, and at most one way on."""
    refresh = ""
    match action:
        case Link(label, href, follows):
            shown = f'<a href="{escape(href)}">{escape(label)}</a>'
            if follows:
                refresh = f'\n<meta http-equiv="refresh" content="0; url={escape(href)}">'
        case Button(label, address):
            shown = f'<form method="post" action="{escape(address)}"><button>{escape(label)}</button></form>'
        case _:
            shown = ""
    body = _PAGE.format(
        title=escape(title),
        style=_STYLE,
        refresh=refresh,
        paragraphs="\n".join(f"<p>{escape(each)}</p>" for each in paragraphs),
        action=shown,
    )
    return HTMLResponse(body, status, {**HEADERS, **(headers or {})})

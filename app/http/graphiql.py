"""The GraphiQL page: files built from web/, served under their own content security policy.

The page loads nothing from other hosts and uses nothing inline except styles, which its editor generates. While the
files are missing, a page that gives the reason is served; it reloads itself.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.http.caching import IMMUTABLE, entity_tag, revalidated
from app.http.content_coding import LEVELS_TO_KEEP, Coding, accept_encoding, accepted, compressed
from app.http.loopback import is_loopback_address, is_loopback_authority
from app.http.refusals import UNTRANSFORMED

PAGE = "/graphiql"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_STORE = {**HEADERS, "Cache-Control": "no-store"}
WITH_TOKENS = {**HEADERS, "Cache-Control": UNTRANSFORMED}
KEPT = {**HEADERS, "Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}  # the names contain a hash
AGAIN = {**NO_STORE, "Retry-After": "3"}

# The header fields that browsers and command-line clients send by themselves, in addition to sec-*. Proxies and tunnels
# add others, under hundreds of names.
OF_CLIENTS = frozenset({
    "accept", "accept-charset", "accept-encoding", "accept-language", "authorization", "cache-control", "connection",
    "content-length", "content-type", "cookie", "dnt", "host", "if-modified-since", "if-none-match", "keep-alive",
    "origin", "pragma", "priority", "referer", "te", "upgrade-insecure-requests", "user-agent", "x-request-id",
    "x-requested-with",
})  # fmt: skip
NOT_LOCAL = "Development tokens are only for the GraphiQL page on the server's own machine, without a proxy."
NOT_READY = "The GraphiQL page is not built. Open it in a browser to see the reason."

# Fixed here, because a machine's own table may map .js to text/plain, which nosniff then blocks.
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".ttf": "font/ttf"}
MOST_COMPRESSED = 256
"""Compressed files that are kept in memory; the page has fewer, and their names change with their content."""
ASSET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")

MISSING = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Turnup GraphiQL</title>{refresh}
<style>:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 40rem; padding: 0 1rem }}</style>
</head>
<body><h1>GraphiQL is not ready</h1>{reason}
<p>The API is available at <code>/graphql</code>.</p>
</body>
</html>
"""
COMING = """<p>In development, the first start of the server builds the page, which can take some minutes; this page
reloads itself until then. In production, and to build it by hand, run <code>python3 deploy/graphiql.py</code> in the
checkout.</p>"""
FAILED = """<p>The page could not be built: {why}</p>
<p>Fix the cause, run <code>python3 deploy/graphiql.py</code>, then reload.</p>"""
REFRESH = '<meta http-equiv="refresh" content="3">'


def graphiql_routes(dist: Path, config: Callable[[], Mapping[str, object]]) -> list[BaseRoute]:
    """Return the routes of the page built into `dist`.

    `config` is called each time the page opens and must return JSON: `mode` is "development" or "production"; `signIn`,
    optional, is whether people sign in at /auth/login; `people`, in development only, is `[{role, name, email,
    token}]`, the users that the page can sign in as, the default first; `tabs`, optional, is `[{example, variables}]`
    with values for the variables of the examples in web/src/examples.
    """

    def page(request: Request) -> Response:
        index = dist / "index.html"
        if not index.is_file():
            return _missing(dist, for_people="text/html" in request.headers.get("accept", ""))
        content = index.read_bytes()
        if not request.url.path.endswith("/"):
            content = content.replace(b'"./', b'"./graphiql/')  # the addresses in the page are relative
        headers = {**HEADERS, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        return revalidated(request, HTMLResponse(content, headers=headers), entity_tag(content))

    def settings(request: Request) -> Response:
        found = config()
        if "people" in found and not (_is_local(request) and _is_of_the_page(request)):
            return PlainTextResponse(NOT_LOCAL, status_code=403, headers=NO_STORE)
        return JSONResponse(dict(found), headers=WITH_TOKENS)

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        file = dist / "assets" / name
        if not ASSET_NAME.fullmatch(name) or not file.is_file():
            return PlainTextResponse("Not Found", status_code=404, headers=NO_STORE)
        media_type, coding = MEDIA_TYPES.get(file.suffix), accepted(accept_encoding(request.scope)).coding
        if media_type is None or coding is None:
            return Response(file.read_bytes(), headers=KEPT, media_type=media_type)
        return Response(
            compressed_file(file, coding), headers={**KEPT, "Content-Encoding": coding}, media_type=media_type
        )

    @lru_cache(MOST_COMPRESSED)
    def compressed_file(file: Path, coding: Coding) -> bytes:
        return compressed(file.read_bytes(), coding, LEVELS_TO_KEEP)

    return [
        Route(PAGE, page),
        Route(f"{PAGE}/", page),
        Route(f"{PAGE}/config.json", settings),
        Route(f"{PAGE}/assets/{{name}}", asset),
    ]


def _is_local(request: Request) -> bool:
    """Return whether the request was sent on this machine to this machine, directly.

    The name in Host excludes pages whose name was pointed at this machine (DNS rebinding). A proxy or a tunnel on this
    machine connects from a loopback address for clients anywhere. It is recognized by the header fields that it adds,
    or by HTTP/1.0, which no browser speaks any more.
    """
    hosts = request.headers.getlist("host")
    return (
        request.client is not None
        and is_loopback_address(request.client.host)
        and len(hosts) == 1
        and is_loopback_authority(hosts[0])
        and all(name in OF_CLIENTS or name.startswith("sec-") for name in request.headers)
        and request.scope["http_version"] != "1.0"
    )


def _is_of_the_page(request: Request) -> bool:
    """Return whether the page itself asks: a page of another local server must not read its tokens by CORS."""
    own = {f"{scheme}://{request.headers['host']}" for scheme in ("http", "https")}
    sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    return {"same-origin", "none"}.issuperset(sites) and own.issuperset(origins)


def _missing(dist: Path, *, for_people: bool) -> Response:
    """Return the page that explains why the files are missing, or one sentence for other clients than browsers.

    deploy/graphiql.py writes the reason of a failed build beside `dist`.
    """
    if not for_people:
        return PlainTextResponse(NOT_READY, status_code=503, headers=AGAIN)
    try:
        why = dist.with_name(f"{dist.name}.failed").read_text(encoding="utf-8")
    except OSError:
        body = MISSING.format(refresh=REFRESH, reason=COMING)
    else:
        body = MISSING.format(refresh="", reason=FAILED.format(why=escape(why)))
    return HTMLResponse(body, status_code=503, headers=AGAIN)

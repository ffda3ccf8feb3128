"""Debian's nginx and HAProxy with TLS, as docs/deployment.md configures them, in front of servers."""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.auth.keys import trusting
from tests.cli.turnup import eventually, free_port
from tests.faults.behind_nginx import block, listens, nginx, replaced
from tests.needs import needs
from tests.tls.authority import Authority

HOST = "127.0.0.1"
PREFIX = "/turnup"
"""The path of the shared host in docs/deployment.md."""
FIRST_RULE = "    http-request set-header X-Forwarded-Proto https\n"


@dataclass(frozen=True)
class Front:
    """A proxy as its clients reach it."""

    name: str
    port: int
    ca_file: Path
    log: Callable[[], str]
    """Returns the lines of the log of requests."""

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def client(self, address: str = HOST) -> httpx.Client:
        """A client at an address of this machine, which keeps its connections."""
        transport = httpx.HTTPTransport(verify=trusting(self.ca_file), local_address=address, trust_env=False)
        return httpx.Client(base_url=self.url, transport=transport, timeout=60)


@contextmanager
def nginx_front(folder: Path, ports: list[int], *, prefix: bool = False, port: int | None = None) -> Iterator[Front]:
    """Run nginx with TLS and HTTP/2, with `prefix` for a path of its host."""
    authority = Authority(folder, "private")
    text = nginx_under_a_path() if prefix else ""
    with nginx(folder, ports, text, port=port, certificate=authority.certificate(HOST)) as listening:
        yield Front("nginx", listening, authority.ca_file, (folder / "turnup.log").read_text)


def nginx_under_a_path() -> str:
    """Return a page with the configuration of nginx as the section about a shared host changes it."""
    site, shared = block("nginx", "upstream turnup {"), block("nginx", "location /turnup/ {")
    (common,) = re.findall(r"^    location / \{\n *proxy_pass [^\n]*\n(.*?)^    \}\n", site, re.MULTILINE | re.DOTALL)
    shared = replaced(shared, r"^ +# as in location /\n", common)
    changed = replaced(site, r"^    location / \{\n(?s:.*?)^    \}\n", shared.replace("\\", r"\\"))
    changed = replaced(changed, r"^    location = /metrics \{\n(?s:.*?)^    \}\n", "")
    return f"```nginx\n{changed}```\n"


@contextmanager
def haproxy_front(folder: Path, ports: list[int], *, prefix: bool = False, port: int | None = None) -> Iterator[Front]:
    """Run HAProxy with TLS and HTTP/2, with `prefix` for a path of its host."""
    authority = Authority(folder, "private")
    certificate = authority.certificate(HOST)
    both = folder / "both.pem"
    both.write_bytes(certificate.certificate.read_bytes() + certificate.key.read_bytes())
    port = port or free_port()
    text = block("haproxy", "frontend turnup")
    text = replaced(text, r"bind :443 ssl crt \S+", f"bind {HOST}:{port} ssl crt {both}")
    text = replaced(text, r"^    log /dev/log local0\n", "    log stdout format raw local0\n")
    servers = "".join(f"    server turnup{port} 127.0.0.1:{port}\n" for port in ports)
    text = replaced(text, r"(?:^    server turnup\d .*\n)+", servers)
    if prefix:
        rules = block("haproxy", "replace-path")
        text = replaced(text, re.escape(FIRST_RULE), (rules + FIRST_RULE).replace("\\", r"\\"))
    (folder / "haproxy.cfg").write_text(text)
    log = folder / "haproxy.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [needs("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            eventually(lambda: listens(port) or process.poll() is not None, within=30)
            assert process.poll() is None, log.read_text()
            yield Front("haproxy", port, authority.ca_file, log.read_text)
        finally:
            process.kill()  # SIGTERM leaves requests in progress to their timeouts


FRONTS: Mapping[str, Callable[..., AbstractContextManager[Front]]] = {"nginx": nginx_front, "haproxy": haproxy_front}

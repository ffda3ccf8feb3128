"""PostgreSQL 15 with TLS on a port of localhost, with Turnup's roles."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.postgres.roles import roles_sql
from tests.bare_postgresql import BarePostgresql, bare_postgresql

from .authority import Certificate


@dataclass(frozen=True, slots=True)
class TlsServer(BarePostgresql):
    """A running PostgreSQL; `url` gives a role's URL of it."""

    passwords: dict[str, str]

    def url(self, role: str, host: str = "localhost", **query: object) -> str:
        """Return the URL for a role, with the options of the driver in the query."""
        options = "&".join(f"{name}={value}" for name, value in query.items())
        return f"postgresql://{role}:{self.passwords[role]}@{host}:{self.port}/turnup?{options}"


@contextmanager
def tls_server(programs: Path, certificate: Certificate) -> Iterator[TlsServer]:
    """PostgreSQL that shows a certificate; it accepts only TLS on its port."""
    with bare_postgresql(programs, "hostssl all all localhost scram-sha-256") as bare:
        passwords = {role: secrets.token_urlsafe(16) for role in ("turnup_owner", "turnup_app")}
        server = TlsServer(bare.port, bare.folder, bare.programs, passwords)
        shown = bare.keep(certificate.certificate, "server.crt"), bare.keep(certificate.key, "server.key")
        for name, path in zip(("ssl_cert_file", "ssl_key_file"), shown, strict=True):
            server.run(f"ALTER SYSTEM SET {name} = '{path}'")
        server.run("ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()")
        server.run(roles_sql(passwords["turnup_owner"], passwords["turnup_app"]))
        yield server

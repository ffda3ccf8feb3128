"""Trusted documents: the ones that operators took from the builds of their clients, prepared before any request.

They are not evicted, unlike documents that clients send. A request names one by its SHA-256. Clients cannot add any.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from app.domain.credential import Credential, CredentialKind
from app.query_cost.limits import DocumentTooComplex
from app.query_cost.price import PriceRules, check_price
from graphql_schema.documents import Documents, Operation, Prepared
from graphql_schema.errors import RequestRefused, refused
from graphql_schema.manifests import LONGEST_SHOWN, Listed, ManifestRefused, described

MOST_TRUSTED = 1_000
"""The maximum number of trusted documents."""
MOST_TRUSTED_BYTES = 64 * 1024 * 1024
"""The maximum memory of trusted documents per process, without their plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPolicy:
    """Which documents requests may run."""

    by_hash: bool
    """Whether a request may name a document by its hash alone, and there are trusted ones."""
    only_trusted: bool
    """Whether the text of any other document is refused."""
    leads_send_text: bool
    """Whether that does not apply to leads who are signed in with a session, which only pages of this server use."""


ANY_TEXT = DocumentPolicy(by_hash=False, only_trusted=False, leads_send_text=False)


class TrustedDocuments:
    """The trusted documents of a process. A load replaces all of them; a request keeps the document that it runs."""

    def __init__(self, policy: DocumentPolicy) -> None:
        self.policy = policy
        self._by_hash: Mapping[str, Prepared] = {}

    def __len__(self) -> int:
        return len(self._by_hash)

    def get(self, document_hash: str) -> Prepared | None:
        """Return the trusted document with this SHA-256, None if there is none."""
        return self._by_hash.get(document_hash)

    @property
    def names(self) -> list[str]:
        """The distinct names of their operations, in the order of the manifests."""
        operations = (each for document in self._by_hash.values() for each in document.operations)
        return list(dict.fromkeys(each.name for each in operations if each.name is not None))

    async def load(
        self,
        listed: Mapping[str, Listed],
        documents: Documents,
        prices: PriceRules,
        plan: Callable[[Prepared, Operation], object],
    ) -> None:
        """Prepare, price and plan these documents, by SHA-256, and trust them instead of those before.

        Other tasks run between two documents. Raises ManifestRefused, after which those before stay trusted.
        """
        if len(listed) > MOST_TRUSTED:
            raise ManifestRefused(f"there are {len(listed):,} documents, more than {MOST_TRUSTED:,}")
        loaded: dict[str, Prepared] = {}
        weight = 0
        for document_hash, each in listed.items():
            loaded[document_hash] = prepared = self.get(document_hash) or _prepared(each, documents, prices, plan)
            weight += prepared.bytes
            if weight > MOST_TRUSTED_BYTES:
                raise ManifestRefused(f"the documents need more than {MOST_TRUSTED_BYTES:,} bytes of memory")
            await asyncio.sleep(0)
        self._by_hash = loaded

    def untrusted_allowed(self, credential: Credential) -> bool:
        """Return whether a request with this credential may send any text. A session counts for leads alone."""
        policy = self.policy
        is_session = credential.kind is CredentialKind.SESSION
        return not policy.only_trusted or (policy.leads_send_text and is_session)


def unknown(policy: DocumentPolicy) -> RequestRefused:
    """The refusal of a request that names a document by a hash, without its text, which is not trusted.

    The messages are those by which urql's client knows the two cases; Apollo's knows the codes as well.
    """
    if policy.by_hash:
        return _refusal("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    return _refusal("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")


def not_trusted() -> RequestRefused:
    """The refusal of a text that is not one of the trusted documents."""
    return _refusal("DOCUMENT_NOT_TRUSTED", "This server runs trusted documents only, and this document is not one.")


def _refusal(code: str, message: str) -> RequestRefused:
    return RequestRefused([refused(code, GraphQLError(message))])


def _prepared(
    listed: Listed, documents: Documents, prices: PriceRules, plan: Callable[[Prepared, Operation], object]
) -> Prepared:
    """A document of a manifest, with everything computed that requests need. Raises ManifestRefused."""
    named = f"{listed.file}: {described(listed.text)} is refused"
    try:
        prepared = documents.made(listed.text)
    except RequestRefused as refusal:
        message = refusal.errors[0]["message"][: 4 * LONGEST_SHOWN]
        raise ManifestRefused(f"{named}: {message}") from None
    for operation in prepared.operations:
        least: dict[str, Any] = dict.fromkeys(operation.variable_names, 1)  # pages of one item
        try:
            check_price(operation.price.given(least) + operation.introspection.given(least).objects, prices)
        except DocumentTooComplex as error:
            raise ManifestRefused(f"{named} even with the smallest pages: {error}") from None
        _ = operation.returned, operation.root_field_names
        plan(prepared, operation)
    return prepared

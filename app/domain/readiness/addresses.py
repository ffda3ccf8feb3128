"""Required address parts by country (after the Universal Postal Union's addressing systems)."""

_ALWAYS = ("line1", "city", "country")

# Countries where mail and emergency services need the state or province.
_WITH_STATE = frozenset({"AU", "BR", "CA", "CN", "IN", "MX", "US"})

# Countries without postal codes, or without postal codes in general use.
_WITHOUT_ZIPCODE = frozenset(
    {
        "AE", "AG", "AO", "BF", "BI", "BJ", "BO", "BS", "BW", "BZ", "CD", "CF", "CG", "CI", "CM", "DJ",
        "DM", "ER", "FJ", "GA", "GD", "GM", "GQ", "GY", "HK", "JM", "KI", "KM", "KN", "KP", "ML", "MO",
        "MR", "MW", "NR", "QA", "RW", "SB", "SC", "SL", "SR", "ST", "TD", "TG", "TL", "TO", "TV", "UG",
        "VU", "YE", "ZW",
    }
)  # fmt: skip


def required_parts(country: str | None) -> tuple[str, ...]:
    """Return the required parts of an address in this country; an unknown country is assumed to have postal codes."""
    state = ("state",) if country in _WITH_STATE else ()
    zipcode = () if country in _WITHOUT_ZIPCODE else ("zipcode",)
    return _ALWAYS + state + zipcode

"""The version of the product. No other file holds it; `make release` cuts a release of it."""

VERSION = "0.1.0"

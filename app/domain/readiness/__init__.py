"""Readiness: pure rules that list every issue of a location at once.

The same function serves preview, submission, bulk operations, approval and payload generation.
"""

from app.domain.readiness.engine import blocking, readiness
from app.domain.readiness.outside import NOTHING_OUTSIDE, Outside

__all__ = ["NOTHING_OUTSIDE", "Outside", "blocking", "readiness"]

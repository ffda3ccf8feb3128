"""Starts servers that measure the gauges of the business as many times as often as the rules are quicker."""

from app.operations.gauges import EVERY_SECONDS, FIRST_SECONDS, run_gauges
from tests.monitoring.rules import FACTOR
from tests.outages.stem import take_orders

if __name__ == "__main__":
    run_gauges.__kwdefaults__ = {"first_seconds": FIRST_SECONDS / FACTOR, "every_seconds": EVERY_SECONDS / FACTOR}
    take_orders()

"""The configuration of HAProxy in docs/deployment.md fits the settings of the server there."""

import re

from tests.faults.behind_nginx import block, settings_of_page

CONFIGURATION = block("haproxy", "frontend turnup")


def test_haproxy_takes_an_instance_out_before_it_stops_to_listen() -> None:
    ((interval, failures),) = re.findall(r"check inter (\d+)s fall (\d+) ", CONFIGURATION)
    assert int(interval) * (int(failures) + 1) < float(settings_of_page()["TURNUP_STOP_DELAY_SECONDS"])


def test_haproxy_waits_longer_than_the_server_works_on_a_request() -> None:
    (waits,) = re.findall(r"timeout server (\d+)s", CONFIGURATION)
    assert int(waits) > float(settings_of_page()["TURNUP_LIMIT_DEADLINE_SECONDS"]) + 1


def test_haproxy_repeats_no_request_that_an_instance_has_received() -> None:
    assert "retry-on" not in CONFIGURATION

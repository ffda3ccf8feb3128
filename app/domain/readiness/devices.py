"""Devices: each must be identifiable by the partner, and its data must be consistent."""

from collections import Counter
from collections.abc import Iterator

from app.domain.content import Device, LocationContent
from app.domain.issue import Issue
from app.domain.mac_address import is_locally_administered, is_multicast, show_mac
from app.domain.readiness.findings import issue
from app.domain.readiness.makers import other_maker
from app.domain.readiness.outside import Outside
from app.domain.vocabulary import IssueCode

_ALL_ZERO = "0" * 12


def present(content: LocationContent, _: Outside) -> Iterator[Issue]:
    if not content.devices:
        yield issue(IssueCode.DEVICE_MISSING, "/devices")


def model(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    known = None if outside.models is None else {(brand, name.casefold()) for brand, name in outside.models}
    for device in content.devices:
        path = f"/devices/{device.id}/model"
        if not device.model:
            yield issue(IssueCode.MODEL_MISSING, path)
        elif known is not None and (device.brand, device.model.casefold()) not in known:
            yield issue(IssueCode.MODEL_NOT_IN_CATALOGUE, path, brand=device.brand, model=device.model)


def mac_present(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for device in content.devices:
        if not device.mac_address:
            yield issue(IssueCode.MAC_MISSING, _path(device))


def mac_assignable(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for device, mac in _with_macs(content):
        if mac == _ALL_ZERO:
            yield issue(IssueCode.MAC_ALL_ZERO, _path(device))
        if is_multicast(mac):
            yield issue(IssueCode.MAC_MULTICAST, _path(device), mac=show_mac(mac))
        if is_locally_administered(mac):
            yield issue(IssueCode.MAC_LOCALLY_ADMINISTERED, _path(device), mac=show_mac(mac))


def mac_once(content: LocationContent, _: Outside) -> Iterator[Issue]:
    counts = Counter(mac for _, mac in _with_macs(content))
    for device, mac in _with_macs(content):
        if counts[mac] > 1:
            yield issue(IssueCode.MAC_TWICE, _path(device), mac=show_mac(mac), count=counts[mac])


def mac_free(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    for device, mac in _with_macs(content):
        if mac in outside.claimed_elsewhere:
            owner = outside.claimed_elsewhere[mac] or "another location"
            yield issue(IssueCode.MAC_IN_USE, _path(device), mac=show_mac(mac), owner=owner)


def mac_of_the_maker(content: LocationContent, _: Outside) -> Iterator[Issue]:
    for device, mac in _with_macs(content):
        maker = other_maker(mac, device.brand)
        if maker:
            yield issue(
                IssueCode.MAC_OF_ANOTHER_MAKER, _path(device), mac=show_mac(mac), maker=maker, brand=device.brand
            )


def extension(content: LocationContent, _: Outside) -> Iterator[Issue]:
    rung = {row.device_id for row in content.extensions}
    for device in content.devices:
        if device.id not in rung:
            yield issue(IssueCode.DEVICE_WITHOUT_EXTENSION, f"/devices/{device.id}/extension")


def mac_live_twice(content: LocationContent, outside: Outside) -> Iterator[Issue]:
    paths = {mac: _path(device) for device, mac in _with_macs(content)}
    for mac, holder in sorted(outside.live_twice.items()):
        path = paths.get(mac, "/devices")
        yield issue(IssueCode.MAC_LIVE_TWICE, path, mac=show_mac(mac), other=holder or "another location")


RULES = (present, model, mac_present, mac_assignable, mac_once, mac_free, mac_live_twice, mac_of_the_maker, extension)


def _with_macs(content: LocationContent) -> Iterator[tuple[Device, str]]:
    return ((device, device.mac_address) for device in content.devices if device.mac_address)


def _path(device: Device) -> str:
    return f"/devices/{device.id}/macAddress"

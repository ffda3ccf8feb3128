"""What exported spans and metrics belong to: this service, in its version, as OpenTelemetry describes it."""

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from app.telemetry.logging import SERVICE


def resource_of(service_version: str, instance_id: str | None = None) -> Resource:
    """Return the resource of this service. The attributes of OpenTelemetry's environment variables replace these."""
    own = {"service.name": SERVICE, "service.version": service_version}
    if instance_id is not None:
        own["service.instance.id"] = instance_id
    return Resource.create(own).merge(OTELResourceDetector().detect())

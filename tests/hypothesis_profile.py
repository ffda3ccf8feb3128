"""The Hypothesis profile: no deadlines or health checks on speed, because they depend on the machine's load."""

from hypothesis import HealthCheck, settings

settings.register_profile("turnup", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("turnup")

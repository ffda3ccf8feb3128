"""How drawn tests run: how long an example takes, or takes to draw, tells of the machine and fails nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("turnup", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("turnup")

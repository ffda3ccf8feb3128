"""How drawn tests run: how long an example takes, or takes to draw, tells of the machine and fails nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "turnup",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=False,  # Hypothesis's own profile for CI would try the same examples in every run
    print_blob=True,
)
settings.load_profile("turnup")

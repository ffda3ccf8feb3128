"""Processes that count together when the disk of their folder is full, or becomes it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import ROOT, unavailable

# Starts in a folder whose file system has this many kB left, counts 300 fields, and again when there is space.
PROCESS = """
import os, sys
from dataclasses import replace
from pathlib import Path
filler = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).parent / "filler"
filler.write_bytes(b"x" * 1024 * (4096 - int(sys.argv[1])))
from app.telemetry import shared_files
from app.telemetry.metrics import start_metrics
from tests.telemetry.test_metrics import DECLARED
shared_files.AGAIN_SECONDS = 0
metrics = start_metrics("1.2.3")
fields = [f"field{number}" for number in range(300)]
metrics.declare(replace(DECLARED, fields=fields))
def shown(times):
    for name in fields:
        metrics.request("ok", {name: ("ok", ())}, 0.1)
    lines = metrics.render().decode().splitlines()
    series = [line for line in lines if line.startswith("turnup_request_duration_seconds_count{")]
    return sum(line.endswith(f" {times}.0") for line in series)
full = shown(1)
filler.unlink()
print(full < 300, shown(2))
"""

# Counts once, as do 15 children, which end one after the other while two others read all the time: what these see never
# becomes less. Prints whether that is so, what is seen at last, and the files of ended processes.
ENDING = """
import os
from pathlib import Path
from app.telemetry.metrics import start_metrics
from prometheus_client.parser import text_string_to_metric_families
folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
metrics = start_metrics("1.2.3")
def count():
    metrics.override_opened()
    metrics.approval_processed(60)
def seen():
    families = text_string_to_metric_families(metrics.render().decode())
    values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
    return [values[f"turnup_{name}"] for name in (
        "overrides_opened_total", "approval_processing_seconds_count", "approval_processing_seconds_sum")]
def read(end):
    last = [0.0, 0.0, 0.0]
    while not end.exists():
        now = seen()
        if any(after < before for before, after in zip(last, now)):
            os._exit(1)
        last = now
    os._exit(0)
count()
end = folder / "end"
readers = []
for _ in range(2):
    pid = os.fork()
    if not pid:
        read(end)
    readers.append(pid)
for _ in range(15):
    pid = os.fork()
    if not pid:
        count()
        os._exit(0)
    os.waitpid(pid, 0)
end.touch()
failed = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in readers]
shown = seen()
files = sorted(each.name for each in folder.glob("*.db") if str(os.getpid()) not in each.name)
print(failed, shown, files)
"""


@pytest.mark.parametrize("left", [0, 100, 400], ids=["nothing left", "one file", "no growth"])
def test_a_process_counts_on_a_full_disk_and_shows_all_when_there_is_space_again(tmp_path: Path, left: int) -> None:
    mounted = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && mkdir "$0/metrics" && exec "$@"']
    place = str(tmp_path)
    if shutil.which("unshare") is None or subprocess.run([*mounted, place, "true"], check=False).returncode:
        unavailable("a file system of its own", "unshare cannot mount one")
    ended = subprocess.run(
        [*mounted, place, sys.executable, "-c", PROCESS, str(left)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "True 300\n"


def test_the_counts_of_ended_processes_stay_in_one_file_of_each_kind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDING],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "[0, 0] [16.0, 16.0, 960.0] ['counter_ended.db', 'histogram_ended.db']\n"

"""A Dask cluster sends the requests: two worker processes on loopback.

Whatever a test does to the workers, none of them may outlive the cluster, nor any of its sockets
listen beyond this machine; and the caller is warned of nothing but a worker that was lost.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.chat_server import answer
from tests.support.people import person as persona
from tests.support.waiting import PATIENCE, until
from tinyfactory import TinyPersonFactory, control

CONTEXT = "A group of friends are on a camping trip."

# distributed warns if a disk takes a second to create a folder.
pytestmark = pytest.mark.filterwarnings("ignore:Creating scratch directories:UserWarning")


def counted(request):
    number = int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])
    return answer(persona(number))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers that are not visible on the network."""
    import dask
    from distributed import LocalCluster

    folder = tmp_path_factory.mktemp("dask")
    before = _children()
    with (
        dask.config.set(
            {
                "temporary-directory": str(folder),
                "distributed.admin.tick.limit": "60s",
                "distributed.comm.timeouts.connect": "120s",
                "distributed.comm.timeouts.tcp": "120s",
            }
        ),
        LocalCluster(
            n_workers=2, threads_per_worker=4, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster
    until(lambda: not _children() - before)


def _children() -> set[int]:
    """The running child processes, without multiprocessing's own helpers."""
    found, line = set(), [os.getpid()]
    while line:
        for task in Path(f"/proc/{line.pop()}/task").glob("*/children"):
            try:
                line += [int(pid) for pid in task.read_text().split()]
            except OSError:
                continue  # it ended just now
        found.update(line)
    return {pid for pid in found if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    helpers = b"multiprocessing.resource_tracker", b"multiprocessing.forkserver"
    return state != "Z" and not any(helper in command for helper in helpers)


def _addresses_listened_at(pids: set[int]) -> set[str]:
    """Listening addresses of these processes, as in /proc: 0100007F is 127.0.0.1."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(str(link.readlink()))
            except OSError:
                continue  # it was closed just now
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in inodes:
                found.add(columns[1].partition(":")[0])
    return found


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        yield client


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks into Linux's /proc")
@pytest.mark.timeout(600)
def test_only_this_machine_can_reach_the_cluster(client):
    workers = set(client.run(os.getpid).values())
    assert len(workers) == 2
    assert _addresses_listened_at(workers | {os.getpid()}) == {"0100007F"}


@pytest.mark.timeout(600)
def test_two_workers_make_the_same_people_as_none(serve, client, tmp_path):
    server = serve(rules=[counted])
    control.begin(tmp_path / "here")
    alike = TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8)
    control.begin(tmp_path / "there")
    factory = TinyPersonFactory(CONTEXT)
    asked = len(server.requests)
    with server.held_until(2):
        people = factory.generate_people(8, concurrency=8, executor=client.get_executor())
    assert people == alike and len(server.requests) == asked + 8
    control.begin(tmp_path / "there")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert control.cache_hits() == 8 and len(server.requests) == asked + 8


@pytest.mark.timeout(600)
def test_a_killed_worker_loses_nothing(serve, client, tmp_path, caplog):
    server = serve(rules=[counted], slow=0.4)
    client.wait_for_workers(2, timeout=PATIENCE)
    control.begin(tmp_path / "j")
    victim = next(iter(client.run(os.getpid).values()))
    factory = TinyPersonFactory(CONTEXT)
    job = factory.start_people(12, concurrency=6, executor=client.get_executor())
    while job.snapshot().done < 3:
        assert not job.snapshot().ended, job.snapshot().error
        time.sleep(0.02)
    before = [person.name for person in job.people]
    os.kill(victim, signal.SIGKILL)
    people = job.wait(500)
    assert [p.name for p in people] == [persona(number)["name"] for number in range(1, 13)]
    assert [p.name for p in people][: len(before)] == before
    assert job.snapshot().spent.calls == 12 <= len(server.requests)
    ours = [r for r in caplog.records if r.name.startswith("tinyfactory")]
    assert all("worker was lost" in r.message for r in ours if r.levelno >= logging.WARNING)
    asked = len(server.requests)
    control.begin(tmp_path / "j")  # as a new kernel: all that was committed is there
    assert TinyPersonFactory(CONTEXT).generate_people(12, concurrency=6) == people
    assert len(server.requests) == asked


@pytest.mark.timeout(600)
def test_the_same_request_twice_is_two_calls(serve, client):
    server = serve()
    executor = client.get_executor()
    for _ in range(2):
        TinyPersonFactory(CONTEXT).generate_people(1, executor=executor)
        control.reset()
    assert len(server.requests) == 2


@pytest.mark.timeout(600)
def test_cancelled_in_the_middle_it_goes_on_from_there(serve, client, tmp_path):
    server = serve(rules=[counted])
    server.allowed = 3
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    executor = client.get_executor()
    job = factory.start_people(10, concurrency=2, executor=executor)
    until(lambda: job.snapshot().done)
    job.cancel()
    server.allowed = math.inf
    job.join()
    done = len(job.people)
    assert 0 < done < 10
    assert len(factory.generate_people(10, concurrency=2, executor=executor)) == 10
    assert len(factory.generated_names) == 10

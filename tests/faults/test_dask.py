"""A cluster of Dask makes the calls: two workers in processes of their own, on loopback."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.support.chat_server import answer
from tests.support.people import person as persona
from tinyfactory import TinyPersonFactory, control

CONTEXT = "A group of friends are on a camping trip."


def counted(request):
    number = int(request.last_message.partition("<ordinal>")[2].partition("</ordinal>")[0])
    return answer(persona(number))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, which nobody on the network sees."""
    import dask
    from distributed import LocalCluster

    folder = tmp_path_factory.mktemp("dask")
    with (
        dask.config.set(
            {"temporary-directory": str(folder), "distributed.admin.tick.limit": "60s"}
        ),
        LocalCluster(
            n_workers=2, threads_per_worker=4, host="127.0.0.1", dashboard_address=None
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    from distributed import Client

    with Client(cluster) as client:
        yield client


@pytest.mark.timeout(180)
def test_two_workers_make_the_same_people_as_none(serve, client, tmp_path):
    server = serve(rules=[counted], slow=0.2)
    control.begin(tmp_path / "here")
    alike = TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8)
    control.begin(tmp_path / "there")
    factory = TinyPersonFactory(CONTEXT)
    asked = len(server.requests)
    people = factory.generate_people(8, concurrency=8, executor=client.get_executor())
    assert people == alike and len(server.requests) == asked + 8
    assert server.most_at_once > 1
    control.begin(tmp_path / "there")
    assert TinyPersonFactory(CONTEXT).generate_people(8, concurrency=8) == people
    assert control.cache_hits() == 8 and len(server.requests) == asked + 8


@pytest.mark.timeout(180)
def test_a_killed_worker_loses_nothing(serve, client, tmp_path):
    server = serve(rules=[counted], slow=0.4)
    control.begin(tmp_path / "j")
    workers = client.run(os.getpid)
    victim = next(iter(workers.values()))
    job = TinyPersonFactory(CONTEXT).start_people(12, concurrency=6, executor=client.get_executor())
    while job.snapshot().done < 3:
        time.sleep(0.02)
    os.kill(victim, signal.SIGKILL)
    people = job.wait(120)
    assert [p.name for p in people] == [persona(number)["name"] for number in range(1, 13)]
    assert job.snapshot().spent.calls == 12 <= len(server.requests)


@pytest.mark.timeout(180)
def test_the_same_request_twice_is_two_calls(serve, client):
    server = serve()
    executor = client.get_executor()
    for _ in range(2):
        TinyPersonFactory(CONTEXT).generate_people(1, executor=executor)
        control.reset()
    assert len(server.requests) == 2


@pytest.mark.timeout(180)
def test_cancelled_in_the_middle_it_goes_on_from_there(serve, client, tmp_path):
    serve(rules=[counted], slow=0.3)
    control.begin(tmp_path / "j")
    factory = TinyPersonFactory(CONTEXT)
    executor = client.get_executor()
    job = factory.start_people(10, concurrency=2, executor=executor)
    threading.Timer(1.0, job.cancel).start()
    job.join()
    done = len(job.people)
    assert 0 < done < 10
    assert len(factory.generate_people(10, concurrency=2, executor=executor)) == 10
    assert len(factory.generated_names) == 10

"""Tests cannot spend money, reach another machine, or touch the home folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guard import network_guard

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run a test file under the same isolation in a pytest of its own."""

    def run(source: str, *, keys: dict[str, str] | None = None) -> pytest.RunResult:
        for name, value in (keys or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # for speed
        pytester.makepyfile(source)
        pytester.makeini("[pytest]\nmarkers =\n    internet: exempt\n")
        return pytester.runpytest_subprocess(
            "-p", "tests.support.isolation", "-p", "no:cacheprovider"
        )

    return run


CONNECT = "import socket\ndef test_it():\n    socket.create_connection((%r, 9), timeout=1)\n"


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "2001:db8::1"])
def test_a_connection_elsewhere_fails_the_test(inner, host):
    result = inner(CONNECT % host)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{host}*"])


def test_a_swallowed_refusal_still_fails_the_test(inner):
    result = inner(
        """
        import socket
        def test_it():
            try:
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9))
            except Exception:
                pass
        """
    )
    result.assert_outcomes(failed=1)


def test_a_thread_and_a_subprocess_are_guarded_too(inner):
    result = inner(
        """
        import socket, subprocess, sys, threading
        def test_thread():
            def look_up():
                try:
                    socket.getaddrinfo("example.com", 80)
                except RuntimeError:
                    pass
            thread = threading.Thread(target=look_up)
            thread.start()
            thread.join()
        def test_subprocess():
            code = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
            subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        """
    )
    result.assert_outcomes(failed=2)


def test_loopback_and_unix_sockets_are_open(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))


@pytest.mark.parametrize("host", [None, "", b"localhost", "127.9.9.9", "::1", "0.0.0.0"])
def test_what_is_local(host):
    assert network_guard.is_local(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "10.0.0.1", "fe80::1%eth0", "localhost.example.com"])
def test_what_is_not_local(host):
    assert not network_guard.is_local(host)


def test_keys_and_home_of_the_user_are_out_of_reach(inner):
    result = inner(
        f"""
        import os, pathlib
        def test_it(tmp_path):
            assert not [n for n in os.environ if n.startswith(("OPENAI", "AZURE", "TINYFACTORY"))]
            assert "HTTPS_PROXY" not in os.environ
            assert str(pathlib.Path.home()) not in ({os.environ["HOME"]!r}, "/root")
            assert pathlib.Path.cwd() == tmp_path
        """,
        keys={
            "OPENAI_API_KEY": "sk-x",
            "AZURE_OPENAI_ENDPOINT": "https://example.com",
            "TINYFACTORY_MODEL": "gpt",
            "HTTPS_PROXY": "http://192.0.2.1:3128",
        },
    )
    result.assert_outcomes(passed=1)


def test_a_configured_key_is_gone_in_the_next_test(inner):
    result = inner(
        """
        from tinyfactory import settings
        def test_first():
            settings.configure(api_key="secret", model="offline")
        def test_second():
            assert settings.get("api_key") is None
            assert settings.get("model") is None
        """
    )
    result.assert_outcomes(passed=2)


def test_a_simulation_and_its_people_are_gone_in_the_next_test(inner):
    result = inner(
        """
        import tinyfactory
        from tinyfactory import control
        def test_first():
            tinyfactory.TinyPerson("Ana")
            tinyfactory.TinyFactory()
            control.begin()
        def test_second():
            assert control.current_simulation() is None
            assert tinyfactory.TinyPerson.all_people() == []
            assert not tinyfactory.TinyFactory.all_factories
        """
    )
    result.assert_outcomes(passed=2)


def test_a_subprocess_inherits_neither_key_nor_home():
    code = "import os; print(os.environ['HOME'], 'OPENAI_API_KEY' in os.environ)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == [os.environ["HOME"], "False"]

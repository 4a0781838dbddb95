from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import main
from bench.peers import Peer, Work
from bench.peers.etcd import EtcdPeer
from bench.peers.redis import RedisPeer
from bench.process import Unavailable


def test_list_names_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert named == ["server", "client", "ratelimit", "ycsb", "sql", "datamodel", "large"]


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "invalid choice: 'speed'" in capsys.readouterr().err


def test_without_the_load_generator_a_benchmark_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["server", "--scratch", str(tmp_path)]) == 1
    assert "apt-get install nghttp2-client" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    work = Work(scratch=tmp_path, seconds=1)
    absent: list[Peer] = [EtcdPeer(work, tmp_path / "etcd"), RedisPeer(work, tmp_path / "redis")]
    for peer in absent:
        with pytest.raises(Unavailable, match="apt-get install"), peer:
            pass

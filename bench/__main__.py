"""The command line of the benchmarks: `python -m bench [list | NAME] ...`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import server
from bench.client import run as client
from bench.datamodel import run as datamodel
from bench.datamodel.work import OPERATIONS
from bench.large import run as large
from bench.process import REPOSITORY, BenchError, Unavailable
from bench.ratelimit import run as ratelimit
from bench.report import Folders, say
from bench.sql import run as sql
from bench.ycsb import run as ycsb


@dataclass(frozen=True, slots=True)
class _Benchmark:
    about: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Folders], None]


def _configure_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run (default: 2)")
    parser.add_argument("--only", action="append", default=[], choices=server.CONTESTS, help="this contest only")
    parser.add_argument("--alone", action="store_true", help="only Petra and the echo, no other servers")


def _run_server(arguments: argparse.Namespace, folders: Folders) -> None:
    rounds, seconds = (2, 0.5) if arguments.quick else (arguments.repeat, arguments.seconds)
    server.measure(server.Options(rounds, seconds, arguments.only, arguments.alone), folders)


def _configure_client(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run (default: 2)")
    parser.add_argument("--only", action="append", default=[], choices=client.CONTESTS, help="this contest only")
    parser.add_argument("--alone", action="store_true", help="only Petra, without redis-py")


def _run_client(arguments: argparse.Namespace, folders: Folders) -> None:
    rounds, seconds = (1, 0.3) if arguments.quick else (arguments.repeat, arguments.seconds)
    client.measure(client.Options(rounds, seconds, arguments.only, arguments.alone), folders)


def _configure_ycsb(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workload", action="append", default=[], choices=list("ABCDEF"), help="this one only")
    parser.add_argument("--transport", choices=ycsb.TRANSPORTS, default="pipeline", help="default: pipeline")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each workload (default: 3)")
    parser.add_argument("--records", type=int, default=20_000, help="records loaded (default: 20,000)")
    parser.add_argument("--operations", type=int, default=40_000, help="operations of a run (default: 40,000)")
    parser.add_argument("--clients", type=int, default=2, help="client processes (default: 2)")
    parser.add_argument("--in-flight", type=int, default=32, help="operations in flight a client (default: 32)")
    parser.add_argument("--scan", choices=ycsb.SCANS, default="object", help="what E scans (default: object)")


def _run_ycsb(arguments: argparse.Namespace, folders: Folders) -> None:
    quick = arguments.quick
    options = ycsb.Options(
        workloads=arguments.workload or list("ABCDEF"),
        transport=arguments.transport,
        rounds=1 if quick else arguments.repeat,
        records=500 if quick else arguments.records,
        operations=1_000 if quick else arguments.operations,
        clients=arguments.clients,
        in_flight=arguments.in_flight,
        scan=arguments.scan,
    )
    ycsb.measure(options, folders)


def _configure_large(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--keys", type=int, default=10_000_000, help="keys of the large store (default: 10 million)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one run of reads (default: 5)")


def _run_large(arguments: argparse.Namespace, folders: Folders) -> None:
    quick = arguments.quick
    options = large.Options(
        rounds=2 if quick else arguments.repeat,
        keys=20_000 if quick else arguments.keys,
        seconds=0.5 if quick else arguments.seconds,
    )
    large.measure(options, folders)


def _configure_sql(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run (default: 2)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows loaded in bulk (default: a million)")
    parser.add_argument("--large-mib", type=int, default=1024, help="size of the large database (default: 1024)")
    parser.add_argument("--alone", action="store_true", help="without workerd")


def _run_sql(arguments: argparse.Namespace, folders: Folders) -> None:
    quick = arguments.quick
    options = sql.Options(
        rounds=1 if quick else arguments.repeat,
        seconds=0.3 if quick else arguments.seconds,
        rows=5_000 if quick else arguments.rows,
        large_bytes=(4 if quick else arguments.large_mib) << 20,
        alone=arguments.alone,
    )
    sql.measure(options, folders)


def _configure_datamodel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run (default: 3)")
    parser.add_argument("--records", type=int, default=100_000, help="records of the model (default: 100,000)")
    parser.add_argument("--connections", type=int, default=20, help="of the pool to PostgreSQL (default: 20)")
    parser.add_argument("--sql-cache-mib", type=int, default=0, help="sql_cache_bytes of Petra (default: its default)")
    parser.add_argument("--only", action="append", default=[], choices=OPERATIONS, help="this operation only")
    parser.add_argument("--alone", action="store_true", help="only Petra, without PostgreSQL")


def _run_datamodel(arguments: argparse.Namespace, folders: Folders) -> None:
    quick = arguments.quick
    options = datamodel.Options(
        rounds=1 if quick else arguments.repeat,
        seconds=0.3 if quick else arguments.seconds,
        records=2_000 if quick else arguments.records,
        only=arguments.only,
        alone=arguments.alone,
        connections=arguments.connections,
        sql_cache_mib=arguments.sql_cache_mib,
    )
    datamodel.measure(options, folders)


def _configure_ratelimit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run (default: 2)")
    parser.add_argument("--only", action="append", default=[], choices=ratelimit.CONTESTS, help="this contest only")


def _run_ratelimit(arguments: argparse.Namespace, folders: Folders) -> None:
    rounds, seconds = (1, 0.3) if arguments.quick else (arguments.repeat, arguments.seconds)
    ratelimit.measure(ratelimit.Options(rounds, seconds, arguments.only), folders)


_BENCHMARKS = {
    "server": _Benchmark("calls and batches against an echo, beside other servers", _configure_server, _run_server),
    "client": _Benchmark("a Python program with Petra's client, beside redis-py", _configure_client, _run_client),
    "ratelimit": _Benchmark("rate limits, beside the library `limits` on Redis", _configure_ratelimit, _run_ratelimit),
    "ycsb": _Benchmark("the six YCSB core workloads, each checked against a model", _configure_ycsb, _run_ycsb),
    "sql": _Benchmark("statements in objects, beside a SQLite file and workerd", _configure_sql, _run_sql),
    "datamodel": _Benchmark(
        "records of a data model, beside SQLModel on PostgreSQL", _configure_datamodel, _run_datamodel
    ),
    "large": _Benchmark("10 million keys: opening, memory, reads, after a crash", _configure_large, _run_large),
}


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    # Without a default of their own, so that a subcommand does not put back what stood before it.
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--quick", action="store_true", help="a few seconds, to see that it works; no figures to quote")
    shared.add_argument("--scratch", type=Path, help="where the servers keep their data (default: a temporary folder)")
    shared.add_argument(
        "--results", type=Path, help="where the results go (default: bench/results; quick: build/bench)"
    )
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, parents=[shared])
    commands = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK")
    commands.add_parser("list", help="name the benchmarks")
    for name, benchmark in _BENCHMARKS.items():
        benchmark.configure(commands.add_parser(name, help=benchmark.about, parents=[shared]))
    return parser.parse_args(argv, argparse.Namespace(quick=False, scratch=None, results=None))


def _run(name: str, arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix=f"petra-bench-{name}-", dir=arguments.scratch) as scratch:
        # What a quick run finds is not worth to be kept with the project.
        results = arguments.results or REPOSITORY / ("build/bench" if arguments.quick else "bench/results")
        say(f"== {name}: {_BENCHMARKS[name].about}")
        _BENCHMARKS[name].run(arguments, Folders(Path(scratch), results))


def main(argv: Sequence[str]) -> int:
    """Runs what the command line names, or every benchmark; the exit code."""
    arguments = _parse(argv)
    if arguments.benchmark == "list":
        for name, benchmark in _BENCHMARKS.items():
            print(f"{name:12}{benchmark.about}")
        return 0
    # The children are ended on the way out, also when this process is asked to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments.benchmark is not None:
            _run(arguments.benchmark, arguments)
        else:
            passed_on = [flag for flag in ("--quick",) if arguments.quick]
            for name in _BENCHMARKS:
                whole = _parse([name, *passed_on])
                whole.scratch, whole.results = arguments.scratch, arguments.results
                try:
                    _run(name, whole)
                except Unavailable as missing:
                    print(f"SKIPPED: {name}: {missing}")
    except BenchError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except Unavailable as reason:
        print(f"SKIPPED: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

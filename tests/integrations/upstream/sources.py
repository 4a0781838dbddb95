"""The tests of other projects, as they were released: from the source package of the installed version, or its tag."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


class Missing(Exception):
    """The suite cannot be run here; the message says what is missing, and how to get it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the tests of a package are: in its source package, or in a repository at `tag`, with {} for the version."""

    package: str
    repository: str = ""
    tag: str = "{}"

    def fetch(self, folder: Path) -> Path:
        """The folder with the sources of the version that is installed, fetched when it is not there yet."""
        try:
            wanted = version(self.package)
        except PackageNotFoundError:
            raise Missing(f"{self.package} is not installed: pip install --group upstream") from None
        place = folder / f"{self.package}-{wanted}"
        if not place.exists():
            arriving = folder / f"{self.package}-{wanted}.part"
            arriving.mkdir(parents=True, exist_ok=True)
            (self._clone if self.repository else self._download)(arriving, wanted)
            arriving.rename(place)
        return place

    def _download(self, place: Path, wanted: str) -> None:
        options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(place)]
        _run([sys.executable, "-m", "pip", "download", *options, f"{self.package}=={wanted}"])
        for archive in place.glob("*.tar.gz"):
            with tarfile.open(archive) as packed:
                packed.extractall(place, filter="data")
            archive.unlink()
            # A source package has one folder, with everything in it.
            (inside,) = place.iterdir()
            for path in inside.iterdir():
                path.rename(place / path.name)
            inside.rmdir()

    def _clone(self, place: Path, wanted: str) -> None:
        tag = self.tag.format(wanted)
        command = ["git", "-c", "advice.detachedHead=false", "clone", "--quiet", "--depth=1", "--branch", tag]
        _run([*command, self.repository, str(place)])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{' '.join(command[:4])} failed, it needs the network: {last}")

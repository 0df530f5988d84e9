"""Bouncy Castle (Debian: libbcmail-java) as the other party of S/MIME: a small Java program, compiled once a run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from servers.need import absent, program
from servers.smime_keys import KeyPair

JARS = ("bcprov", "bcutil", "bcpkix", "bcmail")
_PLACE = Path("/usr/share/java")


class BouncyCastle:
    """Does CMS jobs; starting Java takes most of the time, so many are done at once."""

    def __init__(self, directory: Path, pair: KeyPair) -> None:
        missing = [jar for jar in JARS if not (_PLACE / f"{jar}.jar").exists()]
        if missing:
            absent(f"Bouncy Castle is not installed ({', '.join(missing)})")
        self._java = program("java")
        self._directory = directory
        self._classes = ":".join([str(directory), *(str(_PLACE / f"{jar}.jar") for jar in JARS)])
        source = Path(__file__).with_name("BouncyCms.java")
        subprocess.run(
            [program("javac"), "-nowarn", "-cp", self._classes, "-d", str(directory), str(source)],
            check=True,
            timeout=120,
        )
        (directory / "cert.der").write_bytes(pair.certificate)
        (directory / "key.der").write_bytes(pair.key)

    def do(self, jobs: dict[str, tuple[str, bytes]]) -> dict[str, bytes]:
        """Jobs by name, each a verb and its input; returns their results by name."""
        arguments = []
        for number, (verb, data) in enumerate(jobs.values()):
            (self._directory / f"{number}.in").write_bytes(data)
            arguments += [verb, str(self._directory / f"{number}.in"), str(self._directory / f"{number}.out")]
        command = [self._java, "-cp", self._classes, "BouncyCms", str(self._directory), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return {name: (self._directory / f"{number}.out").read_bytes() for number, name in enumerate(jobs)}

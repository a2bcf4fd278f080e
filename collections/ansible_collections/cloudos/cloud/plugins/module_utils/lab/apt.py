"""The host's Debian package sources and the apt settings they need, in the form in which a lab node gets them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# What a keyring is named by in both formats of sources.
SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(/[^\s\]]+)", re.IGNORECASE)
ONE_LINE = re.compile(r"deb\s+(\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)")


@dataclass(frozen=True)
class Sources:
    """lines: of sources.list; stanzas: of a deb822 file; mirror: where the suite is, None where nothing names it."""

    lines: tuple = ()
    stanzas: tuple = ()
    mirror: str | None = None

    @property
    def keyrings(self):
        """Absolute paths of the keyrings that the sources name."""
        return sorted(set(SIGNED_BY.findall("\n".join((*self.lines, *self.stanzas)))))

    def files(self):
        """Path -> content below the root of a node."""
        return {
            "etc/apt/sources.list": "".join(f"{line}\n" for line in self.lines),
            "etc/apt/sources.list.d/debian.sources": "\n".join(f"{stanza}\n" for stanza in self.stanzas),
        }


def debian_sources(texts, suite):
    """Sources with what of the texts (name -> content of each file of sources) belongs to Debian's suite.

    Third parties' packages have no place in a node: only entries with the suite or one of its pockets (-updates,
    -security) and component main are kept.
    """
    lines, stanzas, mirrors = [], [], []
    for name, text in texts.items():
        if name.endswith(".sources"):
            for stanza, uri, suites in _stanzas(text, suite):
                stanzas.append(stanza)
                mirrors += [uri] if suite in suites else []
        else:
            for line, uri, found in _lines(text, suite):
                lines.append(line)
                mirrors += [uri] if found == suite else []
    return Sources(tuple(lines), tuple(stanzas), mirrors[0] if mirrors else None)


def _stanzas(text, suite):
    for raw in re.split(r"\n\s*\n", text):
        stanza = "\n".join(line for line in raw.splitlines() if line.strip() and not line.startswith("#"))
        fields = {
            key.lower(): value.split() for key, value in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE)
        }
        suites = fields.get("suites", [])
        wanted = (
            "deb" in fields.get("types", [])
            and fields.get("enabled") != ["no"]
            and "main" in fields.get("components", [])
        )
        if wanted and any(_pocket(found, suite) for found in suites):
            yield stanza, fields["uris"][0], suites


def _lines(text, suite):
    for line in text.splitlines():
        match = ONE_LINE.fullmatch(line.strip())
        if match and _pocket(match["suite"], suite) and "main" in match["components"].split():
            yield line.strip(), match["uri"], match["suite"]


def _pocket(found, suite):
    return found == suite or found.startswith((f"{suite}-", f"{suite}/"))


def carried_settings(dump):
    """Of `apt-config dump` what makes the host's sources work: proxies, dates of mirrors, languages, compression."""
    kept = [
        line
        for line in dump.splitlines()
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    ]
    return "".join(f"{line}\n" for line in kept if not line.endswith(' "";'))


def proxy(dump):
    """The proxy for HTTP in `apt-config dump`, or None."""
    match = re.search(r'^Acquire::http::Proxy "(.+)";$', dump, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else None


def read_sources(suite, etc=Path("/etc/apt")):
    """The Sources of this host."""
    paths = [
        etc / "sources.list",
        *sorted(etc.glob("sources.list.d/*.list")),
        *sorted(etc.glob("sources.list.d/*.sources")),
    ]
    return debian_sources({path.name: path.read_text() for path in paths if path.exists()}, suite)

"""Of the host's package sources a lab node gets Debian's, with their keys and settings, and nobody else's."""

from ansible_collections.cloudos.cloud.plugins.module_utils.lab.apt import carried_settings, debian_sources, proxy

STANZAS = """Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: https://other.example/apt
Suites: nodistro
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
"""
LINES = """# deb http://off.example/debian bookworm main
deb [signed-by=/etc/apt/keyrings/lines.gpg] http://lines.example/debian bookworm main contrib
deb http://security.example/debian-security bookworm-security main
deb http://docker.example/debian bookworm stable
"""
DUMP = """APT::Install-Recommends "0";
Acquire "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::Check-Valid-Until "false";
Acquire::Languages "";
Acquire::Languages:: "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"""


def test_stanzas_of_the_suite_are_kept_whole():
    sources = debian_sources({"debian.sources": STANZAS}, "bookworm")
    assert len(sources.stanzas) == 1 and "a comment" not in sources.stanzas[0]
    assert sources.mirror == "http://mirror.example/debian"
    assert sources.keyrings == ["/usr/share/keyrings/debian.gpg"]


def test_lines_of_the_suite_and_its_pockets_are_kept():
    sources = debian_sources({"sources.list": LINES}, "bookworm")
    assert [line.split()[-3:] for line in sources.lines] == [
        ["bookworm", "main", "contrib"], ["http://security.example/debian-security", "bookworm-security", "main"]]
    assert sources.mirror == "http://lines.example/debian"
    assert sources.keyrings == ["/etc/apt/keyrings/lines.gpg"]


def test_without_the_suite_there_is_no_mirror():
    assert debian_sources({"debian.sources": STANZAS, "sources.list": LINES}, "trixie").mirror is None


def test_files_hold_what_was_kept():
    files = debian_sources({"debian.sources": STANZAS, "sources.list": LINES}, "bookworm").files()
    assert files["etc/apt/sources.list"].count("\n") == 2
    assert files["etc/apt/sources.list.d/debian.sources"].startswith("Types: deb\nURIs: http://mirror.example/debian\n")


def test_settings_of_downloads_are_carried_over():
    assert carried_settings(DUMP).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";', 'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages:: "none";']


def test_the_proxy_is_found():
    assert proxy(DUMP) == "http://proxy.example:3128"
    assert proxy("") is None

"""What a bundle leaves out, for no node reads it: each rule beside its reason. docs/reference/bundle.md tells them."""

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path

# What an environment or a wheel brings beside its code.
UNUSED = ("CACHEDIR.TAG", "include", "share/doc", "bin/ansible-test", "bin/cloudos")
# Tests are a third of the code. They are named one by one, but for directories `tests`: Jinja's tests.py, Ansible's plugins/test, and
# the directories `test` of Horizon and Django are code that runs.
TESTS = (
    *("**/tests/", "ansible_test", "heat_integrationtests", "saml2test", "sasstests.py"),
    *("openstack_dashboard/test", "openstack_dashboard/**/tests.py", "heat_dashboard/test"),
    *("alembic/testing", "sqlalchemy/testing"),
)
# glance_store names its own in an entry point, and logs an error without them.
KEPT_TESTS = {"glance_store"}
# What compilers read: the compiled lies beside it, for this machine's kind (.exe is for another).
SOURCES = {".po", ".pot", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".cpp", ".h", ".hpp", ".a", ".proto", ".exe"}
# Descriptions of every service of a big provider, of which the code here speaks to few: directory -> what stays of it.
# Google's are read by Cinder's backups; Amazon's by all that can keep data in S3.
KEPT_DATA = {
    "googleapiclient/discovery_cache/documents": {"storage.v1.json"},
    "botocore/data": {
        *("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"),
        *("s3", "sso", "sso-oidc", "sts"),
    },
}
# Catalogues of messages that are looked up while a page is made; the pages are the dashboard's.
CATALOGUES = "*/locale/*/LC_MESSAGES/django*.po"
# By language: names of time zones and how dates are written (Babel), and Django's own messages. What is not of the
# dashboard's languages cannot be asked for; `root` and English are what all others fall back to.
BY_LANGUAGE = {"babel/locale-data/*.dat": -1, "**/LC_MESSAGES/*.mo": -3}
FALLBACK = {"root", "en"}
# Libraries of web pages: browsers get them from where the assets have been collected, share/<service>.
COLLECTED = ("xstatic/pkg/*/data",)
# Forms of a font for browsers from before 2016; all others take the one in WOFF2, if it is there.
FONTS = ("*.eot", "*.svg", "*.ttf", "*.woff")


def prune(root: Path, site: Path) -> None:
    """Drop what neither services nor the making of assets need of the tree `root`, whose site-packages are `site`."""
    languages = FALLBACK | {language(path, -3) for path in site.glob(CATALOGUES)}
    drop(root / name for name in UNUSED)
    drop(path for pattern in TESTS for path in site.glob(pattern) if path.relative_to(site).parts[0] not in KEPT_TESTS)
    drop(path for name, kept in KEPT_DATA.items() for path in (site / name).glob("*") if path.name not in kept)
    drop(path for path in site.rglob("*") if path.suffix in SOURCES)
    drop(path for pattern, at in BY_LANGUAGE.items() for path in site.glob(pattern) if language(path, at) not in languages)


def prune_assets(root: Path, site: Path) -> None:
    """Drop what assets were made of, and what no browser takes of them; then let the packages' records tell what is left."""
    drop(path for pattern in COLLECTED for path in site.glob(pattern))
    fonts = [path for pattern in FONTS for path in (root / "share").glob(f"*/static/**/{pattern}")]
    drop(path for path in fonts if path.with_suffix(".woff2").exists())
    for record in site.glob("*.dist-info/RECORD"):
        shorten(record)


def language(path: Path, at: int) -> str:
    """The language of a file that the part `at` of its path names by a locale: pt of pt_BR.dat."""
    return path.parts[at].partition(".")[0].partition("_")[0]


def drop(paths: Iterable[Path]) -> None:
    """Remove files and directories, if they are there."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def shorten(record: Path) -> None:
    """Leave only the names in a package's RECORD, and only of files that are there.

    Swift finds a library by the names; hashes serve installers alone, and hardly compress."""
    site = record.parents[1]
    kept = io.StringIO()
    write = csv.writer(kept, lineterminator="\n").writerow
    for name, *_ in csv.reader(io.StringIO(record.read_text())):
        if (site / name).exists():
            write((name, "", ""))
    record.write_text(kept.getvalue())

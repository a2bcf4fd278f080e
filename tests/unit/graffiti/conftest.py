"""A database in memory, a dictionary of TOSCA's types and ours, and resources made from few words."""

import os
import subprocess
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.db import Base
from cloudos.graffiti import index, models, sources
from cloudos.graffiti.types import Dictionary, judged

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    """TOSCA's types and ours, os-traits and os-resource-classes."""
    known = Dictionary([])
    for batch in map(sources.load, ("tosca", "os-traits", "os-resource-classes", "openstack")):
        known = judged(batch, known)[1]
    return known


@pytest.fixture
def session():
    """A transaction in a database of its own: SQLite, or on the server that CLOUDOS_TEST_DATABASE names, as for tests/api."""
    server, name = os.environ.get("CLOUDOS_TEST_DATABASE"), f"t{uuid.uuid4().hex}"
    if server:
        with sa.create_engine(server).connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    engine = sa.create_engine(f"{server}{name}" if server else "sqlite://")
    Base.metadata.create_all(engine, [model.__table__ for model in models.TABLES])
    with Session(engine, expire_on_commit=False) as made:
        yield made
    if server:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.fixture
def context() -> RequestContext:
    """A member of project p."""
    return RequestContext(user_id="u", project_id="p", roles=["member", "reader"])


OWNER = {"user_id": "u", "project_id": "p", "scope": "public-project"}


def make_pool(session: Session, name: str = "east", **columns) -> models.Pool:
    """A pool of project p."""
    pool = models.Pool(**{"name": name, "provider_url": f"https://{name}.example/v3", "region_id": name, "secret": b"", **OWNER, **columns})
    session.add(pool)
    session.flush()
    return pool


def make_resource(
    session: Session, dictionary: Dictionary, name: str, type_: str = "OS::Nova::Flavor", pool=None, capabilities=(), **columns
):
    """A resource with its indexes; `capabilities`: (name, type, properties)."""
    resolved = index.resolved([{"name": one, "type": kind, "properties": body} for one, kind, body in capabilities], dictionary)
    one = models.Resource(**{"name": name, "native_id": name, "type": type_, "pool_id": pool.id if pool else None,
                             "region": pool.region_id if pool else "", "capabilities": resolved, **OWNER, **columns})  # fmt: skip
    session.add(one)
    index.write(session, [one], dictionary)
    session.flush()
    return one


def make_flavor(session, dictionary, name, cpus, mem, disk="10 GiB", pool=None, **columns):
    """A flavor as the driver describes it."""
    host = {"num_cpus": cpus, "mem_size": mem, "disk_size": disk}
    return make_resource(session, dictionary, name, pool=pool, capabilities=[("host", "cloudos.openstack/Flavor", host)], **columns)


def make_image(session, dictionary, name, pool=None, min_disk="0 GiB", min_ram="0 MiB", **system):
    """An image as the driver describes it."""
    body = {**system, "min_disk": min_disk, "min_ram": min_ram}
    return make_resource(session, dictionary, name, "OS::Glance::Image", pool, [("os", "cloudos.openstack/Image", body)])


@pytest.fixture(scope="session")
def glance(tmp_path_factory) -> Path:
    """What the wheel of Glance holds, taken as the release's lock names it, hashes and all."""
    lock = (ROOT / "releases" / "2026.1" / "2026.1-1.lock").read_text()
    begin = lock.index("\nglance==") + 1
    lines = lock[begin:].splitlines()
    end = next(number for number, line in enumerate(lines[1:], 1) if not line.startswith(" "))
    directory = tmp_path_factory.mktemp("glance")
    (directory / "glance.lock").write_text("\n".join(line.split("#")[0] for line in lines[:end]).rstrip().rstrip("\\") + "\n")
    subprocess.run(
        ["uv", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", directory / "glance.lock", "--target", directory / "in"],
        check=True,
        timeout=120,
    )
    (found,) = directory.glob("in/**/metadefs")
    return found

"""A service really served: SQLite in a directory, a WSGI server on loopback, callers with roles of their own.

Keystone is not there: a layer does what keystonemiddleware does once Keystone has confirmed a token, that is, set its headers.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import requests
import sqlalchemy as sa
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from cloudos import pki
from cloudos.eden import auth, config
from cloudos.eden.app import make_app
from cloudos.eden.jobs.worker import work_once
from cloudos.eden.runtime import Runtime

MIGRATED, SHARED = {}, {}
# Of MariaDB, to prove all of this on it: mysql+pymysql://user:password@127.0.0.1:3306/; every service gets a database of its own.
SERVER = os.environ.get("CLOUDOS_TEST_DATABASE")
ROOT = Path(__file__).parents[2]
WORKER = "import sys; from cloudos.eden import config; from cloudos.eden.jobs.worker import run; from {module} import SERVICE; " \
         "run(SERVICE, config.load(SERVICE, [sys.argv[1]]))"  # fmt: skip


class Tokens:
    """Tokens are the caller as JSON: {user, project, roles}."""

    def __init__(self, application, conf):
        self.application = application

    def __call__(self, environ, start_response):
        for name in [name for name in environ if name.startswith(("HTTP_X_USER", "HTTP_X_PROJECT", "HTTP_X_ROLES", "HTTP_X_IDENTITY"))]:
            del environ[name]
        try:
            who = json.loads(environ.get("HTTP_X_AUTH_TOKEN", ""))
            environ.update(HTTP_X_IDENTITY_STATUS="Confirmed", HTTP_X_USER_ID=who["user"], HTTP_X_PROJECT_ID=who["project"],
                           HTTP_X_ROLES=",".join(who["roles"]))  # fmt: skip
        except (ValueError, KeyError, TypeError):
            environ["HTTP_X_IDENTITY_STATUS"] = "Invalid"
        return self.application(environ, start_response)


@dataclass
class Served:
    """A running service. `as_(user, project, *roles)` gives a session of requests with that caller's token."""

    url: str
    app: object
    conf: Path
    directory: Path
    module: str
    workers: list = field(default_factory=list)

    def as_(self, user="ann", project="p1", *roles):
        session = Caller(self.url)
        session.headers["X-Auth-Token"] = json.dumps({"user": user, "project": project, "roles": list(roles) or ["member"]})
        return session

    def worker(self, **environment):
        """A real worker process."""
        process = subprocess.Popen([sys.executable, "-c", WORKER.format(module=self.module), str(self.conf)], cwd=ROOT,
                                   env={**os.environ, "PYTHONPATH": str(ROOT), **environment})  # fmt: skip
        self.workers.append(process)
        return process

    def work(self):
        """Do all queued jobs here and now; for tests that are not about processes."""
        while work_once(self.app.runtime, "here"):
            pass

    def ended(self, caller, job, seconds=30):
        """The job once it is final."""
        return until(lambda: (found := caller.get(f"/v1/jobs/{job}").json())["state"] in ENDED and found, seconds)


ENDED = ("succeeded", "failed", "cancel-succeeded", "cancel-failed")


@contextlib.contextmanager
def secure():
    """(address, its authority in PEM) of a server that refuses everybody; authorities have one name, as those of clouds of one day."""
    today = datetime.datetime.now(datetime.UTC)
    authority, authority_key = pki.make_ca(today)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(pki.make_certificate("localhost", ["localhost"], authority, authority_key, today)))
        file.flush()
        context.load_cert_chain(file.name)
    server = make_server("localhost", 0, Response("{}", 401), ssl_context=context)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield f"https://localhost:{server.port}", authority
    server.shutdown()


class Caller(requests.Session):
    """Requests by path."""

    def __init__(self, url):
        super().__init__()
        self.url = url

    def request(self, method, url, *arguments, **options):
        return super().request(method, url if "://" in url else self.url + url, *arguments, **{"timeout": 30, **options})


def until(condition, seconds=30):
    """What the condition returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return found


def write_conf(directory, data=None, **groups):
    """A configuration file with SQLite in the directory; groups: option -> value of each."""
    settings = {"database": {"connection": f"sqlite:///{data or directory}/data.db"}, "api": {}, "quota": {},
                "jobs": {"lease": 1.5, "poll": 0.05}}  # fmt: skip
    for group, values in groups.items():
        settings.setdefault(group, {}).update(values)
    path = directory / "service.conf"
    path.write_text("".join(f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
                            for group, values in settings.items()))  # fmt: skip
    return path


def _database():
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(SERVER)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    engine.dispose()
    return f"{SERVER}{name}?charset=utf8mb4"


def _migrated(service):
    """A database with the newest schema, made once."""
    if service.name not in MIGRATED:
        MIGRATED[service.name] = _migrate(service)
    return MIGRATED[service.name]


def _migrate(service):
    directory = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory)
    runtime = Runtime(service, config.load(service, [str(write_conf(directory))]))
    runtime.db_sync()
    runtime.close()
    return directory / "data.db"


def serve(service, module, directory, monkeypatch, **groups):
    """Start the service in a thread; a generator, as fixtures are."""
    monkeypatch.setattr(auth, "Keystone", lambda application, conf: Tokens(application, conf))
    # In memory, where writing it down costs nothing.
    data = tempfile.mkdtemp(dir="/dev/shm") if os.path.isdir("/dev/shm") else directory
    if SERVER:
        groups = {**groups, "database": {"connection": _database(), "max_retries": 0}}
    path = write_conf(directory, data, **groups)
    conf = config.load(service, [str(path)])
    if not SERVER:
        shutil.copy(_migrated(service), Path(data) / "data.db")
    app = make_app(service, conf, migrate=bool(SERVER))
    if service.name == "focus" and "focus" not in groups:
        # The processes that examine contents are the same for all, as their start takes longer than a test.
        app.runtime.extra = SHARED.setdefault("focus", app.runtime.extra)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    served = Served(f"http://127.0.0.1:{server.port}", app, path, directory, module)
    yield served
    for process in served.workers:
        process.kill()
        process.wait()
    server.shutdown()
    server.server_close()
    app.runtime.close()
    shutil.rmtree(data)

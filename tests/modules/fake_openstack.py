"""A cloud in this process: the few calls of Keystone, Glance, Nova and Neutron that modules make, with a memory.

It answers as the real APIs do and knows nothing of the modules. Tests read and write its `store` directly.
"""

import hashlib
import itertools
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import fake_cinder

VERSIONS = {
    "/identity/v3": {
        "version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": "{root}/identity/v3/"}]}
    },
    "/image/v2": {
        "versions": [{"id": "v2.16", "status": "CURRENT", "links": [{"rel": "self", "href": "{root}/image/v2/"}]}]
    },
    "/compute/v2.1": {
        "version": {
            "id": "v2.1",
            "status": "CURRENT",
            "version": "2.96",
            "min_version": "2.1",
            "links": [{"rel": "self", "href": "{root}/compute/v2.1/"}],
        }
    },
    "/network/v2.0": {"resources": []},
}
SERVICES = {"identity": "/identity/v3", "image": "/image/v2", "compute": "/compute/v2.1", "network": "/network",
            "block-storage": "/volume/v3", "object-store": "/objects/v1"}  # fmt: skip


class Answer(Exception):
    """Ends a request with a status and a body."""

    def __init__(self, status, body=None, headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class Cloud:
    """store: collection -> id -> resource; calls: (method, path) of everything that was asked after a login."""

    def __init__(self, root):
        self.root = root
        self.ids = (f"{number:032x}" for number in itertools.count(1))
        self.calls = []
        self.store = {
            name: {}
            for name in (
                "regions",
                "roles",
                "domains",
                "projects",
                "services",
                "endpoints",
                "users",
                "images",
                "hosts",
                "servers",
                "agents",
                "migrations",
                "types",
                "volumes",
                "backends",
            )
        }
        self.grants = set()  # (project or domain id, user id, role id)
        self.lock = threading.Lock()

    def bootstrap(self, password="admin-password"):
        """What `keystone-manage bootstrap` makes."""
        self.store["regions"]["RegionOne"] = {"id": "RegionOne"}
        for role in ("admin", "service", "member", "reader"):
            self.add("roles", name=role)
        project, user = (
            self.add("projects", name="admin"),
            self.add("users", name="admin", password=password, enabled=True),
        )
        self.grants.add((project["id"], user["id"], self.named("roles", "admin")["id"]))
        return self

    def add(self, collection, **fields):
        """A new resource of a collection."""
        resource = {"id": next(self.ids), **fields}
        self.store[collection][resource["id"]] = resource
        return resource

    def named(self, collection, name):
        return next((one for one in self.store[collection].values() if one.get("name") == name), None)

    def snapshot(self):
        """Everything, comparable."""
        return json.dumps([self.store, sorted(self.grants)], sort_keys=True, default=str)

    def handle(self, method, path, query, body, headers):
        """Raise the Answer to a request."""
        if path.rstrip("/") in VERSIONS:
            raise Answer(200, json.loads(json.dumps(VERSIONS[path.rstrip("/")]).replace("{root}", self.root)))
        service, *parts = [part for part in path.split("/") if part][0:1] + path.strip("/").split("/")[2:]
        if parts == ["auth", "tokens"]:
            self.tokens(body["auth"])
        if headers.get("X-Auth-Token") != "token":
            raise Answer(401, {"error": {"message": "no token"}})
        self.calls.append((method, path))
        getattr(self, service)(method, parts, query, body)
        raise Answer(404, {"error": {"message": f"the fake knows no {method} {path}"}})

    def tokens(self, auth):
        login = auth["identity"]["password"]["user"]
        user = self.named("users", login["name"])
        if not user or user["password"] != login["password"] or not user.get("enabled", True):
            raise Answer(401, {"error": {"message": "The request you have made requires authentication."}})
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {
                        "interface": interface,
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": self.root + path,
                        "id": kind,
                    }
                    for interface in ("public", "internal")
                ],
            }
            for kind, path in SERVICES.items()
        ]
        token = {
            "catalog": catalog,
            "user": {"id": user["id"], "name": user["name"], "domain": {"id": "default", "name": "Default"}},
            "methods": ["password"],
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": [],
        }
        raise Answer(201, {"token": token}, {"X-Subject-Token": "token"})

    def identity(self, method, parts, query, body):
        if parts[0] == "role_assignments":
            raise Answer(
                200,
                {
                    "role_assignments": [
                        {"role": {"id": role}, "user": {"id": user}, "scope": {"project": {"id": project}}}
                        for project, user, role in sorted(self.grants)
                        if project == query["scope.project.id"]
                    ]
                },
            )
        if len(parts) == 5:
            names = {role for home, user, role in self.grants if (home, user) == (parts[1], parts[3])}
            raise Answer(200, {"roles": [self.store["roles"][role] for role in sorted(names)]})
        if len(parts) == 6:
            grant = (parts[1], parts[3], parts[5])
            (self.grants.add if method == "PUT" else self.grants.discard)(grant)
            raise Answer(204)
        self.rest(parts[0], parts[0][:-1], method, parts[1:], {**query, "domain_id": None}, body)

    def rest(self, collection, single, method, rest, query, body):
        """The way Keystone and Neutron treat collections."""
        resources = self.store[collection]
        if not rest and method == "GET":
            shown = [
                one
                for one in resources.values()
                if all(str(one.get(key)) == value for key, value in query.items() if value)
            ]
            raise Answer(200, {collection: shown, "links": {}})
        if method == "POST":
            fields = (
                {"enabled": True, **body[single]}
                if single in ("service", "user", "endpoint", "project")
                else body[single]
            )
            made = self.add(collection, **fields)
            resources[made["id"]] = made
            raise Answer(201, {single: made})
        if rest[0] not in resources:
            raise Answer(404, {"error": {"message": f"no {single} {rest[0]}"}})
        if method in ("PATCH", "PUT"):
            resources[rest[0]].update(body[single])
        elif method == "DELETE":
            self.forget(collection, rest[0])
            raise Answer(204)
        raise Answer(200, {single: resources[rest[0]]})

    def forget(self, collection, identifier):
        del self.store[collection][identifier]
        for endpoint in [one for one in self.store["endpoints"].values() if one["service_id"] == identifier]:
            del self.store["endpoints"][endpoint["id"]]

    def network(self, method, parts, query, body):
        self.rest(parts[0], parts[0][:-1], method, parts[1:], query, body)

    def volume(self, method, parts, query, body):
        status, answer = fake_cinder.answer(self, method, parts, query, body)
        raise Answer(status, answer)

    def image(self, method, parts, query, body):
        images = self.store["images"]
        if method == "POST":
            raise Answer(
                201, self.add("images", status="queued", os_hidden=False, created_at=next(self.ids), **json.loads(body))
            )
        if len(parts) == 1:
            raise Answer(
                200,
                {"images": [one for one in images.values() if one["name"] == query["name"] and not one["os_hidden"]]},
            )
        image = images.get(parts[1])
        if image is None:
            raise Answer(404, {"message": "no such image"})
        if parts[2:] == ["file"]:
            image.update(
                status="active", size=len(body), os_hash_algo="sha512", os_hash_value=hashlib.sha512(body).hexdigest()
            )
            raise Answer(204)
        if method == "PATCH":
            image.update({change["path"].strip("/"): change["value"] for change in json.loads(body)})
        if method == "DELETE":
            del images[parts[1]]
            raise Answer(204)
        raise Answer(200, image)

    def compute(self, method, parts, query, body):
        if parts[0] == "os-services":
            if method == "PUT":
                change = {"disabled_reason": None, **body}
                self.store["hosts"][parts[1]].update(change)
                raise Answer(200, {"service": self.store["hosts"][parts[1]]})
            raise Answer(200, {"services": list(self.store["hosts"].values())})
        if parts[0] == "os-migrations":
            raise Answer(200, {"migrations": list(self.store["migrations"].values())})
        if parts == ["servers", "detail"]:
            raise Answer(
                200,
                {
                    "servers": [
                        one
                        for one in self.store["servers"].values()
                        if one["host"] == query.get("host", one["host"]) and one["id"] == query.get("uuid", one["id"])
                    ]
                },
            )
        server = self.store["servers"].get(parts[1])
        if server and parts[2:] == ["action"] and "os-getConsoleOutput" in body:
            if server["console_log"] is None:
                raise Answer(409, {"conflictingRequest": {"code": 409, "message": "Instance is not ready"}})
            raise Answer(200, {"output": server["console_log"]})
        if server and parts[2:] == ["remote-consoles"]:
            raise Answer(200, {"remote_console": {**body["remote_console"], "url": server["console_url"]}})
        if server and parts[2:] == ["action"]:
            self.act(server, next(iter(body)))
            raise Answer(202)
        if server:
            raise Answer(200, {"server": server})

    def act(self, server, action):
        """A migration ends at once on another host, where there is one that is up and enabled."""
        if action == "confirmResize":
            assert server["status"] == "VERIFY_RESIZE", "Instance has not been resized."
        if action in ("os-stop", "confirmResize"):
            server["status"] = "SHUTOFF"
        else:
            others = [
                one["host"]
                for one in self.store["hosts"].values()
                if (one["status"], one["state"]) == ("enabled", "up")
                and one["host"] != server["host"]
                and not one.get("full")
            ]
            if not others:
                self.add("migrations", source_compute=server["host"], status="error", created_at=next(self.ids))
                return
            server["host"] = others[0]
            if action == "migrate":
                server["status"] = "RESIZE" if server.get("slow") else "VERIFY_RESIZE"


@contextmanager
def fake_openstack(kind=Cloud):
    """A Cloud, or one of a class derived from it, that listens while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self):
            url = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            document = (
                json.loads(data)
                if data
                and self.headers.get("Content-Type") == "application/json"
                and not url.path.startswith("/image/v2/images")
                else data
            )
            try:
                with cloud.lock:
                    cloud.handle(self.command, url.path, dict(parse_qsl(url.query)), document, self.headers)
            except Answer as answer:
                text = json.dumps(answer.body).encode() if answer.body is not None else b""
                self.send_response(answer.status)
                for key, value in {
                    **answer.headers,
                    "Content-Type": "application/json",
                    "Content-Length": len(text),
                }.items():
                    self.send_header(key, str(value))
                self.end_headers()
                self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cloud = kind(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()

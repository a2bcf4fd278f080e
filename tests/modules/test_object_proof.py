"""Module object_proof against a small Swift that speaks HTTP, whose every weakness the proof must find."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from ansible_collections.cloudos.cloud.plugins.modules import object_proof
from botocore.exceptions import ClientError
from kit import run_module

ACCOUNT = "/v1/AUTH_p"


class Swift(BaseHTTPRequestHandler):
    """`server.weak` names what it does wrong; `server.containers`: name -> {"headers", "objects": name -> bytes}."""

    def log_message(self, *_arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def handle_method(self):
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.removeprefix(ACCOUNT).strip("/").split("/", 1)]
        container = self.server.containers.get(parts[0])
        if not url.path.startswith(ACCOUNT):
            return self.answer(200 if "foreign" in self.server.weak else 403)
        if not self.allowed(url, container):
            return self.answer(401)
        data = self.body()
        if parts[0] == "":
            return self.account(data)
        if self.command == "PUT" and len(parts) == 1:
            self.server.containers.setdefault(parts[0], {"headers": {}, "objects": {}})
            return self.answer(201)
        if container is None:
            return self.answer(404)
        if len(parts) == 1:
            return self.container(container)
        if self.command == "PUT":
            container["objects"][parts[1]] = data
            return self.answer(201, ETag=hashlib.md5(data).hexdigest())
        return self.object(container["objects"][parts[1]])

    do_GET = do_PUT = do_POST = handle_method  # noqa: N815

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def allowed(self, url, container):
        if self.headers.get("X-Auth-Token") == "token" or "open" in self.server.weak:
            return True
        key = container and container["headers"].get("X-Container-Meta-Temp-URL-Key")
        query = parse_qs(url.query)
        if key and "temp_url_sig" in query:
            until = query["temp_url_expires"][0]
            right = hmac.new(key.encode(), f"GET\n{until}\n{url.path}".encode(), "sha256").hexdigest()
            return "forged" in self.server.weak or (query["temp_url_sig"] == [right] and int(until) > time.time())
        return bool(container and container["headers"].get("X-Container-Read"))

    def account(self, data):
        if self.command == "GET":
            return self.answer(200, json.dumps([{"name": name} for name in self.server.containers]).encode())
        for line in data.decode().split("\n"):
            name, _, thing = unquote(line).partition("/")
            if thing:
                del self.server.containers[name]["objects"][thing]
            else:
                assert not self.server.containers.pop(name)["objects"]
        return self.answer(200, json.dumps({"Errors": []}).encode())

    def container(self, container):
        if self.command == "GET":
            return self.answer(200, json.dumps([{"name": name} for name in container["objects"]]).encode())
        container["headers"].update(self.headers)
        return self.answer(204)

    def object(self, data):
        if "rotten" in self.server.weak:
            data = data[:-1] + b"!"
        if wanted := self.headers.get("Range"):
            first, last = map(int, wanted.removeprefix("bytes=").split("-"))
            shift = "shifted" in self.server.weak
            return self.answer(206, data[first + shift : last + 1 + shift])
        return self.answer(200, data)


class Bucket:
    """The few calls of an S3 client that the proof makes."""

    kept: dict = {}

    def __init__(self, server, secret):
        self.server, self.secret = server, secret

    def create_bucket(self, Bucket):  # noqa: N803 - botocore's names
        self.server.containers[Bucket] = {"headers": {}, "objects": {}}

    def put_object(self, Bucket, Key, Body):  # noqa: N803
        self.server.containers[Bucket]["objects"][Key] = Body

    def list_objects_v2(self, Bucket):  # noqa: N803
        return {"Contents": [{"Key": key} for key in self.server.containers[Bucket]["objects"]]}

    def get_object(self, Bucket, Key):  # noqa: N803
        if self.secret == "wrong" and "s3" not in self.server.weak:
            error = {"Error": {"Code": "SignatureDoesNotMatch"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(error, "GetObject")
        data = self.server.containers[Bucket]["objects"][Key]
        return {"Body": SimpleNamespace(read=lambda: data)}


@pytest.fixture
def swift(monkeypatch):
    """The server; `weak`, `containers` and `credentials` are its state."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Swift) as server:
        server.weak, server.containers, server.credentials = set(), {}, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(object_proof.ObjectProof, "_connect", lambda _self, _cloud: connection(server))
        monkeypatch.setattr(object_proof.ObjectProof, "s3_client", lambda _self, _access, secret: Bucket(server, secret))
        yield server
        server.shutdown()


def connection(server):
    url = f"http://127.0.0.1:{server.server_address[1]}{ACCOUNT}"

    def request(path, method, headers=None, **arguments):
        whole = path if path.startswith("http") else url + path
        return requests.request(method, whole, headers={"X-Auth-Token": "token", **(headers or {})}, timeout=20, **arguments)

    def post(_path, json):
        server.credentials.append("access")
        given = {"access": "access", "secret": "s3cret", **json}
        return SimpleNamespace(ok=True, json=lambda: {"credential": given})

    return SimpleNamespace(
        object_store=SimpleNamespace(request=request, get_endpoint=lambda: url),
        identity=SimpleNamespace(post=post, delete=lambda path: server.credentials.remove(path.rpartition("/")[2])),
        session=SimpleNamespace(verify=True), current_user_id="u", current_project_id="p",
    )  # fmt: skip


def run(check=False, **changes):
    return run_module("object_proof", check=check, name="proof", cloud="any", size=3, **changes)


def test_a_good_swift_is_proven_and_left_as_it_was(swift):
    swift.containers["somebody's"] = {"headers": {}, "objects": {"a": b"b"}}
    told = run()
    assert not told["changed"]
    assert set(told["seconds"]) == {"store", "part", "public", "foreign", "temporary", "s3"}
    assert list(swift.containers) == ["somebody's"]
    assert not swift.credentials
    assert "s3cret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("weakness", "text"),
    [
        ("rotten", "an object of 3 MiB came back as"),
        ("shifted", "are other ones than were stored"),
        ("open", "without a token /proof/public is answered with 200 instead of 401"),
        ("forged", "/proof/public with a temporary URL is answered with 200 instead of 401"),
        ("foreign", "the account of another project is answered with 200 instead of 403"),
        ("s3", "S3 gives the object to whoever signs with a wrong secret"),
    ],
)
def test_each_weakness_is_found_and_nothing_is_left(swift, weakness, text):
    swift.weak.add(weakness)
    told = run()
    assert text in told["msg"]
    assert "Next step: on the control node, read journalctl -u swift-proxy" in told["msg"]
    assert not swift.containers
    assert not swift.credentials


def test_check_mode_proves_nothing(swift):
    assert not run(check=True)["changed"]
    assert not swift.containers


def test_what_a_killed_proof_left_is_removed_and_nothing_else(swift):
    for name in ("proof", "proof-s3", "dispersion_objects", "mine"):
        swift.containers[name] = {"headers": {}, "objects": {"a b/ü": b""}}
    predicted = run(check=True, state="absent")
    assert predicted["changed"]
    assert len(swift.containers) == 4
    assert run(state="absent")["diff"] == predicted["diff"]
    assert list(swift.containers) == ["mine"]
    assert not run(state="absent")["changed"]

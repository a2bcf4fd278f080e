"""Module image against a cloud in this process."""

import hashlib

import pytest
from kit import Story, run_module, twelve_cases


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "guest.qcow2"
    path.write_bytes(b"guest" * 1000)
    return path


def image(login, source, **changes):
    return {**login, "name": "guest", "source": str(source), "properties": {"hw_rng_model": "virtio"}, **changes}


def test_twelve_cases(cloud, login, source, tmp_path):
    other = tmp_path / "other.qcow2"
    other.write_bytes(b"newer" * 2000)
    create, change, remove = image(login, source), image(login, other, min_disk=1), image(login, source, state="absent")
    twelve_cases(Story("image", create, change, remove, state=cloud.snapshot))


def test_the_new_image_is_there_before_the_old_one_goes(cloud, login, source):
    first = run_module("image", **image(login, source))["id"]
    source.write_bytes(b"another")
    cloud.calls.clear()
    second = run_module("image", **image(login, source))["id"]
    writes = [(method, path.rsplit("/", 1)[1]) for method, path in cloud.calls if method != "GET"]
    assert writes == [("POST", "images"), ("PUT", "file"), ("DELETE", first)]
    assert list(cloud.store["images"]) == [second]


def test_a_replaced_image_can_be_hidden(cloud, login, source):
    first = run_module("image", **image(login, source))["id"]
    source.write_bytes(b"another")
    assert run_module("image", **image(login, source, replaced="hidden"))["changed"]
    assert cloud.store["images"][first]["os_hidden"]
    assert not run_module("image", **image(login, source, replaced="hidden"))["changed"]


def test_attributes_change_in_place(cloud, login, source):
    first = run_module("image", **image(login, source))["id"]
    told = run_module(
        "image", **image(login, source, visibility="private", properties={"hw_rng_model": "virtio", "os_type": "linux"})
    )
    assert told["changed"]
    assert told["id"] == first
    assert cloud.store["images"][first]["os_type"] == "linux"


def test_a_wrong_checksum_uploads_nothing(cloud, login, source):
    told = run_module("image", **image(login, source, checksum="0" * 64))
    assert "SHA-256 of" in told["msg"]
    assert not cloud.store["images"]


def test_a_url_needs_a_checksum_and_is_read_through_it(cloud, login, source, served):
    assert "without a checksum" in run_module("image", **image(login, served))["msg"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert run_module("image", **image(login, served, checksum=digest))["changed"]
    assert not run_module("image", **image(login, served, checksum=f"sha256:{digest}"))["changed"]


@pytest.fixture
def served(source):
    """URL of the source."""
    import functools
    import threading
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=source.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{source.name}"
    server.shutdown()
    server.server_close()


def test_what_an_interrupted_upload_left_is_cleared_away(cloud, login, source):
    run_module("image", **image(login, source))
    cloud.add("images", name="guest", status="queued", os_hidden=False, created_at="9")
    assert run_module("image", **image(login, source))["changed"]
    assert [one["status"] for one in cloud.store["images"].values()] == ["active"]


def test_an_upload_that_fails_leaves_nothing(cloud, login, source, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.cloudos.cloud.plugins.modules.image.Image.active",
        lambda *_: (_ for _ in ()).throw(OSError("x")),
    )
    with pytest.raises(OSError, match="x"):
        run_module("image", **image(login, source))
    assert not cloud.store["images"]

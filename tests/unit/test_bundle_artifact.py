"""A bundle on the admin host: signed, whole, and refused when it is not."""

import json

import pytest

from cloudos.bundle import artifact as artifacts
from cloudos.bundle import signing
from cloudos.bundle.artifact import Artifact
from cloudos.bundle.errors import BundleError


@pytest.fixture
def bundle(tmp_path):
    """(artifact, public key) of a small bundle, rightly signed."""
    artifact = Artifact(tmp_path, "2026.1-1")
    artifact.path("sqfs").write_bytes(b"content" * 1000)
    sign(artifact, tmp_path)
    return artifact, tmp_path / "keys" / "bundle.pub"


def sign(artifact, home):
    manifest = {"patch_level": artifact.patch_level, "files": {"squashfs": artifacts.describe(artifact.path("sqfs"))}}
    artifact.path("manifest.json").write_text(json.dumps(manifest))
    signing.sign(artifact.path("manifest.json"), signing.signing_key(home))


def test_a_right_bundle_is_accepted(bundle):
    artifact, key = bundle
    assert artifact.verify(key)["patch_level"] == "2026.1-1"
    assert artifact.name.startswith("2026.1-1-cp311-")


def test_the_key_is_private_and_kept(bundle, tmp_path):
    key = tmp_path / "keys" / "bundle"
    before = key.read_bytes()
    assert signing.signing_key(tmp_path).read_bytes() == before
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700


def test_a_truncated_bundle_is_refused(bundle):
    artifact, key = bundle
    data = artifact.path("sqfs").read_bytes()
    artifact.path("sqfs").write_bytes(data[:-1])
    with pytest.raises(BundleError, match=r"sqfs: is not the file that its manifest names; build"):
        artifact.verify(key)


def test_a_changed_byte_is_refused(bundle):
    artifact, key = bundle
    data = artifact.path("sqfs").read_bytes()
    artifact.path("sqfs").write_bytes(data[:-1] + b"!")
    with pytest.raises(BundleError, match="is not the file"):
        artifact.verify(key)


def test_a_missing_file_is_refused(bundle):
    artifact, key = bundle
    artifact.path("sqfs").unlink()
    with pytest.raises(BundleError, match=r"sqfs: missing"):
        artifact.verify(key)


def test_a_changed_manifest_is_refused(bundle):
    artifact, key = bundle
    text = artifact.path("manifest.json").read_text()
    artifact.path("manifest.json").write_text(text.replace("2026.1-1", "2026.1-2"))
    with pytest.raises(BundleError, match="verifying the signature"):
        artifact.verify(key)


def test_another_signer_is_refused(bundle, tmp_path):
    artifact, key = bundle
    sign(artifact, tmp_path / "stranger")
    with pytest.raises(BundleError, match="verifying the signature"):
        artifact.verify(key)


def test_a_missing_signature_is_refused(bundle):
    artifact, key = bundle
    artifact.path("manifest.json.sig").unlink()
    with pytest.raises(BundleError, match="no signature"):
        artifact.verify(key)


def test_a_missing_public_key_is_named(bundle):
    artifact, key = bundle
    key.unlink()
    with pytest.raises(BundleError, match=r"bundle\.pub: no public key"):
        artifact.verify(key)

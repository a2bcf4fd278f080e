"""Whether a bundle may be trusted: the signature of its manifest, and hash and size of the file that it names."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile

from .operation import Failure

NAMESPACE = "cloudos-bundle"
SIGNER = "cloudos"
REBUILD = "build the bundle again with playbooks/bundle.yml and repeat; nothing was changed on this node"
CHUNK = 1 << 20


def trusted(manifest, signature, signers):
    """The manifest (text) as a mapping, proven: `signature` (text) is of one of `signers` (allowed_signers lines).

    Raises Failure where the signature is wrong, or where the bundle is not made for this node.
    """
    with tempfile.TemporaryDirectory(prefix="cloudos-") as work:
        paths = {"signers": signers, "signature": signature}
        for name, text in paths.items():
            paths[name] = os.path.join(work, name)
            with open(paths[name], "w") as file:
                file.write(text)
        command = [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            paths["signers"],
            "-I",
            SIGNER,
            "-n",
            NAMESPACE,
            "-s",
            paths["signature"],
        ]
        try:
            done = subprocess.run(command, input=manifest, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise Failure(
                "there is no ssh-keygen to verify the bundle with", next_step="install openssh-client"
            ) from error
    if done.returncode:
        log = (done.stdout + done.stderr).strip().splitlines()
        raise Failure("the manifest of the bundle is not signed by the key that is trusted", log=log, next_step=REBUILD)
    return _fitting(json.loads(manifest))


def copy_verified(source, target, expected):
    """Copy a file while hashing it; Failure, and no copy, unless it is what `expected` {file, size, sha256} says."""
    digest, size = hashlib.sha256(), 0
    try:
        with open(source, "rb") as reader, open(target, "wb") as writer:
            while chunk := reader.read(CHUNK):
                digest.update(chunk)
                size += writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        if size != expected["size"]:
            raise Failure(
                f"{expected['file']} is truncated or padded: {size} bytes instead of {expected['size']}",
                next_step=REBUILD,
            )
        if digest.hexdigest() != expected["sha256"]:
            raise Failure(
                f"{expected['file']} is broken: its SHA-256 is not the one in the signed manifest", next_step=REBUILD
            )
    except OSError as error:
        _discard(target)
        raise Failure(
            f"{expected['file']} cannot be copied to {target}: {error.strerror}",
            next_step=f"free at least {2 * expected['size'] >> 20} MiB and repeat",
        ) from error
    except BaseException:
        _discard(target)
        raise


def sha256(path):
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fitting(manifest):
    interpreter = f"/usr/bin/python3.{manifest['python'].removeprefix('cp3')}"
    if manifest["architecture"] != platform.machine():
        raise Failure(
            f"bundle {manifest['name']} is not for this node's architecture, {platform.machine()}",
            next_step="build a bundle on an admin host of that architecture",
        )
    if not os.path.exists(interpreter):
        raise Failure(
            f"bundle {manifest['name']} needs {interpreter}, which this node has not got",
            next_step="use a node with the Debian release that the bundle was built on",
        )
    return manifest


def _discard(path):
    if os.path.exists(path):
        os.unlink(path)

"""Sign and verify manifests with an SSH key of this admin host (`ssh-keygen -Y`)."""

import tempfile
from pathlib import Path

from cloudos.bundle.commands import run
from cloudos.bundle.errors import BundleError

NAMESPACE = "cloudos-bundle"
SIGNER = "cloudos"


def signing_key(home: Path) -> Path:
    """The private key `<home>/keys/bundle`, made on first use; its public half is beside it with suffix `.pub`."""
    key = home / "keys" / "bundle"
    key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAMESPACE, "-f", key], what=f"making {key}")
    return key


def allowed_signers(public_key: Path) -> str:
    """The line that lets `ssh-keygen -Y verify` trust `public_key` for bundles only; BundleError without that file."""
    if not public_key.is_file():
        raise BundleError(f"{public_key}: no public key of this admin host's bundles; playbooks/bundle.yml makes it")
    kind, data = public_key.read_text().split()[:2]
    return f'{SIGNER} namespaces="{NAMESPACE}" {kind} {data}\n'


def sign(path: Path, key: Path) -> Path:
    """Write the signature of `path` beside it; returns its path, `<path>.sig`."""
    signature = path.with_name(path.name + ".sig")
    signature.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, path], what=f"signing {path.name}")
    return signature


def verify(path: Path, signature: Path, public_key: Path) -> None:
    """Raise BundleError unless `signature` is one of `public_key` over `path`."""
    if not signature.is_file():
        raise BundleError(
            f"{path}: no signature {signature.name} beside it; build the bundle again with playbooks/bundle.yml"
        )
    with tempfile.NamedTemporaryFile("w", prefix="cloudos-signers-") as signers, path.open() as signed:
        signers.write(allowed_signers(public_key))
        signers.flush()
        run(
            ["ssh-keygen", "-Y", "verify", "-f", signers.name, "-I", SIGNER, "-n", NAMESPACE, "-s", signature],
            what=f"verifying the signature of {path}",
            stdin=signed,
        )

"""Files that every node has (pseudo-service `node`): accounts, run directory, CA, certificate, kernel settings."""

from __future__ import annotations

from cloudos.model import paths, units

ACCOUNTS, MEMBERS = "/etc/sysusers.d/cloudos.conf", "/etc/sysusers.d/cloudos-members.conf"
TMPFILES, SYSCTL = "/etc/tmpfiles.d/cloudos.conf", "/etc/sysctl.d/60-cloudos.conf"
PACKAGES = ("ca-certificates",)  # what these files need
TRUSTED = "/usr/local/share/ca-certificates/cloudos.crt"


def file(
    content: str, owner: str = "root", group: str = "root", mode: str = "0644", apply: list[str] | None = None
) -> dict:
    """A file as the plan has it."""
    return {"content": content, "owner": owner, "group": group, "mode": mode, **({"apply": apply} if apply else {})}


def directory(owner: str = "root", group: str = "root", mode: str = "0755") -> dict:
    """A directory as the plan has it."""
    return {"type": "directory", "owner": owner, "group": group, "mode": mode}


def node_files(node: str, bodies: dict[str, dict]) -> dict[str, dict]:
    """The files of pseudo-service `node`; `bodies` are the services on the node."""
    accounts = {name: body for name, body in bodies.items() if body.get("account") is not None}
    files = {
        ACCOUNTS: file(_accounts(accounts), apply=["systemd-sysusers", ACCOUNTS]),
        MEMBERS: file(_members(accounts, bodies), apply=["systemd-sysusers", MEMBERS]),
        TMPFILES: file(f"d {paths.RUN} 0755 root root -\n", apply=["systemd-tmpfiles", "--create", TMPFILES]),
        "/etc/cloudos": directory(),
        paths.PKI: directory(),
        paths.CA: file(_secret("pki/ca.crt")),
        TRUSTED: file(_secret("pki/ca.crt"), apply=["update-ca-certificates"]),
        paths.CERTIFICATE: file(_secret(f"pki/{node}.crt")),
        paths.KEY: file(_secret(f"pki/{node}.key"), group=paths.TLS_GROUP, mode="0640"),
    }
    if paths.FRONTEND in bodies:
        files[paths.FRONTEND_PEM] = file(
            _secret(f"pki/{node}.crt") + _secret(f"pki/{node}.key"), group=paths.FRONTEND, mode="0640"
        )
    if any("wsgi" in unit for body in bodies.values() for unit in body.get("units", {}).values()):
        files[units.GUNICORN] = file(units.GUNICORN_CONFIG)
    if settings := {key: value for body in bodies.values() for key, value in body.get("sysctl", {}).items()}:
        content = "".join(f"{key} = {value}\n" for key, value in sorted(settings.items()))
        files[SYSCTL] = file(content, apply=["/lib/systemd/systemd-sysctl", SYSCTL])
    return files


def _accounts(accounts: dict[str, dict]) -> str:
    lines = [f"g {paths.TLS_GROUP} -\n"]
    for name, body in sorted(accounts.items()):
        lines.append(f'u {name} - "{body.get("title", name)}" /var/lib/{name} /usr/sbin/nologin\n')
    return "".join(lines)


def _members(accounts: dict[str, dict], bodies: dict[str, dict]) -> str:
    members = {(name, group) for name, body in accounts.items() for group in (body["account"] or {}).get("groups", [])}
    members |= {(body["tls_user"], paths.TLS_GROUP) for body in bodies.values() if body.get("tls_user")}
    return "".join(f"m {user} {group}\n" for user, group in sorted(members))


def _secret(name: str) -> str:
    return "${secret:%s}\n" % name

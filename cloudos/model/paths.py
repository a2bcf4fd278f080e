"""Names that many parts of a plan share: paths on nodes, and the services that have a role of their own."""

BUNDLES = "/opt/cloudos"
BUNDLE = "/opt/cloudos/current"
RUN = "/run/cloudos"
PKI = "/etc/cloudos/pki"
CA = f"{PKI}/ca.pem"
CERTIFICATE, KEY = f"{PKI}/node.crt", f"{PKI}/node.key"
FRONTEND_PEM = f"{PKI}/haproxy.pem"
TLS_GROUP = "cloudos-tls"
UNITS = "/etc/systemd/system"

DATABASE, MESSAGING, FRONTEND = "mariadb", "rabbitmq", "haproxy"


def in_service(service: str, path: str) -> str:
    """A file's path on the node: a relative one lies below /etc/<service>."""
    return path if path.startswith("/") else f"/etc/{service}/{path}"


def unit_name(name: str) -> str:
    """A unit's name with its suffix, `.service` unless it has another one."""
    return name if name.endswith((".service", ".socket", ".timer", ".target", ".mount", ".path")) else f"{name}.service"

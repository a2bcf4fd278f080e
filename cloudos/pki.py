"""Certificates of a cloud: its own CA and what it signs. Pure functions over text; `cloudos.secrets` keeps what they make.

Keys are EC P-256. A CA is valid for ten years, a certificate for one; both are replaced well before they expire.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS, CERTIFICATE_DAYS = 3650, 365
RENEW_DAYS = 30
CA_RENEW_DAYS = CERTIFICATE_DAYS + RENEW_DAYS  # a certificate must not outlive the CA that signed it


def fingerprint(key: str) -> str:
    """Sixteen hexadecimal digits that tell random keys apart, and that may be shown."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def make_ca(now: datetime.datetime) -> tuple[str, str]:
    """A new CA: (certificate, key) as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Cloud OS CA {now:%Y-%m-%d}")
    builder = _builder(name, name, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(sign=True), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.add_extension(authority, critical=False)
    return _pem(builder.sign(key, hashes.SHA256())), _key_pem(key)


def make_certificate(
    node: str, sans: Sequence[str], ca: str, ca_key: str, now: datetime.datetime
) -> tuple[str, str]:
    """A certificate of `node` for the names and addresses `sans`, for server and client: (certificate, key) as PEM."""
    issuer = x509.load_pem_x509_certificate(ca.encode())
    issuer_key = serialization.load_pem_private_key(ca_key.encode(), password=None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(node), issuer.subject, key.public_key(), now, CERTIFICATE_DAYS)
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(sign=False), critical=True)
    builder = builder.add_extension(usages, critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_san(name) for name in sans]), critical=False)
    builder = builder.add_extension(authority, critical=False)
    return _pem(builder.sign(issuer_key, hashes.SHA256())), _key_pem(key)


def ca_is_good(pem: str | None, now: datetime.datetime) -> bool:
    """Whether there is a CA that outlives every certificate it would sign now."""
    return pem is not None and _lasts(x509.load_pem_x509_certificate(pem.encode()), now, CA_RENEW_DAYS)


def certificate_is_good(pem: str | None, ca: str, sans: Sequence[str], now: datetime.datetime) -> bool:
    """Whether there is a certificate for exactly `sans`, signed by `ca`, with at least 30 days left."""
    if pem is None:
        return False
    certificate = x509.load_pem_x509_certificate(pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.encode()))
    except (ValueError, InvalidSignature):
        return False
    return set(names) == {_san(name) for name in sans} and _lasts(certificate, now, RENEW_DAYS)


def _lasts(certificate: x509.Certificate, now: datetime.datetime, days: int) -> bool:
    return certificate.not_valid_after_utc - now >= datetime.timedelta(days=days)


def _builder(subject, issuer, public_key, now, days) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of nodes may be a little behind
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=sign, crl_sign=sign, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()

"""TLS in front of a socket, with a certificate of its own."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOOPBACK = "127.0.0.1"


@contextmanager
def in_front_of(target: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of a TLS door to the socket ``target``, and the certificate to trust."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "key.pem")
    with socket.create_server((LOOPBACK, 0)) as door:
        threading.Thread(target=_serve, args=(door, context, target), daemon=True).start()
        yield int(door.getsockname()[1]), certificate


def _serve(door: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(caller, context, target), daemon=True).start()


def _talk(caller: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    """One question, one answer, in turn: all that a plain client needs."""
    with (
        suppress(OSError),
        caller,
        socket.socket(socket.AF_UNIX) as server,
        context.wrap_socket(caller, server_side=True) as inside,
    ):
        server.connect(str(target))
        while asked := inside.recv(1 << 16):
            server.sendall(asked)
            inside.sendall(server.recv(1 << 16))


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "valkey")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, plain))
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(pem))
    return path

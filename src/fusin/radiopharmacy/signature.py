"""Ed25519 keys and signatures with a meaning.

A private key is a PEM file with mode 0600, with a passphrase when one is given; it is never printed and never stored in a
record. A signature covers who signs, what it means, when, and the hash of the entry that it closes, hence all before it.

References
----------
RFC 8032 (Ed25519). 21 CFR 11.50 and 11.70 (printed name, time and meaning; bound to the record).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.provenance import jsonable

__all__ = [
    "KeyPair",
    "canonical_bytes",
    "canonical_text",
    "fingerprint",
    "load_private_key",
    "load_public_key",
    "new_key",
    "verify_signature",
    "write_key",
]

_PUBLIC_BYTES = 32


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no blanks and no numbers that JSON does not have; what is hashed and signed."""
    return canonical_text(jsonable(value)).encode("utf-8", errors="surrogatepass")


def canonical_text(value: Any) -> str:
    """The same as text, of what JSON itself gave back.

    Raises
    ------
    ValueError
        For NaN and infinities, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key that signs.

    Attributes
    ----------
    public_hex : public key, 64 hexadecimal digits
    """

    _private: Any
    public_hex: str

    def __repr__(self) -> str:
        return f"KeyPair({self.public_hex})"

    def sign(self, payload: Mapping[str, Any]) -> str:
        """Signature over canonical JSON, in hexadecimal digits."""
        return str(self._private.sign(canonical_bytes(payload)).hex())


def new_key(seed: bytes | None = None) -> KeyPair:
    """A new key from the operating system's randomness, or from 32 bytes for a reproducible demonstration."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate() if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
    return _pair(private)


def write_key(key: KeyPair, path: Path, *, passphrase: bytes | None = None) -> Path:
    """Write a private key (mode 0600) and, beside it with the suffix ``.pub``, its public key.

    Returns
    -------
    Path
        Of the public key.

    Raises
    ------
    InputError
        When a file of that name exists: a key is never overwritten.
    """
    from cryptography.hazmat.primitives import serialization

    how: Any = serialization.NoEncryption()
    if passphrase:
        how = serialization.BestAvailableEncryption(passphrase)
    text = key._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    public = path.with_name(path.name + ".pub")
    if path.exists() or public.exists():
        raise InputError(path.name, "key file", "a file of that name", "a new name: a key is never overwritten")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    public.write_text(key.public_hex + "\n", encoding="ascii")
    return public


def load_private_key(path: Path, *, passphrase: bytes | None = None) -> KeyPair:
    """Read a private key.

    Raises
    ------
    InputError
        For a file that is absent, no Ed25519 key, or locked by another passphrase.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if not path.is_file():
        raise InputError(path.name, "--key", "nothing", "a private key made by fusin release keygen")
    try:
        private = load_pem_private_key(path.read_bytes(), password=passphrase)
    except TypeError as err:
        needed = "its passphrase (--passphrase-file)" if passphrase is None else "no passphrase: the key has none"
        raise InputError(path.name, "--key", "a key that does not open", needed) from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise InputError(path.name, "--key", "bytes that are no such key", "an Ed25519 key and its passphrase") from err
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(path.name, "--key", type(private).__name__, "an Ed25519 key made by fusin release keygen")
    return _pair(private)


def load_public_key(source: str | Path) -> str:
    """A public key from 64 hexadecimal digits or from a ``.pub`` file.

    Raises
    ------
    InputError
        For anything else.
    """
    path = Path(source)
    text = str(source).strip()
    try:
        if path.is_file():
            text = path.read_bytes()[:4096].decode("ascii", errors="replace").strip()
        if len(bytes.fromhex(text)) != _PUBLIC_BYTES:
            raise ValueError(text)
    except (ValueError, OSError) as err:
        needed = "64 hexadecimal digits, or the .pub file of a key"
        raise InputError("public key", "--key", path.name[:80], needed) from err
    return text.lower()


def verify_signature(public_hex: str, signature_hex: str, payload: Mapping[str, Any]) -> bool:
    """Whether a signature holds for canonical JSON under a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
        key.verify(bytes.fromhex(signature_hex), canonical_bytes(payload))
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public_hex: str) -> str:
    """First 16 digits of a public key in groups of four, for people to compare."""
    return " ".join(public_hex[i : i + 4] for i in range(0, 16, 4))


def _pair(private: Any) -> KeyPair:
    from cryptography.hazmat.primitives import serialization

    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return KeyPair(private, raw.hex())

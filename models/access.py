"""Who may call: the people of .env, and programs with a token.

On the command line:

python -m models.access password NAME   a line for GENLAB_AUTH, with a hash instead of the password
python -m models.access create NAME     a new API token, printed this once
python -m models.access list            the tokens' names
python -m models.access revoke NAME     end a token, at once and in the running page too
"""

import argparse
import base64
import getpass
import hashlib
import hmac
import re
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence

from models.errors import RateLimited, Unavailable
from models.runtime.limits import Count, Minute, person_of
from models.settings import Settings, SettingsError
from models.state import StateFile, state

# Wrong passwords a minute. An address may be that of a whole school, or forged: the third holds then.
TRIES_OF_A_NAME, TRIES_OF_AN_ADDRESS, TRIES_OF_ALL = 10, 30, 100
PREFIX = "genlab_"  # of a token, so that other bearers' tokens are not looked up
_HASH = "$argon2"
_NAME = re.compile(r"[\w.-]{1,64}")


class Access:
    """Who may call, and as whom they are counted.

    Args:
        settings: where the tokens are.
        login: names with passwords or Argon2 hashes; with none everybody may call.
    """

    def __init__(self, settings: Settings, login: Sequence[tuple[str, str]] = ()) -> None:
        self._login = dict(login)
        self._state = state(settings.state_file)
        self._tries = Minute()
        self._lock = threading.Lock()  # one hash at a time: each takes 64 MiB
        self._key = secrets.token_bytes(32)
        self._right: set[bytes] = set()  # what was right before: a program signs in at each call

    @property
    def has_login(self) -> bool:
        """Whether people must sign in."""
        return bool(self._login)

    def person(self, authorization: str, address: str) -> str | None:
        """Who is calling, in the form of PERSON, by the Authorization header; None if that person may not.

        Args:
            authorization: "Basic ..." of a person or "Bearer ..." of a program, or "".
            address: of the caller.

        Raises:
            RateLimited: too many wrong passwords in this minute.
            Unavailable: the tokens cannot be read.
        """
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer" and value.startswith(PREFIX):
            name = name_of(self._state, value)
            if name is not None:
                return person_of(address, token=name)
        if not self.has_login:
            return person_of(address)
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return None
        return person_of(address, name) if self.sign_in(name, password, address) else None

    def sign_in(self, name: str, password: str, address: str) -> bool:
        """Whether a password is right. With a hash it takes some 50 ms.

        Raises:
            RateLimited: too many were wrong in this minute; then a right one is not looked at either.
        """
        digest = hmac.digest(self._key, _bytes(f"{name}:{password}"), "sha256")
        counts = (
            Count(f"name {name[:64]}", TRIES_OF_A_NAME),
            Count(f"address {address}", TRIES_OF_AN_ADDRESS),
            Count("all", TRIES_OF_ALL),
        )
        with self._lock:
            if digest in self._right:
                return True
            if seconds := self._tries.wait(counts):
                raise RateLimited("too_many_sign_ins", seconds=seconds)
            right = _is_right(password, self._login.get(name, self._nobody))
            if not right or name not in self._login:
                self._tries.take(counts)
                return False
            self._right.add(digest)
            return True

    @property
    def _nobody(self) -> str:
        """The secret that an unknown name is compared with, so that it takes as long as a wrong password."""
        return next((secret for secret in self._login.values() if secret.startswith(_HASH)), "\0")


def _is_right(password: str, secret: str) -> bool:
    if not secret.startswith(_HASH):
        return hmac.compare_digest(_bytes(password), _bytes(secret))
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(secret, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- tokens


def create(tokens: StateFile, name: str) -> str:
    """Make a token; only its hash is noted. It is 256 random bits, so a plain SHA-256 is enough.

    Raises:
        ValueError: there is one of this name, or it is no name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name has up to 64 letters, digits, dots or hyphens")
    token = PREFIX + secrets.token_urlsafe(32)
    with tokens.transaction() as rows:
        try:
            rows.execute("INSERT INTO token VALUES (?, ?, ?)", (name, _hash(token), time.time()))
        except sqlite3.IntegrityError:
            raise ValueError(f"there is a token {name} already: revoke it first") from None
    return token


def revoke(tokens: StateFile, name: str) -> bool:
    """End a token; False if there is none of this name."""
    with tokens.transaction() as rows:
        return rows.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount > 0


def names(tokens: StateFile) -> list[tuple[str, float]]:
    """Name and time (seconds since 1970) of each token."""
    with tokens.transaction() as rows:
        return rows.execute("SELECT name, since FROM token ORDER BY name").fetchall()


def name_of(tokens: StateFile, token: str) -> str | None:
    """Whose token it is; None for nobody's."""
    with tokens.transaction() as rows:
        row = rows.execute("SELECT name FROM token WHERE hash = ?", (_hash(token),)).fetchone()
    return row and row[0]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


# ---------------------------------------------------------------- the command line


def main(argv: Sequence[str] | None = None) -> str:
    """Do what the command line says; returns what is to be printed.

    Raises:
        SystemExit: it cannot be done; with a sentence.
    """
    parser = argparse.ArgumentParser(
        "python -m models.access", description="Passwords' hashes, and API tokens."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the tokens' names")
    for command, text in {
        "password": "a line for GENLAB_AUTH, with a hash instead of the password",
        "create": "a new API token, printed this once",
        "revoke": "end a token",
    }.items():
        commands.add_parser(command, help=text).add_argument("name")
    options = parser.parse_args(argv)
    try:
        if options.command == "password":
            return _hash_password(options.name)
        tokens = state(Settings.read().state_file)
        if options.command == "create":
            return create(tokens, options.name)
        if options.command == "revoke":
            return "revoked" if revoke(tokens, options.name) else sys.exit("no such token")
        days = ((name, time.strftime("%Y-%m-%d", time.localtime(at))) for name, at in names(tokens))
        return "\n".join(f"{name}  since {day}" for name, day in days)
    except (ValueError, SettingsError) as problem:
        sys.exit(str(problem))
    except Unavailable:
        sys.exit("the file of GENLAB_STATE cannot be read or written")


def _hash_password(name: str) -> str:
    from argon2 import PasswordHasher

    if not name or set(name) & set(":,"):
        raise ValueError("a name has no colon and no comma")
    is_person = sys.stdin.isatty()
    password = getpass.getpass() if is_person else sys.stdin.readline().rstrip("\n")
    if not password:
        raise ValueError("the password is empty")
    if is_person and getpass.getpass("Once more: ") != password:
        raise ValueError("the two differ")
    return f"{name}:{PasswordHasher().hash(password)}"


if __name__ == "__main__":
    print(main())

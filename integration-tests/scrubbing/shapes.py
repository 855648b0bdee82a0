"""Values that the libraries have no generator for, by their published formats, from one seeded source of chance."""

import base64
import json
import random
import string
import uuid
from datetime import datetime, timedelta, timezone

_chance = random.Random()

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
UPPER_AND_DIGITS = string.ascii_uppercase + string.digits
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def seed(value):
    _chance.seed(value)


def chance():
    return _chance


def of(alphabet, length):
    return "".join(_chance.choices(alphabet, k=length))


def octets(length):
    return _chance.randbytes(length)


def unpadded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(name):
    header = {"alg": _chance.choice(["HS256", "RS256", "ES256", "EdDSA"]), "typ": "JWT"}
    if _chance.random() < 0.4:
        header["kid"] = of(LETTERS_AND_DIGITS, 12)
    claims = {"iss": "https://id.example.com", "sub": name, "iat": _chance.randrange(1_500_000_000, 1_900_000_000)}
    separators = _chance.choice([(",", ":"), (", ", ": ")])
    parts = [json.dumps(part, separators=separators).encode() for part in (header, claims)]
    return ".".join(unpadded(part) for part in [*parts, octets(_chance.choice([32, 64, 256]))])


def pem():
    label = _chance.choice(
        ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "CERTIFICATE", "ENCRYPTED PRIVATE KEY"]
    )
    body = base64.b64encode(octets(_chance.randrange(90, 900))).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    # A line of input holds no line break: as in environment variables and JSON, or run together.
    return _chance.choice(["\\n", " "]).join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def provider_token():
    kinds = [
        lambda: _chance.choice(["AKIA", "ASIA"]) + of(string.ascii_uppercase + "234567", 16),
        lambda: _chance.choice(["ghp_", "gho_", "ghu_", "ghs_", "ghr_"]) + of(LETTERS_AND_DIGITS, 36),
        lambda: "github_pat_" + of(LETTERS_AND_DIGITS, 22) + "_" + of(LETTERS_AND_DIGITS, 59),
        lambda: _chance.choice(["sk_live_", "sk_test_", "rk_live_", "rk_test_"]) + of(LETTERS_AND_DIGITS, 24),
        lambda: "sk_live_51" + of(LETTERS_AND_DIGITS, 97),
        lambda: "xoxb-" + of(string.digits, 12) + "-" + of(string.digits, 13) + "-" + of(LETTERS_AND_DIGITS, 24),
        lambda: "xoxp-" + "-".join(of(string.digits, 12) for _ in range(3)) + "-" + of("0123456789abcdef", 32),
        lambda: "xapp-1-A" + of(UPPER_AND_DIGITS, 10) + "-" + of(string.digits, 13) + "-" + of("0123456789abcdef", 64),
        lambda: "AIza" + of(LETTERS_AND_DIGITS + "-_", 35),
        lambda: "ya29." + of(LETTERS_AND_DIGITS + "-_", 120),
        lambda: "GOCSPX-" + of(LETTERS_AND_DIGITS + "-_", 28),
    ]
    return _chance.choice(kinds)()


def opaque_token():
    kinds = [
        lambda: of("0123456789abcdef", _chance.choice([32, 40, 64])),
        lambda: unpadded(octets(_chance.choice([24, 32, 48]))),
        lambda: base64.b64encode(octets(_chance.choice([24, 32]))).decode(),
        lambda: of(LETTERS_AND_DIGITS, _chance.randrange(20, 48)),
        lambda: str(uuid.UUID(int=_chance.getrandbits(128), version=4)),
    ]
    return _chance.choice(kinds)()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def trace_id():
    return of("0123456789abcdef", 32)


def span_id():
    return of("0123456789abcdef", 16)


def ulid():
    return _chance.choice("01234567") + of(CROCKFORD, 25)


def ksuid():
    return _chance.choice("012") + of(LETTERS_AND_DIGITS, 26)


def user_id():
    kinds = [
        lambda: "usr_" + of(LETTERS_AND_DIGITS, 16),
        lambda: "u" + of(string.digits, 7),
        lambda: "auth0|" + of("0123456789abcdef", 24),
        lambda: of("0123456789abcdef", 24),
        lambda: "cus_" + of(LETTERS_AND_DIGITS, 14),
        lambda: of(string.digits, _chance.randrange(5, 11)),
        lambda: unpadded(octets(12)),
    ]
    return _chance.choice(kinds)()


def session_id():
    kinds = [
        lambda: "sess_" + of(LETTERS_AND_DIGITS, 24),
        lambda: of("0123456789abcdef", 32),
        lambda: unpadded(octets(_chance.choice([16, 24, 32]))),
        lambda: of(UPPER_AND_DIGITS, 32),
        lambda: of(string.ascii_lowercase + string.digits, 26),
    ]
    return _chance.choice(kinds)()


def digest(length):
    data = octets(length)
    return _chance.choice([data.hex(), data.hex(), base64.b64encode(data).decode(), "sha256:" + data.hex()])


def moment():
    return datetime(2000, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=_chance.randrange(0, 35 * 365 * 86_400))


def epoch(digits):
    return str(int(moment().timestamp() * 10**6) * 10**3 + _chance.randrange(1000)).rjust(19, "0")[:digits]


def order_number():
    return moment().strftime("%Y%m%d") + of(string.digits, 8)


def feature_flag(words):
    kinds = [
        lambda: f"{words[0]}-{words[1]}:{_chance.choice(['on', 'off', 'true', 'false'])}",
        lambda: f"ff_{words[0]}_{words[1]}_v{_chance.randrange(1, 20)}",
        lambda: f"enable{words[0].title()}{words[1].title()}",
        lambda: f"{words[0]}={_chance.choice(['control', 'treatment', 'variant-b'])};{words[1]}={_chance.randrange(101)}%",
    ]
    return _chance.choice(kinds)()


def amount():
    value = _chance.random() * 10 ** _chance.randrange(1, 10)
    symbol = _chance.choice(["€", "$", "£", "", "USD ", "EUR "])
    kinds = [
        lambda: f"{symbol}{value:.2f}",
        lambda: f"{symbol}{value:,.2f}",
        lambda: f"{value:,.2f}".translate(str.maketrans(",.", ".,")) + " EUR",
        lambda: f"{value:,.0f}".replace(",", " ") + " kr",
        lambda: f"{_chance.choice('+-')}{value:.2f}",
        lambda: str(int(value * 100)),
    ]
    return _chance.choice(kinds)()


def version(numbers):
    major, minor, patch = numbers
    kinds = [
        lambda: f"{major}.{minor}.{patch}",
        lambda: f"v{major}.{minor}.{patch}",
        lambda: f"{major}.{minor}.{patch}-{_chance.choice(['alpha', 'beta', 'rc'])}.{_chance.randrange(1, 9)}",
        lambda: f"{major}.{minor}.{patch}+{moment():%Y%m%d%H%M%S}",
        lambda: f"v{major}.{minor}.{patch}.{_chance.randrange(0, 255)}",
        lambda: f"{_chance.choice(['Chrome', 'Edg', 'OPR', 'Chromium'])}/{80 + major}.0.{_chance.choice([0, 6099])}.{minor}",
        lambda: f"Firefox/{80 + major}.0",
        lambda: f"{2015 + major % 12}.{1 + minor % 12}",
    ]
    return _chance.choice(kinds)()

"""What a value may be wrapped in. Each takes the value and a source of chance."""

import base64
import re
from urllib.parse import quote


def percent(value, _chance=None):
    return quote(value, safe="")


def full_width(value, _chance=None):
    return "".join(chr(ord(char) - ord("0") + 0xFF10) if char in "0123456789" else char for char in value)


ENCODINGS = {
    "percent": percent,
    "percent twice": lambda value, _: percent(percent(value)),
    "base64": lambda value, _: base64.b64encode(value.encode()).decode(),
    "base64, no padding": lambda value, _: base64.b64encode(value.encode()).decode().rstrip("="),
    "base64 URL-safe": lambda value, _: base64.urlsafe_b64encode(value.encode()).decode(),
}

_WIDE = {"full width": full_width}
OF_DIGITS = {
    name: _WIDE for name in ["payment cards", "IBANs", "US SSNs, dashed", "phones, E.164", "IPv4", "IPv6", "MAC"]
}


def _in_groups(value, chance):
    """Groups of four, as on a card or a letter; an American Express number as on the card."""
    bare = re.sub(r"[^0-9A-Za-z]", "", value)
    separator = chance.choice(" -.")
    sizes = [4, 6, 5] if bare.isdigit() and len(bare) == 15 else [4] * (len(bare) // 4 + 1)
    groups, start = [], 0
    for size in sizes:
        groups.append(bare[start : start + size])
        start += size
    return separator.join(group for group in groups if group)


def _phone(value, chance):
    digits = re.sub(r"[^0-9]", "", value)
    separator = chance.choice(" -.")
    country, rest = digits[:2], digits[2:]
    return "+" + separator.join([country, rest[:3], rest[3:6], rest[6:]]).rstrip(separator)


def _ssn(value, _chance):
    return value.replace("-", " ")


separated = {"payment cards": _in_groups, "IBANs": _in_groups, "phones, E.164": _phone, "US SSNs, dashed": _ssn}

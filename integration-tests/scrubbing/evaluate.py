"""Measures the scrubbers: what they find of each class in each encoding, and what they take for something that is nothing.

Feeds `key=value` lines to a command and reads one JSON object a line back. Prints a table, and fails if a figure is missed.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter

import forms
import mimesis_values
import presidio_values
import shapes
from encodings_of import ENCODINGS, OF_DIGITS, separated

SEED = 20_26

# The least share to be found of each class, as it is written.
RECALL = {
    "payment cards": 0.98,
    "IBANs": 0.98,
    "e-mail": 0.98,
    "US SSNs, dashed": 0.97,
    "phones, E.164": 0.95,
    "IPv4": 0.99,
    "IPv6": 0.99,
    "MAC": 0.99,
    "JWT": 0.98,
    "PEM": 0.98,
    "provider tokens": 0.98,
    "bearer": 0.98,
    "basic": 0.98,
    "secrets under a secret-like key": 0.98,
}
# The least share of the classes in forms.py, which are not encoded again.
FORMS = 0.95
# The least share to be found of each class in each encoding, and the most to be stopped of each class that is clean.
RECALL_ENCODED = 0.95
FALSE_ALARMS = 0.005

NEUTRAL_KEYS = ["note", "value", "ref", "data", "ctx", "field", "extra"]
TELLING_KEYS = [
    "password", "passwd", "db.password", "user_password", "secret", "client_secret", "clientSecret", "api_key", "apiKey",
    "x-api-key", "access_token", "refresh-token", "auth_token", "authorization", "token", "private_key", "secretKey",
    "AWS_SECRET_ACCESS_KEY", "credentials", "webhook.secret",
]  # fmt: skip


def scan(command, lines):
    """One verdict for each line, in order."""
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    verdicts = [json.loads(line) for line in done.stdout.decode().splitlines() if line.strip()]
    if len(verdicts) != len(lines):
        sys.exit(f"{len(lines)} lines went in and {len(verdicts)} came out")
    return verdicts


def stopped(command, lines):
    """How many were not let across unchanged, and by which detectors."""
    verdicts = [verdict for verdict in scan(command, lines) if verdict["decision"] != "allowed"]
    return len(verdicts), Counter(verdict.get("detector", "?") for verdict in verdicts)


def encodings_for(name):
    encodings = dict(ENCODINGS)
    if name in OF_DIGITS:
        encodings.update(OF_DIGITS[name])
    if name in separated:
        encodings["separators"] = separated[name]
    return encodings


def lines_of(name, values, chance, encode=lambda value, _: value, inside=False):
    """Each value under a key, encoded: all of the text, or only the value in it."""
    keys = TELLING_KEYS if name == "secrets under a secret-like key" else NEUTRAL_KEYS
    lines = []
    for each in values:
        text, value = each if isinstance(each, tuple) else (each, each)
        encoded = text.replace(value, encode(value, chance)) if inside else encode(text, chance)
        lines.append(f"{chance.choice(keys)}={encoded}")
    return lines


class Table:
    def __init__(self, markdown):
        self.markdown = markdown
        self.failed = False

    def head(self, *cells):
        self.row(*cells)
        if self.markdown:
            print("|" + "|".join("---" if index == 0 else "---:" for index, _ in enumerate(cells)) + "|")

    def row(self, *cells):
        if self.markdown:
            print("| " + " | ".join(cells) + " |")
        else:
            print(f"{cells[0]:<44}" + "".join(f"{cell:>22}" for cell in cells[1:]), flush=True)

    def share(self, count, total, good):
        self.failed |= not good
        return f"{count}/{total} = {count / total:.4f}" + ("" if good else " MISSED")


def main():
    arguments = sys.argv[1:]
    split = arguments.index("--")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="values of each class from each source")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments[:split])
    command = arguments[split + 1 :]

    sources = {"presidio-evaluator": presidio_values, "mimesis": mimesis_values}
    found, clean = {}, {}
    for source, module in sources.items():
        shapes.seed(f"{options.seed} {source}")
        found[source] = module.personal(options.seed, options.count) | forms.personal(options.count)
        clean[source] = module.clean(options.seed, options.count)
    table = Table(options.markdown)
    chance = random.Random(options.seed)

    table.head("Found, as written", "at least", *sources)
    for name, least in (RECALL | dict.fromkeys(forms.CLASSES, FORMS)).items():
        cells = []
        for source in sources:
            values = found[source][name]
            lines = lines_of(name, values, chance)
            count, _ = stopped(command, lines)
            cells.append(table.share(count, len(lines), count >= least * len(lines)))
        table.row(name, f"{least:.2f}", *cells)
    print()

    table.head("Found, encoded", "at least", *sources)
    for encoding in ["percent", "percent twice", "base64", "base64, no padding", "base64 URL-safe", "separators", "full width"]:
        for name in RECALL:
            encode = encodings_for(name).get(encoding)
            if encode is None:
                continue
            cells = []
            for source in sources:
                inside = encoding in ("separators", "full width")
                lines = lines_of(name, found[source][name], chance, encode, inside)
                count, _ = stopped(command, lines)
                cells.append(table.share(count, len(lines), count >= RECALL_ENCODED * len(lines)))
            table.row(f"{encoding}: {name}", f"{RECALL_ENCODED:.2f}", *cells)
    print()

    table.head("False alarms", "at most", *sources)
    names = list(dict.fromkeys(name for source in sources for name in clean[source]))
    for name in names:
        cells, detectors = [], Counter()
        for source in sources:
            key, values = clean[source].get(name, (None, []))
            if not values:
                cells.append("")
                continue
            # Under the key such a value has, and under one that says nothing.
            lines = [f"{chance.choice([key, *NEUTRAL_KEYS[:1]])}={value}" for value in values]
            count, which = stopped(command, lines)
            detectors += which
            cells.append(table.share(count, len(lines), count <= FALSE_ALARMS * len(lines)))
        which = ", ".join(f"{detector} {count}" for detector, count in detectors.most_common(3))
        table.row(name, f"{FALSE_ALARMS:.3f}", *cells[:-1], cells[-1] + (f" ({which})" if which else ""))

    if table.failed:
        sys.exit("a figure was missed")


main()

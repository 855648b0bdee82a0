"""Values from mimesis, and IBANs from schwifty: generators that the scrubbers were never tuned on."""

import re

import schwifty
import shapes
from mimesis import Address, Code, Cryptographic, Datetime, Development, Finance, Internet, Payment, Person, Text
from mimesis.locales import Locale


def _e164(person):
    """A number that begins with a plus, without what is written between its digits."""
    while True:
        number = person.phone_number()
        digits = re.sub(r"[^0-9]", "", number)
        if "+" in number and 8 <= len(digits) <= 15:
            return "+" + digits


def _ssn():
    chance = shapes.chance()
    area = chance.choice([number for number in range(1, 900) if number != 666])
    return f"{area:03}-{chance.randrange(1, 100):02}-{chance.randrange(1, 10_000):04}"


def personal(seed, count):
    many = lambda make: [make() for _ in range(count)]  # noqa: E731
    chance = shapes.chance()
    person, payment, internet, secret = Person(seed=seed), Payment(seed=seed), Internet(seed=seed), Cryptographic(seed=seed)
    callers = [Person(locale, seed=seed) for locale in Locale]
    callers = [caller for caller in callers if any("+" in caller.phone_number() for _ in range(20))]
    return {
        "payment cards": many(lambda: payment.credit_card_number().replace(" ", "")),
        "IBANs": many(lambda: str(schwifty.IBAN.random(random=chance))),
        "e-mail": many(lambda: person.email()),
        "US SSNs, dashed": many(_ssn),
        "phones, E.164": many(lambda: _e164(chance.choice(callers))),
        "IPv4": many(internet.ip_v4),
        "IPv6": many(internet.ip_v6),
        "MAC": many(internet.mac_address),
        "JWT": many(secret.jwt),
        "PEM": many(shapes.pem),
        "provider tokens": many(shapes.provider_token),
        "bearer": many(lambda: "Bearer " + chance.choice([secret.token_hex, secret.token_urlsafe, secret.api_key, secret.jwt])()),
        "basic": many(lambda: shapes.basic(person.username(), person.password(length=12))),
        "secrets under a secret-like key": many(
            lambda: chance.choice(
                [
                    lambda: person.password(length=chance.randrange(8, 24)),
                    secret.api_key,
                    secret.token_hex,
                    secret.token_urlsafe,
                    secret.uuid,
                ]
            )()
        ),
    }


def clean(seed, count):
    many = lambda make: [" ".join(str(make()).split()) for _ in range(count)]  # noqa: E731
    chance = shapes.chance()
    internet, secret, text = Internet(seed=seed), Cryptographic(seed=seed), Text(seed=seed)
    development, finance, moments, code = Development(seed=seed), Finance(seed=seed), Datetime(seed=seed), Code(seed=seed)
    address, person = Address(seed=seed), Person(seed=seed)
    numbers = lambda: [chance.randrange(top) for top in (40, 60, 99)]  # noqa: E731
    return {
        "trace ids": ("trace_id", many(lambda: secret.token_hex(16))),
        "span ids": ("span_id", many(lambda: secret.token_hex(8))),
        "UUIDs": ("request_id", many(secret.uuid)),
        "ULIDs": ("id", many(shapes.ulid)),
        "KSUIDs": ("id", many(shapes.ksuid)),
        "user ids": ("user_id", many(lambda: chance.choice([shapes.user_id, lambda: person.identifier(mask="@@##-####")])())),
        "session ids": ("session_id", many(lambda: chance.choice([shapes.session_id, secret.token_urlsafe])())),
        "digests": ("digest", many(lambda: chance.choice([secret.hash, secret.certificate_fingerprint, lambda: shapes.digest(32)])())),
        "epochs, 10 digits": ("ts", many(lambda: moments.timestamp())),
        "epochs, 13 digits": ("ts", many(lambda: f"{moments.timestamp()}{chance.randrange(1000):03}")),
        "epochs, 16 digits": ("ts", many(lambda: f"{moments.timestamp()}{chance.randrange(10**6):06}")),
        "epochs, 19 digits": ("ts", many(lambda: f"{moments.timestamp()}{chance.randrange(10**9):09}")),
        "ISO dates": ("date", many(lambda: moments.datetime().isoformat() + chance.choice(["", "Z", "+05:30"]))),
        "versions": ("version", many(lambda: chance.choice([development.version, development.calver, lambda: shapes.version(numbers())])())),
        "slugs": ("slug", many(internet.slug)),
        "order numbers with a date": ("order", many(shapes.order_number)),
        "feature flags": ("feature", many(lambda: shapes.feature_flag(text.words(2)))),
        "locales": ("locale", many(code.locale_code)),
        "currency amounts": ("amount", many(lambda: chance.choice([finance.price, shapes.amount])())),
        "user agents": ("user_agent", many(internet.user_agent)),
        "host names": ("host", many(internet.hostname)),
        "short sentences": ("message", many(lambda: chance.choice([text.title, text.quote, address.address])())),
    }

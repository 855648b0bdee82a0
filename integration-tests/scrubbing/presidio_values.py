"""Values from presidio-evaluator: its providers, its templates, and the Faker underneath."""

import contextlib
import io
import re

import shapes
from faker import Faker
from presidio_evaluator.data_generator import PresidioSentenceFaker, presidio_templates_file_path
from presidio_evaluator.data_generator.faker_extensions.datasets import load_fake_person_df

# Where IBANs differ in length and in whether they have letters.
LOCALES = ["en_GB", "de_DE", "fr_FR", "it_IT", "es_ES", "nl_NL", "pl_PL", "de_AT", "de_CH", "no_NO", "tr_TR", "fi_FI", "pt_PT"]
DIRECT = re.compile(r"\{\{(credit_card_number|iban|email|ip_address|phone_number|ssn|us_driver_license|url)\}\}")


ENTITIES = PresidioSentenceFaker.ENTITY_TYPE_MAPPING

# People as presidio-evaluator knows them, but for their telephone numbers: those are all local, its provider's are not.
PEOPLE = load_fake_person_df().drop(columns=["phone_number"], errors="ignore")


def _sentences(templates, seed, count, locale="en_US"):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        faker = PresidioSentenceFaker(
            locale, lower_case_ratio=0, sentence_templates=templates, base_records=PEOPLE, random_seed=seed
        )
        return faker.generate_new_fake_sentences(count)


def _line(text):
    return " ".join(text.split())


def _values(entity, seed, count, keep=lambda value: True, locales=("en_US",)):
    """Half alone, half in a sentence of presidio-evaluator's that has one: each as a text and the value in it."""
    templates = [line for line in presidio_templates_file_path.read_text().splitlines() if f"{{{{{entity}}}}}" in line]
    values = []
    for number, locale in enumerate(locales):
        share = count // len(locales) + 1
        picked = []
        for offset, some in enumerate(([f"{{{{{entity}}}}}"], templates)):
            wanted = (share + 1 - offset) // 2
            attempt = 0
            kept = []
            while len(kept) < wanted:
                for sample in _sentences(some, seed + 1000 * number + 10 * attempt + offset, 4 * wanted, locale):
                    spans = [span.entity_value for span in sample.spans if span.entity_type == ENTITIES[entity]]
                    if any(keep(value) for value in spans):
                        value = next(value for value in spans if keep(value))
                        kept.append((_line(sample.full_text), _line(value)))
                attempt += 1
            picked += kept[:wanted]
        values += picked
    return values[:count]


def personal(seed, count):
    faker = Faker()
    faker.seed_instance(seed)
    many = lambda make: [make() for _ in range(count)]  # noqa: E731
    return {
        "payment cards": _values("credit_card_number", seed, count),
        "IBANs": _values("iban", seed, count, locales=LOCALES),
        "e-mail": _values("email", seed, count),
        "US SSNs, dashed": _values("ssn", seed, count),
        "phones, E.164": _values("phone_number", seed, count, keep=lambda value: value.startswith("+")),
        "IPv4": many(faker.ipv4),
        "IPv6": many(faker.ipv6),
        "MAC": many(faker.mac_address),
        "JWT": many(lambda: shapes.jwt(faker.name())),
        "PEM": many(shapes.pem),
        "provider tokens": many(shapes.provider_token),
        "bearer": many(lambda: "Bearer " + shapes.opaque_token()),
        "basic": many(lambda: shapes.basic(faker.user_name(), faker.password(length=12))),
        "secrets under a secret-like key": many(
            lambda: shapes.chance().choice(
                [
                    lambda: faker.password(length=shapes.chance().randrange(8, 24)),
                    lambda: faker.sha1(),
                    lambda: faker.uuid4(),
                    shapes.opaque_token,
                ]
            )()
        ),
    }


def clean(seed, count):
    faker = Faker()
    faker.seed_instance(seed + 1)
    many = lambda make: [_line(make()) for _ in range(count)]  # noqa: E731
    plain = [line for line in presidio_templates_file_path.read_text().splitlines() if not DIRECT.search(line)]
    numbers = lambda: [faker.random_int(0, top) for top in (40, 60, 99)]  # noqa: E731
    return {
        "trace ids": ("trace_id", many(shapes.trace_id)),
        "span ids": ("span_id", many(shapes.span_id)),
        "UUIDs": ("request_id", many(faker.uuid4)),
        "ULIDs": ("id", many(shapes.ulid)),
        "KSUIDs": ("id", many(shapes.ksuid)),
        "user ids": ("user_id", many(shapes.user_id)),
        "session ids": ("session_id", many(shapes.session_id)),
        "digests": ("digest", many(lambda: shapes.chance().choice([faker.md5, faker.sha1, faker.sha256, lambda: shapes.digest(32)])())),
        "epochs, 10 digits": ("ts", many(lambda: shapes.epoch(10))),
        "epochs, 13 digits": ("ts", many(lambda: shapes.epoch(13))),
        "epochs, 16 digits": ("ts", many(lambda: shapes.epoch(16))),
        "epochs, 19 digits": ("ts", many(lambda: shapes.epoch(19))),
        "ISO dates": ("date", many(lambda: faker.iso8601() + shapes.chance().choice(["", "Z", "+02:00", "-11:30"]))),
        "versions": ("version", many(lambda: shapes.version(numbers()))),
        "slugs": ("slug", many(lambda: faker.slug(faker.sentence(nb_words=5)))),
        "order numbers with a date": ("order", many(shapes.order_number)),
        "feature flags": ("feature", many(lambda: shapes.feature_flag(faker.words(2)))),
        "locales": ("locale", many(lambda: shapes.chance().choice([faker.locale, faker.language_code])())),
        "currency amounts": ("amount", many(lambda: shapes.chance().choice([faker.pricetag, shapes.amount])())),
        "user agents": ("user_agent", many(faker.user_agent)),
        "host names": ("host", many(lambda: faker.hostname(shapes.chance().randrange(1, 4)))),
        "short sentences": ("message", [_line(it.full_text) for it in _sentences(plain, seed, count)]),
    }

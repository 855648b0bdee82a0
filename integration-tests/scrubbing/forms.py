"""Values in the forms in which logs, headers and configuration have them, from the seeded source of chance in shapes.py."""

import re
from pathlib import Path

import shapes
from shapes import LETTERS_AND_DIGITS, UPPER_AND_DIGITS, of, unpadded, octets

HEX = "0123456789abcdef"
TABLE = Path(__file__).parents[2] / "propagation-core/scrub/src/credential/table.rs"
ALPHABETS = {
    "HEX": HEX, "LOWER": "abcdefghijklmnopqrstuvwxyz0123456789", "UPPER": UPPER_AND_DIGITS, "ALNUM": LETTERS_AND_DIGITS,
    "WORD": LETTERS_AND_DIGITS + "_", "DASHED": LETTERS_AND_DIGITS, "URL_SAFE": LETTERS_AND_DIGITS + "-_", "DOTTED": LETTERS_AND_DIGITS + "-_",
    "HASHED": LETTERS_AND_DIGITS + "./", "HEX_PAIR": HEX, "BASE64": LETTERS_AND_DIGITS + "+/", "ANY": LETTERS_AND_DIGITS, "PATH": LETTERS_AND_DIGITS,
}  # fmt: skip
ROW = re.compile(r'^    \w+ "[^"]+" \[([^]]+)\] (?:mixed )?(\w+) (\d+) (\w+) =>', re.M)


def formats():
    """The rows of the table of token formats: prefixes, alphabet, least and most length."""
    for prefixes, alphabet, least, most in ROW.findall(TABLE.read_text()):
        least = int(least)
        yield re.findall(r'"([^"]+)"', prefixes), alphabet, least, least + 8 if most == "OPEN" else int(most)


FORMATS = list(formats())


def token():
    chance = shapes.chance()
    prefixes, alphabet, least, most = chance.choice(FORMATS)
    length = chance.randrange(least, most + 1)
    body = of(ALPHABETS[alphabet], length)
    # A token ends with a letter or digit.
    return chance.choice(prefixes) + body[:-1] + of("0123456789", 1)


def password():
    return of(LETTERS_AND_DIGITS, shapes.chance().randrange(8, 20)) + of("!#%*?", 1) + of("0123456789", 1)


def pick(*makers):
    return shapes.chance().choice(makers)()


def cookie():
    return pick(
        lambda: f"Cookie: theme=dark; session={of(HEX, 32)}",
        lambda: f"Set-Cookie: id={unpadded(octets(24))}; Path=/; HttpOnly",
        lambda: f"PHPSESSID={of('abcdefghijklmnopqrstuvwxyz0123456789', 26)}",
        lambda: f"JSESSIONID={of(UPPER_AND_DIGITS, 32)}",
        lambda: f"connect.sid=s%3A{of(LETTERS_AND_DIGITS, 32)}.{of(LETTERS_AND_DIGITS, 43)}",
    )


def authorization():
    return pick(
        lambda: f'Digest username="anna", realm="shop", nonce="{of(HEX, 32)}", response="{of(HEX, 32)}"',
        lambda: f"Negotiate YII{of(LETTERS_AND_DIGITS, 120)}",
        lambda: f"AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature={of(HEX, 64)}",
        lambda: f'Hawk id="dh37", ts="1353832234", nonce="j4h3g2", mac="{of(LETTERS_AND_DIGITS, 43)}="',
        lambda: f"ApiKey {of(LETTERS_AND_DIGITS, 32)}",
        lambda: f"Token {of(HEX, 40)}",
        lambda: f"SharedAccessSignature sr=shop&sig={of(LETTERS_AND_DIGITS, 43)}%3D&se=1438205742&skn=Root",
        lambda: f"Authorization: Custom {of(LETTERS_AND_DIGITS, 32)}",
    )


def cloud():
    return pick(
        lambda: f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={of(LETTERS_AND_DIGITS + '+/', 86)}==",
        lambda: f"Endpoint=sb://shop/;SharedAccessKeyName=Root;SharedAccessKey={of(LETTERS_AND_DIGITS, 43)}=",
        lambda: f"?sv=2022-11-02&sr=c&sig={of(LETTERS_AND_DIGITS, 43)}%3D&se=2026-01-01",
        lambda: f"aws_secret_access_key = {of(LETTERS_AND_DIGITS + '+/', 40)}",
        lambda: f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={of(HEX, 64)}",
    )


def connection():
    return pick(
        lambda: f"postgres://app:{of(LETTERS_AND_DIGITS, 12)}@db:5432/shop",
        lambda: f"mongodb+srv://app:{of(LETTERS_AND_DIGITS, 12)}@c0.example.net/shop",
        lambda: f"redis://:{of(LETTERS_AND_DIGITS, 16)}@cache:6379",
        lambda: f"Server=db;User Id=sa;Password={password()};",
        lambda: f"jdbc:mysql://db/shop?user=root&password={of(LETTERS_AND_DIGITS, 14)}",
        lambda: f"password: {password()}",
        lambda: f"my password is {password()}",
        lambda: f"password = {password()}",
        lambda: f"<password>{password()}</password>",
        lambda: f"--password {password()}",
    )


def phone():
    digits = lambda length: of("23456789", 1) + of("0123456789", length - 1)  # noqa: E731
    code = lambda: of("23456789", 1) + of("012345678", 1) + of("0123456789", 1)  # noqa: E731
    return pick(
        lambda: f"+1 ({code()}) {code()}-{of('0123456789', 4)}",
        lambda: f"({code()}) {code()}-{of('0123456789', 4)}",
        lambda: f"{code()}-{code()}-{of('0123456789', 4)}",
        lambda: f"+44 (0)20 {digits(4)} {digits(4)}",
        lambda: f"0044 20 {digits(4)} {digits(4)}",
        lambda: f"+49/30/{digits(6)}",
        lambda: f"tel:{digits(10)}",
        lambda: f"Tel. 030/{digits(7)}",
        lambda: f"phone: 0{digits(10)}",
    )


def email():
    user, host = of("abcdefghijklmnopqrstuvwxyz", 7), of("abcdefghijklmnopqrstuvwxyz", 8)
    return pick(
        lambda: f"mailto:{user}+shop@{host}.example",
        lambda: f'"{user} smith"@{host}.example',
        lambda: f"{user}@[192.0.2.{shapes.chance().randrange(1, 255)}]",
        lambda: f"{user}@b\u00fccher.example",
        lambda: f"{user}@{host}\u3002com",
        lambda: f"{user}\uff20{host}.com",
        lambda: f"{user} at {host} dot com",
        lambda: f"{user}[at]{host}[dot]com",
        lambda: f"{user}&#64;{host}.com",
    )


CLASSES = {
    "token formats of the table": token,
    "cookies": cookie,
    "authorization, other schemes": authorization,
    "secrets of Azure and AWS": cloud,
    "credentials in connection strings and text": connection,
    "phones, usual forms": phone,
    "e-mail, usual forms": email,
}


def personal(count):
    return {name: [make() for _ in range(count)] for name, make in CLASSES.items()}

//! Hints that a key gives about its value.

mod password;

use std::cell::OnceCell;

pub(super) use password::{PASSWORDS, foreign_password};

/// A key, with cached results: a value with many numbers needs them often, and a key may be long.
#[derive(Debug)]
pub(super) struct Key<'k> {
    pub(super) bytes: &'k [u8],
    version: OnceCell<bool>,
    card: OnceCell<bool>,
}

impl<'k> Key<'k> {
    pub(super) const fn new(bytes: &'k [u8]) -> Self {
        Self { bytes, version: OnceCell::new(), card: OnceCell::new() }
    }

    /// Whether the key names a version, so that four numbers are not an address.
    pub(super) fn is_version(&self) -> bool {
        *self.version.get_or_init(|| is_version(self.bytes))
    }

    /// Whether the key names a payment card.
    pub(super) fn is_card(&self) -> bool {
        *self.card.get_or_init(|| is_card(self.bytes))
    }
}

/// The letters of a key, by their low five bits: enough to rule words out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hints(u32);

impl Hints {
    #[inline]
    pub(super) fn of(key: &[u8]) -> Self {
        Self(key.iter().fold(0, |letters, byte| letters | 1 << (byte & 31)))
    }

    const fn spells(self, word: u32) -> bool {
        self.0 & word == word
    }

    /// Whether `key`, whose hints these are, names a secret.
    #[inline]
    pub(super) fn names_secret(self, key: &[u8]) -> bool {
        let may_name_secret = self.spells(const { word(b"key") })
            || self.spells(const { word(b"pass") })
            || self.spells(const { word(b"token") })
            || self.spells(const { word(b"secret") })
            || self.spells(const { word(b"auth") })
            || self.spells(const { word(b"cred") })
            || self.spells(const { word(b"pwd") })
            || self.spells(const { word(b"jwt") })
            || self.spells(const { word(b"bearer") })
            || self.spells(const { word(b"pw") })
            || self.spells(const { word(b"kennwort") })
            || self.spells(const { word(b"senha") })
            || self.spells(const { word(b"haslo") })
            || self.spells(const { word(b"heslo") })
            || self.spells(const { word(b"parola") })
            || self.spells(const { word(b"contrasena") })
            || self.spells(const { word(b"wachtwoord") })
            || self.spells(const { word(b"pat") })
            || self.spells(const { word(b"salasana") })
            || self.spells(const { word(b"sandi") })
            || self.spells(const { word(b"clave") })
            || self.spells(const { word(b"sifre") })
            || self.spells(const { word(b"losenord") })
            || self.spells(const { word(b"lozinka") })
            || self.spells(const { word(b"adgangskode") })
            || self.spells(const { word(b"jelszo") })
            || self.spells(const { word(b"kodeord") })
            || self.spells(const { word(b"geslo") });
        (may_name_secret && has_secret_word(key)) || (!key.is_ascii() && foreign_password(key).is_some())
    }

    /// Whether the key may name a telephone or social security number.
    #[inline]
    pub(super) fn may_be_number(self) -> bool {
        self.spells(const { word(b"phone") })
            || self.spells(const { word(b"tel") })
            || self.spells(const { word(b"mobile") })
            || self.spells(const { word(b"cell") })
            || self.spells(const { word(b"msisdn") })
            || self.spells(const { word(b"fax") })
            || self.spells(const { word(b"whatsapp") })
            || self.spells(const { word(b"handy") })
            || self.spells(const { word(b"sms") })
            || self.spells(const { word(b"ssn") })
            || self.spells(const { word(b"social") })
    }
}

const fn word(mut word: &[u8]) -> u32 {
    let mut mask = 0;
    while let [letter, rest @ ..] = word {
        mask |= 1 << (*letter & 31);
        word = rest;
    }
    mask
}

/// The meaning of a word of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Names a secret.
    Telling,
    /// `secret`, which names a secret regardless of the words behind it.
    Secret,
    /// Makes the key name a property of a secret: `token_type`, `password_policy`, `auth_user_id`.
    About,
    Other,
}

/// The longest word that is known.
const LONGEST: usize = 20;

/// A word in lower case.
#[derive(Clone, Copy)]
struct Lower {
    letters: [u8; LONGEST],
    length: usize,
}

impl Lower {
    fn of(word: &[u8]) -> Self {
        let mut letters = [0; LONGEST];
        let length = word.len().min(LONGEST);
        for (letter, byte) in letters.iter_mut().zip(word) {
            *letter = byte | 0x20;
        }
        // Longer words are unknown.
        Self { letters, length: if word.len() > LONGEST { 0 } else { length } }
    }

    fn as_bytes(&self) -> &[u8] {
        self.letters.get(..self.length).unwrap_or(&[])
    }
}

fn word_of(word: &[u8]) -> Word {
    match Lower::of(word).as_bytes() {
        b"secret" => Word::Secret,
        b"pw" | b"pws" | b"pwds" | b"kennwort" | b"senha" | b"contrasena" | b"wachtwoord" | b"motdepasse"
        | b"passe" | b"sandi" | b"clave" | b"sifre" | b"losenord" | b"lozinka" | b"adgangskode" | b"jelszo"
        | b"passord" | b"kodeord" | b"parool" | b"parole" | b"geslo" | b"slaptazodis" | b"pat" | b"haslo"
        | b"heslo" | b"parola" | b"salasana" | b"password" | b"passwort" | b"passwords" | b"passwd" | b"passphrase"
        | b"passcode" | b"pass" | b"pwd" | b"secrets" | b"token" | b"tokens" | b"credential" | b"credentials"
        | b"creds" | b"cred" | b"auth" | b"authorization" | b"authorisation" | b"authentication" | b"bearer"
        | b"jwt" | b"apikey" | b"apitoken" | b"accesskey" => Word::Telling,
        b"id" | b"ids" | b"type" | b"types" | b"count" | b"counts" | b"name" | b"names" | b"method" | b"methods"
        | b"provider" | b"policy" | b"at" | b"time" | b"timestamp" | b"date" | b"expiry" | b"expires"
        | b"expiration" | b"ttl" | b"age" | b"length" | b"len" | b"size" | b"version" | b"url" | b"uri"
        | b"endpoint" | b"host" | b"status" | b"state" | b"kind" | b"mode" | b"user" | b"username" | b"scheme"
        | b"source" | b"issuer" | b"audience" | b"scope" | b"scopes" | b"enabled" | b"required" | b"reset"
        | b"limit" | b"budget" | b"usage" | b"used" | b"bucket" | b"max" | b"min" | b"total" | b"flow" | b"level"
        | b"realm" | b"result" | b"error" | b"algorithm" => Word::About,
        _ if ends_telling(word) => Word::Telling,
        _ => Word::Other,
    }
}

/// Whether a word of several written together ends with one that names a secret: `userpassword`, `clientsecret`.
fn ends_telling(word: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 16] = [
        b"accountkey",
        b"signingkey",
        b"subscriptionkey",
        b"encryptionkey",
        b"password",
        b"passwd",
        b"passphrase",
        b"passcode",
        b"secret",
        b"token",
        b"apikey",
        b"accesskey",
        b"secretkey",
        b"privatekey",
        b"credentials",
        b"pwd",
    ];
    let may_end = matches!(
        word.last_chunk().map(|[a, b]| [a | 0x20, b | 0x20]),
        Some([b'r' | b'w', b'd'] | [b's' | b'd', b'e'] | [b'e', b't' | b'n' | b'y'] | [b'l', b's'])
    );
    may_end && ENDINGS.into_iter().any(|ending| ends_with(word, ending))
}

/// Whether `key` names a secret after this word.
fn is_key_of(word: &[u8]) -> bool {
    matches!(
        Lower::of(word).as_bytes(),
        b"api"
            | b"access"
            | b"private"
            | b"secret"
            | b"signing"
            | b"signature"
            | b"encryption"
            | b"encrypt"
            | b"decryption"
            | b"crypto"
            | b"master"
            | b"service"
            | b"account"
            | b"shared"
            | b"storage"
            | b"app"
            | b"application"
            | b"client"
            | b"auth"
            | b"license"
            | b"ssh"
            | b"hmac"
            | b"webhook"
            | b"admin"
            | b"deploy"
            | b"session"
            | b"aes"
            | b"rsa"
            | b"subscription"
            | b"consumer"
            | b"functions"
            | b"integration"
            | b"ingestion"
            | b"root"
            | b"pgp"
            | b"gpg"
            | b"sdk"
            | b"write"
            | b"read"
            | b"server"
            | b"ai"
    )
}

/// Whether `key` names a password, so that a plain number is one, too.
pub(super) fn is_password(key: &[u8]) -> bool {
    let last = Words(key).last().unwrap_or(&[]);
    [&b"password"[..], b"passwd", b"passwort", b"kennwort", b"pwd", b"pw", b"passphrase"]
        .iter()
        .any(|word| ends_with(last, word))
        || last.eq_ignore_ascii_case(b"pass")
}

/// Whether `key` is a header for cookies.
pub(super) fn is_cookie(key: &[u8]) -> bool {
    ends_with(key, b"cookie") || ends_with(key, b"cookies")
}

/// Whether `key` names the signature of a URL.
pub(super) fn is_signature(key: &[u8]) -> bool {
    key.eq_ignore_ascii_case(b"sig") || key.eq_ignore_ascii_case(b"signature") || ends_with(key, b"-signature")
}

/// Whether `key` is a header for credentials, whose scheme comes first.
pub(super) fn is_authorization(key: &[u8]) -> bool {
    [&b"authorization"[..], b"auth"].iter().any(|word| ends_with(key, word))
}

/// Whether `key` names a secret.
pub(super) fn is_telling(key: &[u8]) -> bool {
    Hints::of(key).names_secret(key)
}

fn has_secret_word(key: &[u8]) -> bool {
    let mut telling = false;
    let mut secret = false;
    let mut previous: &[u8] = b"";
    for word in Words(key) {
        let kind = word_of(word);
        telling = match kind {
            // Vault's `secret_id` is a secret.
            Word::About => telling && secret && word.eq_ignore_ascii_case(b"id"),
            Word::Telling | Word::Secret => true,
            Word::Other => telling || (word.eq_ignore_ascii_case(b"key") && is_key_of(previous)),
        };
        secret = kind == Word::Secret;
        previous = word;
    }
    telling || secret
}

fn ends_with(word: &[u8], ending: &[u8]) -> bool {
    word.len()
        .checked_sub(ending.len())
        .and_then(|start| word.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

fn is_version(key: &[u8]) -> bool {
    Words(key).any(|word| {
        matches!(
            Lower::of(word).as_bytes(),
            b"version"
                | b"versions"
                | b"ver"
                | b"v"
                | b"build"
                | b"release"
                | b"revision"
                | b"rev"
                | b"firmware"
                | b"agent"
                | b"ua"
                | b"useragent"
                | b"browser"
                | b"sdk"
                | b"appversion"
        )
    })
}

/// Whether `key` names a number that is personal, and not a secret.
pub(super) fn is_number(key: &[u8]) -> bool {
    is_phone(key) || is_ssn(key)
}

/// Whether `key` names a telephone number.
pub(super) fn is_phone(key: &[u8]) -> bool {
    expects(key, |word| {
        matches!(
            word,
            b"phone"
                | b"phonenumber"
                | b"telephone"
                | b"tel"
                | b"mobile"
                | b"cell"
                | b"cellphone"
                | b"msisdn"
                | b"fax"
                | b"whatsapp"
                | b"telefon"
                | b"mobil"
                | b"handy"
                | b"mobilenumber"
                | b"sms"
        )
    })
}

/// Whether a key that names a telephone number cannot mean anything else: a cell is also a part of a deployment.
pub(super) fn is_phone_only(key: &[u8]) -> bool {
    !Words(key).any(|word| word.eq_ignore_ascii_case(b"cell"))
}

/// Whether `key` names a social security number.
pub(super) fn is_ssn(key: &[u8]) -> bool {
    expects(key, |word| matches!(word, b"ssn" | b"social" | b"socialsecurity" | b"socialsecuritynumber"))
}

fn is_card(key: &[u8]) -> bool {
    expects(key, |word| {
        matches!(
            word,
            b"card" | b"cardnumber" | b"creditcard" | b"cc" | b"ccnumber" | b"pan" | b"payment" | b"credit" | b"debit"
        )
    })
}

fn expects(key: &[u8], is_expected: fn(&[u8]) -> bool) -> bool {
    let mut expected = false;
    for word in Words(key) {
        expected = (expected || is_expected(Lower::of(word).as_bytes())) && word_of(word) != Word::About;
    }
    expected
}

/// The words of a key: between punctuation, and where an upper-case letter follows a lower-case one.
struct Words<'k>(&'k [u8]);

impl<'k> Iterator for Words<'k> {
    type Item = &'k [u8];

    fn next(&mut self) -> Option<&'k [u8]> {
        let start = self.0.iter().position(u8::is_ascii_alphanumeric)?;
        let rest = self.0.get(start..)?;
        let end = rest
            .iter()
            .zip(rest.get(1..).unwrap_or(&[]))
            .position(|(byte, next)| {
                !next.is_ascii_alphanumeric() || (byte.is_ascii_lowercase() && next.is_ascii_uppercase())
            })
            .map_or(rest.len(), |last| last + 1);
        let (word, rest) = rest.split_at_checked(end)?;
        self.0 = rest;
        Some(word)
    }
}

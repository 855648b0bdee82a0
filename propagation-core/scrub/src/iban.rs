//! International bank account numbers (ISO 13616).

use super::class::{at, before};

const LONGEST: usize = 34;

/// Returns the end of the account number that begins at `start`, the start of a run.
///
/// Single separators may be anywhere, if they are all alike.
pub(super) fn iban(bytes: &[u8], start: usize) -> Option<usize> {
    let (first, second) = (at(bytes, start), at(bytes, start + 1));
    if !at(bytes, start + 2).is_ascii_digit() {
        return None;
    }
    let length = country_length(first.to_ascii_uppercase(), second.to_ascii_uppercase())?;
    let mut symbols = [0; LONGEST];
    let mut separator = None;
    let mut index = start;
    let (mut upper, mut lower) = (false, false);
    for symbol in symbols.iter_mut().take(length) {
        let mut byte = at(bytes, index);
        if matches!(byte, b' ' | b'-' | b'.' | b'/' | b'+' | b'_') {
            if *separator.get_or_insert(byte) != byte {
                return None;
            }
            index += 1;
            byte = at(bytes, index);
        }
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        upper |= byte.is_ascii_uppercase();
        lower |= byte.is_ascii_lowercase();
        *symbol = byte;
        index += 1;
    }
    // Mixed case is a random id that happens to begin like a country, and so are 16 or 24 hexadecimal digits.
    let is_hex = |symbol: &u8| symbol.is_ascii_digit() || matches!(symbol, b'a'..=b'f');
    if separator.is_none() && matches!(length, 16 | 24) && symbols.iter().take(length).all(is_hex) {
        return None;
    }
    if (upper && lower) || at(bytes, index).is_ascii_alphanumeric() {
        return None;
    }
    if separator.is_some_and(|it| it != b' ' && it == at(bytes, index)) && at(bytes, index + 1).is_ascii_alphanumeric()
    {
        return None;
    }
    // A group of a longer chain, as in a UUID.
    if separator.is_some_and(|it| it != b' ' && it == before(bytes, start))
        && before(bytes, start.saturating_sub(1)).is_ascii_alphanumeric()
    {
        return None;
    }
    let symbols = symbols.get(..length)?;
    if !has_shape(symbols) {
        return None;
    }
    let (head, account) = symbols.split_at_checked(4)?;
    let remainder = account.iter().chain(head).fold(0, |sum, symbol| match symbol {
        b'0'..=b'9' => (sum * 10 + u32::from(symbol - b'0')) % 97,
        letter => (sum * 100 + u32::from(letter.to_ascii_uppercase() - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(index)
}

/// Whether two letters are the code of a country that has account numbers.
pub(super) fn is_country(first: u8, second: u8) -> bool {
    country_length(first.to_ascii_uppercase(), second.to_ascii_uppercase()).is_some()
}

/// Whether the places that are digits in the numbers of a country are digits (ISO 13616, registry).
///
/// Countries whose banks have letters, and letters in account numbers, are limited to their check digits.
fn has_shape(symbols: &[u8]) -> bool {
    let (Some([first, second, check @ ..]), Some(account)) = (symbols.first_chunk::<4>(), symbols.get(4..)) else {
        return false;
    };
    let (letters, digits) = match &[first.to_ascii_uppercase(), second.to_ascii_uppercase()] {
        b"AE" | b"AT" | b"BA" | b"BE" | b"CR" | b"CZ" | b"DE" | b"DK" | b"EE" | b"ES" | b"FI" | b"FO" | b"GL"
        | b"HR" | b"HU" | b"IL" | b"IS" | b"LT" | b"ME" | b"MN" | b"MR" | b"NO" | b"PL" | b"PT" | b"RS" | b"SD"
        | b"SE" | b"SI" | b"SK" | b"SO" | b"TL" | b"TN" | b"VA" | b"XK" | b"LY" | b"ST" | b"BI" | b"DJ" | b"MZ"
        | b"AO" | b"CV" | b"DZ" | b"IR" => (0, account.len()),
        b"GB" | b"IE" => (4, account.len() - 4),
        b"NL" => (4, 10),
        b"IQ" => (4, 15),
        b"BG" => (4, 6),
        b"LV" | b"GI" | b"BH" | b"GE" | b"AZ" | b"JO" | b"KW" | b"MU" | b"MT" | b"PK" | b"PS" | b"QA" | b"RO"
        | b"SC" | b"SV" | b"LC" | b"UA" | b"VG" => match first.to_ascii_uppercase() {
            b'U' => (0, 6),
            _ if first.eq_ignore_ascii_case(&b'G') && second.eq_ignore_ascii_case(&b'E') => (2, 16),
            _ => (4, 0),
        },
        b"CH" | b"LI" | b"LU" | b"KZ" | b"CY" | b"FR" | b"MC" | b"AD" | b"MK" | b"SA" | b"TR" | b"AL" | b"LB" => (0, 2),
        _ => (0, 0),
    };
    check.iter().all(u8::is_ascii_digit)
        && account.iter().take(letters).all(u8::is_ascii_alphabetic)
        && account.iter().skip(letters).take(digits).all(u8::is_ascii_digit)
}

/// Returns the length of the numbers of a country, with check digits and country.
fn country_length(first: u8, second: u8) -> Option<usize> {
    let (first, second) = (first.wrapping_sub(b'A'), second.wrapping_sub(b'A'));
    let length = *LENGTHS.get(usize::from(first) * 26 + usize::from(second)).filter(|_| second < 26)?;
    (length > 0).then_some(usize::from(length))
}

/// The lengths by the two letters; 0 for an unknown country.
const LENGTHS: [u8; 26 * 26] = {
    let mut lengths = [0; 26 * 26];
    let mut place = 0;
    while place < lengths.len() {
        #[expect(clippy::cast_possible_truncation, reason = "less than 26")]
        let letters = [b'A' + (place / 26) as u8, b'A' + (place % 26) as u8];
        #[expect(clippy::indexing_slicing, reason = "bounded by the loop, and checked by the compiler")]
        {
            lengths[place] = length_of(letters);
        }
        place += 1;
    }
    lengths
};

const fn length_of(country: [u8; 2]) -> u8 {
    match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"AO" | b"CV" | b"LY" | b"MZ" | b"PT" | b"ST" => 25,
        b"DZ" | b"IR" | b"IS" | b"TR" => 26,
        b"BI" | b"CF" | b"CG" | b"CM" | b"DJ" | b"FR" | b"GA" | b"GQ" | b"GR" | b"IT" | b"KM" | b"MC" | b"MG"
        | b"MR" | b"SM" | b"TD" => 27,
        b"AL" | b"AZ" | b"BF" | b"BJ" | b"BY" | b"CI" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"MA"
        | b"ML" | b"NE" | b"NI" | b"PL" | b"SN" | b"SV" | b"TG" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => 0,
    }
}

//! Generated values that are not personal data: no detector matches any of them.

use super::found;

const EACH: usize = if cfg!(debug_assertions) { 4_000 } else { 20_000 };

/// A generator of numbers (SplitMix64), the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..length).map(|_| char::from(letters[usize::try_from(self.next()).unwrap() % letters.len()])).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const CROCKFORD: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[track_caller]
fn assert_no_finding(mut make: impl FnMut(&mut Numbers) -> String) {
    let mut numbers = Numbers(7);
    for _ in 0..EACH {
        let value = make(&mut numbers);
        assert_eq!(found("note", &value), None, "{value}");
    }
}

#[test]
fn generated_uuids_are_left_alone() {
    assert_no_finding(|it| format!("{}-{}-4{}-a{}-{}", it.hex(8), it.hex(4), it.hex(3), it.hex(3), it.hex(12)));
}

#[test]
fn generated_digests_are_left_alone() {
    assert_no_finding(|it| it.hex(40));
    assert_no_finding(|it| it.hex(64));
    assert_no_finding(|it| format!("sha256:{}", it.hex(64)));
}

#[test]
fn generated_sortable_ids_are_left_alone() {
    assert_no_finding(|it| format!("01{}", it.of(CROCKFORD, 24)));
    assert_no_finding(|it| format!("2{}", it.of(&BASE64[..62], 26)));
}

#[test]
fn generated_trace_contexts_are_left_alone() {
    assert_no_finding(|it| format!("00-{}-{}-01", it.hex(32), it.hex(16)));
}

#[test]
fn generated_base64_of_noise_is_left_alone() {
    assert_no_finding(|it| it.of(BASE64, 24));
    assert_no_finding(|it| it.of(BASE64, 43) + "=");
}

#[test]
fn generated_versions_are_left_alone() {
    assert_no_finding(|it| {
        let (a, b, c) = (it.next() % 40, it.next() % 60, it.next() % 100);
        format!("v{a}.{b}.{c}-rc.{}+{}", it.next() % 9, it.hex(7))
    });
}

#[test]
fn generated_aws_accounts_are_left_alone() {
    assert_no_finding(|it| format!("arn:aws:sqs:eu-west-1:{}:orders", it.of("0123456789", 12)));
    assert_no_finding(|it| format!("https://sqs.eu-west-1.amazonaws.com/{}/orders", it.of("0123456789", 12)));
    assert_no_finding(|it| format!("{}.dkr.ecr.eu-west-1.amazonaws.com/orders", it.of("0123456789", 12)));
}

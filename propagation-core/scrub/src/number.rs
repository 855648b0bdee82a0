//! Runs of digits: which detector each belongs to.

use super::scan::{Search, Stretch};
use super::{Detector, card, ip, key, phone, ssn};

/// Whether a run of digits is the account in an ARN, in the URL of a queue or in the name of a registry of AWS.
fn is_aws_account(bytes: &[u8], start: usize, end: usize) -> bool {
    const LONGEST: usize = 40;
    if end - start != 12 {
        return false;
    }
    let head = bytes.get(start.saturating_sub(LONGEST)..start).unwrap_or(&[]);
    head.ends_with(b"amazonaws.com/")
        || super::class::from(bytes, end).starts_with(b".dkr.ecr.")
        || (head.ends_with(b":") && head.windows(8).any(|part| part.starts_with(b"arn:aws")))
}

/// Returns the card, social security or telephone number that the run of digits from `start` to `end` is or begins.
pub(super) fn digits(
    search: &Search<'_>,
    chain: &mut card::Chain,
    bytes: &[u8],
    start: usize,
    end: usize,
) -> Option<Stretch> {
    let length = end - start;
    let next = super::class::at(bytes, end);
    if length <= 4
        && next == b'.'
        && search.has(Detector::Ipv4)
        && let Some(end) = ip::v4(search.key, bytes, start)
    {
        return Some((Detector::Ipv4, start, end));
    }
    if length == 3
        && matches!(next, b'-' | b' ')
        && search.has(Detector::UsSsn)
        && let Some(end) = ssn::ssn(bytes, start)
    {
        return Some((Detector::UsSsn, start, end));
    }
    if length == 9 && search.has(Detector::UsSsn) && ssn::is_bare(bytes, start, end) {
        return Some((Detector::UsSsn, start, end));
    }
    if search.has(Detector::PaymentCard)
        && !is_aws_account(bytes, start, end)
        && let Some(end) = card::card(search.key, chain, bytes, start, end)
    {
        return Some((Detector::PaymentCard, start, end));
    }
    if search.has(Detector::Phone)
        && let Some((start, end)) = phone::dialled(bytes, start, end)
    {
        return Some((Detector::Phone, start, end));
    }
    None
}

/// Returns the telephone or social security number that a value consists of, under a key that announces it.
pub(super) fn local(search: &Search<'_>, bytes: &[u8]) -> Option<Stretch> {
    if search.has(Detector::Phone)
        && key::is_phone(search.key.bytes)
        && let Some(end) = phone::whole(search.key.bytes, bytes)
    {
        return Some((Detector::Phone, 0, end));
    }
    (search.has(Detector::UsSsn) && key::is_ssn(search.key.bytes) && ssn::is_in_any_groups(bytes)).then_some((
        Detector::UsSsn,
        0,
        bytes.len(),
    ))
}

/// Whether a value is as long as a telephone number in the form that its country dials, and begins like one.
pub(super) fn may_be_local(bytes: &[u8]) -> bool {
    (7..=32).contains(&bytes.len()) && matches!(bytes.first(), Some(b'0'..=b'9' | b'('))
}

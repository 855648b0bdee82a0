//! Helpers of the formats other than W3C's: fields that occur once, ids and numbers.

use crate::{
    DuplicateParent, Extract, Extracted, FieldName, FieldValue, RejectReason, SamplingDecision, SpanId, TraceContext,
    TraceFlags, TraceId, TraceParent, hex, model::list_header,
};

/// The maximum length of a field of ids, in bytes. Legal fields are much shorter.
pub(super) const MAX_BYTES: usize = 1024;

/// The reason why a field is rejected.
pub(super) type Refused = RejectReason;

/// Parses a field that may occur once, and records the rejection if that fails. Returns `None` if the field is absent.
///
/// Of several values, [`Extract::duplicate_parent`] decides.
pub(super) fn one<T>(
    from: &dyn Extract,
    name: &'static FieldName,
    into: &mut Extracted,
    parse: impl FnOnce(&[u8]) -> Result<T, Refused>,
) -> Option<Result<T, Refused>> {
    let mut found = None;
    let mut repeated = false;
    from.visit(name, &mut |value| {
        repeated |= found.is_some();
        found = Some(value);
    });
    let value = found?;
    if repeated {
        into.reject_field(name.as_str(), RejectReason::Duplicate);
        if from.duplicate_parent() == DuplicateParent::Reject {
            return Some(Err(RejectReason::Duplicate));
        }
    }
    let text = list_header::trim(value.as_bytes());
    let read = if text.len() > MAX_BYTES { Err(RejectReason::TooManyBytes) } else { parse(text) };
    if let Err(reason) = read {
        into.reject_field(name.as_str(), reason);
    }
    Some(read)
}

/// Parses a trace-id of at most 32 lower-case hex digits. Pads shorter ones on the left.
pub(super) fn trace_id(digits: &[u8]) -> Result<TraceId, Refused> {
    TraceId::from_bytes(hex_padded::<16>(digits)?).ok_or(RejectReason::ZeroId)
}

/// Parses a span-id of at most 16 lower-case hex digits. Pads shorter ones on the left.
pub(super) fn span_id(digits: &[u8]) -> Result<SpanId, Refused> {
    SpanId::from_bytes(hex_padded::<8>(digits)?).ok_or(RejectReason::ZeroId)
}

/// Parses 1 to `2 * N` lower-case hex digits.
pub(super) fn hex_padded<const N: usize>(digits: &[u8]) -> Result<[u8; N], Refused> {
    let mut out = [0; N];
    if digits.is_empty() || digits.len() > N * 2 {
        return Err(RejectReason::Malformed);
    }
    for (pair, byte) in digits.rchunks(2).zip(out.iter_mut().rev()) {
        *byte = pair
            .iter()
            .try_fold(0, |byte, &digit| Some(byte << 4 | hex::decode_digit(digit)?))
            .ok_or(RejectReason::Malformed)?;
    }
    Ok(out)
}

/// Parses an unsigned 64-bit number of 1 to 20 decimal digits, without sign or white space.
pub(super) fn decimal(digits: &[u8]) -> Result<u64, Refused> {
    if digits.is_empty() || digits.len() > 20 {
        return Err(RejectReason::Malformed);
    }
    digits
        .iter()
        .try_fold(0_u64, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
            number.checked_mul(10)?.checked_add(u64::from(digit))
        })
        .ok_or(RejectReason::Malformed)
}

/// Creates a context of these ids. Their randomness is unknown.
pub(super) fn context(trace_id: TraceId, span_id: SpanId, sampling: SamplingDecision) -> TraceContext {
    context_or_root(trace_id, Some(span_id), sampling)
}

/// Like [`context`], but the parent-id is optional.
pub(super) fn context_or_root(trace_id: TraceId, span_id: Option<SpanId>, sampling: SamplingDecision) -> TraceContext {
    let trace = match span_id {
        Some(span_id) => TraceContext::new(TraceParent { trace_id, span_id, flags: TraceFlags::NONE }),
        None => TraceContext::from_trace_id(trace_id),
    };
    trace.with_sampling(sampling)
}

/// Concatenates the parts of a field value. Its buffer has exactly their length: a larger one would be copied or allocated twice.
pub(super) fn concat(parts: &[&[u8]]) -> FieldValue {
    parts.concat().into()
}

/// The decimal digits of a number.
pub(super) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(super) fn new(mut number: u64) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            start -= 1;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_hex_is_padded_on_the_left() {
        assert_eq!(hex_padded::<2>(b"1"), Ok([0, 1]));
        assert_eq!(hex_padded::<2>(b"abc"), Ok([0x0a, 0xbc]));
        assert_eq!(hex_padded::<2>(b"abcd"), Ok([0xab, 0xcd]));
        for bad in ["", "abcde", "A", "+1", "0x", " 1", "1 "] {
            assert_eq!(hex_padded::<2>(bad.as_bytes()), Err(RejectReason::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 99, 12_345_678_901, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn decimals_are_digits_that_fit_64_bits() {
        assert_eq!(decimal(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(decimal(b"00000000000000000007"), Ok(7));
        for bad in ["", "18446744073709551616", "000000000000000000007", "+1", "-1", "1 ", "0x1", "1e3"] {
            assert_eq!(decimal(bad.as_bytes()), Err(RejectReason::Malformed), "{bad:?}");
        }
    }
}

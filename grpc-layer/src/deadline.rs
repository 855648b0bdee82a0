//! The deadline of a call, from `grpc-timeout`.

use std::time::{Duration, Instant};

use http::HeaderMap;

/// The instant at which a call's `grpc-timeout` expires. A call dropped after it timed out; a call dropped before it was cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline of a call that starts now, if its headers have a valid `grpc-timeout`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let timeout = parse_timeout(headers.get("grpc-timeout")?.as_bytes())?;
        Instant::now().checked_add(timeout).map(Self)
    }

    pub(crate) fn has_passed(self) -> bool {
        // Timers have millisecond resolution, and the timer that ends the call may have started slightly earlier.
        self.0.saturating_duration_since(Instant::now()) <= Duration::from_millis(1)
    }
}

/// Parses a timeout: one to eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0, |amount: u64, digit| amount * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("+1S", None),
            ("S", None),
            ("1", None),
            ("", None),
            ("1s", None),
        ] {
            assert_eq!(parse_timeout(value.as_bytes()), expected, "{value}");
        }
    }
}

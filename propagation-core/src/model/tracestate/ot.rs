//! The `ot` list-member of tracestate: OpenTelemetry's sampling threshold and randomness.
//!
//! The functions parse parts of the member's value, for code that holds a tracestate in another type.

use super::{TraceState, TraceStateError};

/// The key of OpenTelemetry's member.
const OT: &str = "ot";
/// The sampling threshold: 1 to 14 digits, of 56 bits the most significant ones.
const THRESHOLD: &str = "th";
/// The explicit randomness: 14 digits.
const RANDOMNESS: &str = "rv";
/// 56 bits in hex.
const DIGITS: usize = 14;

/// OpenTelemetry's own member, `ot=key:value;…`: threshold and randomness of consistent sampling, and other sub-keys, which are kept.
impl TraceState {
    /// Returns the value of a sub-key of `ot`; `None` if the member or the sub-key is absent.
    ///
    /// ```
    /// use propagation_core::TraceState;
    ///
    /// let state = TraceState::parse(b"ot=th:c;rv:6e6d1a75832a2f;x:y,congo=1")?;
    /// assert_eq!(state.ot("x"), Some("y"));
    /// assert_eq!(state.threshold(), Some(0xc0_0000_0000_0000));
    /// assert_eq!(state.randomness(), Some(0x6e_6d1a_7583_2a2f));
    /// # Ok::<(), propagation_core::model::TraceStateError>(())
    /// ```
    #[must_use]
    pub fn ot(&self, sub_key: &str) -> Option<&str> {
        sub_keys(self.get(OT)?).find_map(|(key, value)| (key == sub_key).then_some(value))
    }

    /// Returns the sampling threshold `th`: the number of rejected traces out of 2⁵⁶. `None` also if it is malformed.
    #[must_use]
    pub fn threshold(&self) -> Option<u64> {
        self.ot(THRESHOLD).and_then(threshold_of)
    }

    /// Returns the explicit randomness `rv` of 56 bits, which replaces that of the trace-id. `None` also if it is malformed.
    #[must_use]
    pub fn randomness(&self) -> Option<u64> {
        self.ot(RANDOMNESS).and_then(randomness_of)
    }

    /// Sets the threshold of a new sampling decision, and keeps every other sub-key. `ot` moves leftmost.
    ///
    /// # Errors
    ///
    /// Returns an error for a threshold of 2⁵⁶ or more, and if the member would exceed 256 bytes. The list is not changed then.
    pub fn set_threshold(&mut self, threshold: u64) -> Result<(), TraceStateError> {
        if threshold >> (4 * DIGITS) != 0 {
            return Err(TraceStateError::Malformed);
        }
        let digits = format!("{threshold:014x}");
        let short = digits.trim_end_matches('0');
        self.set_ot(THRESHOLD, if short.is_empty() { "0" } else { short })
    }

    /// Sets the explicit randomness of a new trace. An existing one is never replaced.
    ///
    /// # Errors
    ///
    /// Returns an error for a value of 2⁵⁶ or more, if there is one already, and if the member would exceed 256 bytes. The list is not changed then.
    pub fn set_randomness(&mut self, randomness: u64) -> Result<(), TraceStateError> {
        if randomness >> (4 * DIGITS) != 0 {
            return Err(TraceStateError::Malformed);
        }
        if self.ot(RANDOMNESS).is_some() {
            return Err(TraceStateError::RandomnessIsSet);
        }
        self.set_ot(RANDOMNESS, &format!("{randomness:014x}"))
    }

    /// Removes the threshold after a change of its sampling decision: backends would compute a wrong adjusted count from it. Other sub-keys and
    /// the member's position stay.
    pub fn erase_threshold(&mut self) {
        if self.ot(THRESHOLD).is_none() {
            return;
        }
        let mut text = Vec::with_capacity(self.as_bytes().len());
        let mut count = 0;
        for member in self.members() {
            let before = text.len();
            if !text.is_empty() {
                text.push(b',');
            }
            match member.strip_prefix(b"ot=") {
                None => text.extend_from_slice(member),
                Some(ot) => {
                    if !push_without_threshold(ot, &mut text) {
                        text.truncate(before);
                        continue;
                    }
                }
            }
            count += 1;
        }
        *self = Self { text: text.into(), count, plain: false };
    }

    fn set_ot(&mut self, sub_key: &str, value: &str) -> Result<(), TraceStateError> {
        let mut ot = format!("{sub_key}:{value}");
        let others = self.get(OT).into_iter().flat_map(|ot| ot.split(';'));
        for piece in others.filter(|piece| piece.split_once(':').is_none_or(|(key, _)| key != sub_key)) {
            ot.push(';');
            ot.push_str(piece);
        }
        self.set(OT, &ot)
    }
}

/// Writes the member `ot` without its threshold. Returns false if nothing else is in it.
fn push_without_threshold(ot: &[u8], text: &mut Vec<u8>) -> bool {
    text.extend_from_slice(b"ot=");
    let start = text.len();
    let kept = ot.split(|&byte| byte == b';').filter(|piece| !piece.starts_with(b"th:"));
    for (index, piece) in kept.enumerate() {
        if index > 0 {
            text.push(b';');
        }
        text.extend_from_slice(piece);
    }
    text.len() > start
}

/// Parses the digits of `th`: 1 to 14 lower-case hex digits, of 56 bits the most significant ones.
#[must_use]
pub fn threshold_of(digits: &str) -> Option<u64> {
    let missing = u32::try_from(DIGITS.checked_sub(digits.len())?).ok()?;
    Some(hex(digits)? << (4 * missing))
}

/// Parses the digits of `rv`: 14 lower-case hex digits. `None` for other text.
#[must_use]
pub fn randomness_of(digits: &str) -> Option<u64> {
    if digits.len() == DIGITS { hex(digits) } else { None }
}

/// Returns the sub-keys of the member's value, `key:value` separated by `;`. Pieces without a colon are skipped.
pub fn sub_keys(ot: &str) -> impl Iterator<Item = (&str, &str)> {
    ot.split(';').filter_map(|piece| piece.split_once(':'))
}

/// Parses one or more lower-case hex digits, up to 64 bits.
fn hex(digits: &str) -> Option<u64> {
    let each = digits.bytes().map(crate::hex::decode_digit);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    each.into_iter().try_fold(0, |number, digit| Some(number << 4 | u64::from(digit?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> TraceState {
        TraceState::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn thresholds_and_randomness_are_read_as_the_specification_says() {
        for (text, threshold) in [
            ("ot=th:0", Some(0)),
            ("ot=th:c", Some(0xc0_0000_0000_0000)),
            ("ot=th:fffffffffffff8", Some(0xff_ffff_ffff_fff8)),
            ("ot=th:fffffffffffff80", None),
            ("ot=th:", None),
            ("ot=th:C", None),
            ("ot=th:+1", None),
            ("ot=x:y", None),
            ("th=c", None),
        ] {
            assert_eq!(state(text).threshold(), threshold, "{text}");
        }
        assert_eq!(state("ot=rv:6e6d1a75832a2f").randomness(), Some(0x6e_6d1a_7583_2a2f));
        assert_eq!(state("ot=rv:6e6d1a75832a2").randomness(), None);
    }

    #[test]
    fn setting_a_threshold_keeps_other_sub_keys() {
        let mut with = state("congo=1,ot=x:y;th:8;rv:6e6d1a75832a2f;odd");
        with.set_threshold(0xc0_0000_0000_0000).unwrap();
        assert_eq!(with.to_string(), "ot=th:c;x:y;rv:6e6d1a75832a2f;odd,congo=1");
        with.set_threshold(0).unwrap();
        assert_eq!(with.ot("th"), Some("0"));
        assert!(with.set_threshold(1 << 56).is_err());
        let mut full = state(&format!("ot=x:{}", "y".repeat(250)));
        assert!(full.set_threshold(1).is_err());
        assert_eq!(full.ot("th"), None);
    }

    #[test]
    fn randomness_is_never_rewritten() {
        let mut with = state("ot=rv:6e6d1a75832a2f");
        assert!(with.set_randomness(1).is_err());
        assert_eq!(with.to_string(), "ot=rv:6e6d1a75832a2f");
        let mut without = TraceState::EMPTY;
        without.set_randomness(1).unwrap();
        assert_eq!(without.to_string(), "ot=rv:00000000000001");
    }

    #[test]
    fn erasing_a_threshold_leaves_everything_else_where_it_was() {
        for (text, left) in [
            ("congo=1,ot=th:c;rv:6e6d1a75832a2f,rojo=2", "congo=1,ot=rv:6e6d1a75832a2f,rojo=2"),
            ("congo=1,ot=th:c,rojo=2", "congo=1,rojo=2"),
            ("ot=th:c", ""),
            ("ot=th:c;", ""),
            ("ot=th:c,congo=1", "congo=1"),
            ("ot=x:y;th:c;odd;z:1,congo=1", "ot=x:y;odd;z:1,congo=1"),
            ("ot=x:y", "ot=x:y"),
            ("congo=th:c", "congo=th:c"),
        ] {
            let mut state = state(text);
            state.erase_threshold();
            assert_eq!(state.to_string(), left, "{text}");
            assert_eq!(state.len(), left.split(',').filter(|member| !member.is_empty()).count());
        }
    }
}

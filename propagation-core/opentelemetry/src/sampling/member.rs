//! The `ot` member of OpenTelemetry's own tracestate type.

use opentelemetry::trace::TraceState;

use propagation_core::model::ot;

use crate::sampling::{Randomness, Threshold};

const OT: &str = "ot";
const THRESHOLD: &str = "th";
const RANDOMNESS: &str = "rv";
/// The maximum length of the member's value in bytes (TraceState Handling; Trace Context, 3.3.1.3.2).
const MAX_BYTES: usize = 256;

/// Returns `th`; `None` also if it is malformed.
pub(super) fn threshold(state: &TraceState) -> Option<Threshold> {
    sub_key(state, THRESHOLD)?.parse().ok()
}

/// Returns `rv`; `None` also if it is malformed.
pub(super) fn randomness(state: &TraceState) -> Option<Randomness> {
    sub_key(state, RANDOMNESS)?.parse().ok()
}

fn sub_key<'a>(state: &'a TraceState, wanted: &str) -> Option<&'a str> {
    ot::sub_keys(state.get(OT)?).find_map(|(key, value)| (key == wanted).then_some(value))
}

/// Returns the state with this `th`, or without one. A state that is equal already keeps its bytes.
pub(super) fn with_threshold(state: &TraceState, wanted: Option<Threshold>) -> TraceState {
    let unchanged = match (sub_key(state, THRESHOLD), wanted) {
        (None, None) => true,
        (Some(digits), Some(wanted)) => digits.parse() == Ok(wanted),
        _ => false,
    };
    if unchanged {
        return state.clone();
    }
    let member = state.get(OT).unwrap_or_default();
    let written = wanted.and_then(|wanted| rewritten(member, Some((THRESHOLD, &wanted.to_string()))));
    // A member that has no room for the threshold goes on without one: an old one would be wrong.
    with_member(state, written.or_else(|| rewritten(member, None)))
}

/// Returns the state with an explicit randomness, if it has none.
pub(super) fn with_randomness(state: &TraceState, randomness: Randomness) -> Option<TraceState> {
    let member = rewritten(state.get(OT).unwrap_or_default(), Some((RANDOMNESS, &randomness.to_string())))?;
    Some(with_member(state, Some(member)))
}

fn with_member(state: &TraceState, member: Option<String>) -> TraceState {
    let changed = match member {
        Some(member) if !member.is_empty() => state.insert(OT, member),
        _ => state.delete(OT),
    };
    changed.unwrap_or_default()
}

/// Returns the member with one sub-key set, or without a threshold; `None` if it would be too long. Unknown sub-keys stay. Invalid,
/// repeated and malformed ones (a short `rv`) are dropped: stricter readers would reject the new one with them.
fn rewritten(member: &str, set: Option<(&str, &str)>) -> Option<String> {
    let mut out = set.map(|(key, value)| format!("{key}:{value}")).unwrap_or_default();
    let mut seen = vec![set.map_or(THRESHOLD, |(key, _)| key)];
    for (key, value) in ot::sub_keys(member).filter(|(key, value)| is_legal(key, value)) {
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        if !out.is_empty() {
            out.push(';');
        }
        out.push_str(key);
        out.push(':');
        out.push_str(value);
    }
    (out.len() <= MAX_BYTES).then_some(out)
}

/// TraceState Handling, "Key" and "Value", and the values of the two known sub-keys.
fn is_legal(key: &str, value: &str) -> bool {
    let mut letters = key.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && match key {
            THRESHOLD => ot::threshold_of(value).is_some(),
            RANDOMNESS => ot::randomness_of(value).is_some(),
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> TraceState {
        text.parse().unwrap()
    }

    #[test]
    fn new_threshold_keeps_valid_members_and_is_first() {
        let threshold = "c".parse().ok();
        for (before, after) in [
            ("", "ot=th:c"),
            ("congo=1", "ot=th:c,congo=1"),
            ("congo=1,ot=x:Y.z_-;th:8;rv:6e6d1a75832a2f", "ot=th:c;x:Y.z_-;rv:6e6d1a75832a2f,congo=1"),
            ("congo=1,ot=x:y;th:c", "congo=1,ot=x:y;th:c"),
            ("congo=1,ot=th:c00", "congo=1,ot=th:c00"),
            ("ot=th:zz;rv:6e6d", "ot=th:c"),
            ("ot=odd;X:y;1x:y;x:y z;x:;x:1;th:1;th:2;;", "ot=th:c;x:"),
        ] {
            assert_eq!(with_threshold(&state(before), threshold).header(), after, "{before}");
        }
    }

    #[test]
    fn without_a_threshold_everything_else_stays() {
        for (before, after) in [
            ("", ""),
            ("congo=1,ot=x:y", "congo=1,ot=x:y"),
            ("congo=1,ot=odd", "congo=1,ot=odd"),
            ("ot=th:c,congo=1", "congo=1"),
            ("congo=1,ot=th:c;rv:6e6d1a75832a2f", "ot=rv:6e6d1a75832a2f,congo=1"),
            ("ot=th:bad!;x:y", "ot=x:y"),
        ] {
            assert_eq!(with_threshold(&state(before), None).header(), after, "{before}");
        }
    }

    #[test]
    fn a_member_without_room_for_a_threshold_goes_on_without_one() {
        let full = format!("ot=th:8;x:{}", "y".repeat(249));
        let long = "fffffffffffffe".parse().ok();
        assert_eq!(with_threshold(&state(&full), long).header(), full.replace("th:8;", ""));
    }
}

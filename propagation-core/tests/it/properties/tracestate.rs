use propagation_core::TraceState;
use proptest::{collection::vec, prelude::*};

use super::hostile;

const KEY: &str = "[a-z0-9][a-z0-9_*/@-]{0,20}";
/// Never ends in a space.
const VALUE: &str = "[ -+\\--<>-~]{0,20}[!-+\\--<>-~]";

/// Lists made by setting members.
pub(crate) fn states() -> impl Strategy<Value = TraceState> {
    let members = prop_oneof![7 => vec((KEY, VALUE), 0..6), 1 => vec((KEY, VALUE), 0..40)];
    members.prop_map(|members| {
        let mut state = TraceState::EMPTY;
        for (key, value) in &members {
            state.set(key, value).unwrap();
        }
        state
    })
}

proptest! {
    #[test]
    fn a_list_that_is_set_reads_the_same(state in states()) {
        prop_assert!(state.len() <= TraceState::MAX_MEMBERS);
        prop_assert_eq!(&TraceState::parse(state.as_bytes()).unwrap(), &state);
    }

    #[test]
    fn white_space_and_empty_members_change_nothing(state in states(), gaps in vec("[ \t,]{0,3}", 33)) {
        let mut text = gaps[0].clone();
        for ((key, value), gap) in state.iter().zip(&gaps[1..]) {
            text.push_str(&format!(", {key}={value}\t,{gap}"));
        }
        prop_assert_eq!(&TraceState::parse(text.as_bytes()).unwrap(), &state);
    }

    #[test]
    fn parsed_list_is_valid_and_round_trips(text in hostile()) {
        if let Ok(state) = TraceState::parse(&text) {
            prop_assert!(state.len() <= TraceState::MAX_MEMBERS && state.as_bytes().len() <= text.len());
            prop_assert_eq!(state.iter().count(), state.len());
            prop_assert_eq!(&TraceState::parse(state.as_bytes()).unwrap(), &state);
        }
    }

    #[test]
    fn truncation_keeps_whole_members_in_order(state in states(), max in 0..600_usize) {
        let cut = state.truncated(max);
        prop_assert!(cut.as_bytes().len() <= max);
        let mut all = state.iter();
        prop_assert!(cut.iter().all(|member| all.any(|other| other == member)));
        prop_assert_eq!(&TraceState::parse(cut.as_bytes()).unwrap(), &cut);
    }

    #[test]
    fn thresholds_and_randomness_read_as_they_were_set(
        state in states(), threshold in 0..1_u64 << 56, randomness in 0..1_u64 << 56,
    ) {
        let mut with = state.clone();
        with.remove("ot");
        let others: Vec<(String, String)> =
            with.iter().take(31).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        with.set_randomness(randomness).unwrap();
        with.set_threshold(threshold).unwrap();
        prop_assert_eq!((with.threshold(), with.randomness()), (Some(threshold), Some(randomness)));
        with.erase_threshold();
        prop_assert_eq!((with.threshold(), with.randomness()), (None, Some(randomness)));
        let left: Vec<(String, String)> = with
            .iter()
            .filter(|(key, _)| *key != "ot")
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        prop_assert_eq!(left, others);
    }
}

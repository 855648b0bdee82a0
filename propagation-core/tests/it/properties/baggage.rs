use propagation_core::Baggage;
use proptest::{collection::vec, prelude::*};

use super::hostile;

const KEY: &str = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}";

/// Any text, mostly short.
pub(super) fn values() -> impl Strategy<Value = String> + Clone {
    vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

/// Lists made by setting members: up to all that fit, and some long values.
pub(super) fn baggages() -> impl Strategy<Value = Baggage> {
    let properties = prop_oneof![Just(""), Just("p=1"), Just("p;p ; q=\"x\\\"\t=;")];
    let member = (any::<u8>(), values(), 0..40_usize, properties);
    // One in eight is too long.
    let members = prop_oneof![7 => vec(member.clone(), 0..6), 1 => vec(member, 0..80)];
    members.prop_map(|members| {
        let mut baggage = Baggage::new();
        for (key, value, times, properties) in members {
            // A member that exceeds the limits is left out.
            let _ = baggage.set_with_properties(&format!("key-{key}"), &value.repeat(times), properties);
        }
        baggage
    })
}

fn within_limits(baggage: &Baggage) -> bool {
    baggage.len() <= Baggage::MAX_MEMBERS && baggage.as_wire().len() <= Baggage::MAX_BYTES
}

proptest! {
    #[test]
    fn a_list_that_is_set_reads_the_same(baggage in baggages()) {
        prop_assert!(within_limits(&baggage));
        prop_assert_eq!(&Baggage::parse(&baggage.as_wire()), &baggage);
    }

    #[test]
    fn a_value_reads_as_it_was_set(key in KEY, value in values()) {
        let mut baggage = Baggage::new();
        if baggage.set(&key, &value).is_ok() {
            let read = Baggage::parse(&baggage.as_wire());
            prop_assert_eq!(read.get(&key).map(String::from), Some(value));
            prop_assert!(baggage.as_wire().iter().all(u8::is_ascii_graphic));
        }
    }

    #[test]
    fn parsed_list_is_valid_and_round_trips(text in hostile()) {
        let baggage = Baggage::parse(&text);
        prop_assert!(within_limits(&baggage));
        prop_assert_eq!(baggage.iter().count(), baggage.len());
        prop_assert_eq!(&Baggage::parse(&baggage.as_wire()), &baggage);
    }

    #[test]
    fn long_lists_lose_whole_members_from_the_tail(members in vec((0..50_u8, 0..400_usize), 0..100)) {
        let members: Vec<(String, String)> =
            members.into_iter().map(|(key, length)| (format!("k{key}"), "v".repeat(length))).collect();
        let text = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        let baggage = Baggage::parse(text.as_bytes());
        prop_assert!(within_limits(&baggage));
        let wire = baggage.as_wire();
        prop_assert!(text.as_bytes().starts_with(&wire));
        // Never less than the limits allow.
        let next = members.get(baggage.len()).map_or(0, |(key, value)| key.len() + value.len() + 2);
        prop_assert!(
            wire.len() == text.len() || baggage.len() == Baggage::MAX_MEMBERS || wire.len() + next > Baggage::MAX_BYTES
        );
    }

    #[test]
    fn taking_out_and_merging_keep_order_and_limits(one in baggages(), other in baggages(), keep in any::<u64>()) {
        let mut left = one.clone();
        let mut place = 0;
        left.retain(|_| { place += 1; keep >> (place - 1) & 1 == 1 });
        let mut all = one.iter();
        prop_assert!(left.iter().all(|member| all.any(|other| other == member)));
        let mut merged = left.clone();
        merged.merge(&other);
        prop_assert!(within_limits(&merged));
        prop_assert_eq!(merged.iter().take(left.len()).collect::<Vec<_>>(), left.iter().collect::<Vec<_>>());
        prop_assert_eq!(&Baggage::parse(&merged.as_wire()), &merged);
    }
}

//! W3C Baggage, the kinds of lists that the specification's own reference is tested with, and the result of each.

use propagation_core::{Baggage, model::BaggageError};

#[test]
fn lists_follow_the_reference_implementation() {
    let quoted = "\t \"';=asdf!@#$%^&*()";
    let encoded = "%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    for (text, members) in [
        ("SomeKey=SomeValue", &[("SomeKey", "SomeValue", "")][..]),
        ("a=1;p,b=2;q=3", &[("a", "1", "p"), ("b", "2", "q=3")]),
        (
            "a \t = \t 1 \t ; \t p \t , \t b \t = \t 2 \t ; \t q \t = \t 3",
            &[("a", "1", " \t p"), ("b", "2", " \t q \t = \t 3")],
        ),
        ("a=1=2==", &[("a", "1=2==", "")]),
        ("a=1;p;p=1;p=2", &[("a", "1", "p;p=1;p=2")]),
        ("a \t = \t 1 \t ", &[("a", "1", "")]),
        (&format!("a={encoded}"), &[("a", quoted, "")]),
        (&format!("a \t = \t {encoded} \t ;p={encoded}"), &[("a", quoted, &format!("p={encoded}"))]),
        ("a=1;p%20%09%3D=2", &[("a", "1", "p%20%09%3D=2")]),
        (
            "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false",
            &[("userId", "Am\u{e9}lie", ""), ("serverNode", "DF 28", ""), ("isProduction", "false", "")],
        ),
    ] {
        let baggage = Baggage::parse(text.as_bytes());
        let read: Vec<(String, String, String)> = baggage
            .iter()
            .map(|member| (member.key().into(), member.value().into(), member.properties().into()))
            .collect();
        let expected: Vec<(String, String, String)> = members
            .iter()
            .map(|(key, value, properties)| ((*key).into(), (*value).into(), (*properties).into()))
            .collect();
        assert_eq!(read, expected, "{text:?}");
    }
}

#[test]
fn limits_of_baggage_can_be_reached() {
    let mut baggage = Baggage::new();
    for n in 0..64 {
        baggage.set(&format!("key{n}"), "value").unwrap();
    }
    assert_eq!((baggage.len(), baggage.set("one-more", "")), (64, Err(BaggageError::Limit)));
    let mut long = Baggage::new();
    long.set("a", &"0".repeat(8190)).unwrap();
    assert_eq!((long.as_wire().len(), long.set("b", "")), (8192, Err(BaggageError::Limit)));
}

#[test]
fn sixty_fifth_member_is_dropped() {
    for separator in [",", " , "] {
        let list =
            |count: usize, separator: &str| (0..count).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(separator);
        let baggage = Baggage::parse(list(70, separator).as_bytes());
        assert_eq!(String::from_utf8(baggage.as_wire().into_owned()).unwrap(), list(64, ","));
    }
}

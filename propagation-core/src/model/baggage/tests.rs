use super::*;
use crate::RejectReason;

fn read(text: &str) -> (String, Vec<RejectReason>) {
    let mut reasons = Vec::new();
    let baggage =
        Baggage::read(text.as_bytes(), || text.as_bytes().to_vec().into(), &mut |_, reason| reasons.push(reason));
    (String::from_utf8(baggage.as_wire().into_owned()).unwrap(), reasons)
}

#[test]
fn members_are_read_as_the_grammar_says() {
    for (text, wire, reasons) in [
        ("k=v", "k=v", &[][..]),
        (" k = v ; p = 1 ;p, l=w ", "k=v; p = 1 ;p,l=w", &[]),
        ("k=a=b", "k=a=b", &[]),
        ("k=", "k=", &[]),
        ("k=100%", "k=100%25", &[]),
        ("k=%zz", "k=%25zz", &[]),
        ("k=%41%c3%28", "k=%41%c3%28", &[]),
        ("k=a+b", "k=a+b", &[]),
        ("k;p=1", "", &[RejectReason::Malformed]),
        ("=v,k=v", "k=v", &[RejectReason::Malformed]),
        ("k=a b,l=w", "l=w", &[RejectReason::IllegalByte]),
        ("k=a\"b,l=w", "l=w", &[RejectReason::IllegalByte]),
        ("k=v;p=\u{1}", "", &[RejectReason::IllegalByte]),
        (",,k=v,,", "k=v", &[]),
        ("K=1,k=2", "K=1,k=2", &[]),
    ] {
        assert_eq!(read(text), (wire.to_owned(), reasons.to_vec()), "{text:?}");
    }
}

#[test]
fn invalid_utf_8_becomes_the_replacement_character() {
    let baggage = Baggage::parse(b"k=%c3%28&%e2%82%ac");
    assert_eq!(baggage.get("k").as_deref(), Some("\u{fffd}(&\u{20ac}"));
}

#[test]
fn sixty_four_members_and_8192_bytes_pass_and_no_more() {
    let members = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    assert_eq!(Baggage::parse(members(64).as_bytes()).len(), 64);
    assert_eq!(Baggage::parse(members(65).as_bytes()).len(), 64);
    let exact = format!("k={},l={}", "v".repeat(4000), "w".repeat(8192 - 4005));
    assert_eq!(exact.len(), 8192);
    assert_eq!(Baggage::parse(exact.as_bytes()).len(), 2);
    assert_eq!(Baggage::parse(format!("{exact}x").as_bytes()).len(), 1);
}

#[test]
fn removed_member_is_not_written() {
    let mut baggage = Baggage::parse(b"a=1,b=2,c=3");
    baggage.remove("b");
    assert_eq!(baggage.as_wire(), b"a=1,c=3".as_slice());
    baggage.set("a", "9").unwrap();
    baggage.set("d", "4").unwrap();
    assert_eq!(baggage.as_wire(), b"a=9,c=3,d=4".as_slice());
    baggage.remove("d");
    assert_eq!((baggage.len(), baggage.get("d")), (2, None));
}

#[test]
fn whatever_is_set_reads_the_same() {
    let mut baggage = Baggage::new();
    for value in ["", " ", "%", "a,b;c\\d\"e", "p\u{e4}per", "\u{1f600}", "a=b", "\u{0}\n"] {
        baggage.set("k", value).unwrap();
        let wire = baggage.as_wire().into_owned();
        assert!(wire.iter().all(u8::is_ascii_graphic), "{value:?}");
        assert_eq!(Baggage::parse(&wire).get("k").as_deref(), Some(value));
    }
    assert_eq!(baggage.set("a b", "v"), Err(BaggageError::Key));
    assert_eq!(baggage.set_with_properties("k", "v", "p,q"), Err(BaggageError::Properties));
    assert_eq!(baggage.set("k", &"v".repeat(8192)), Err(BaggageError::Limit));
}

#[test]
fn debug_shows_keys_and_never_values() {
    let shown = format!("{:?}", Baggage::parse(b"user=anna"));
    assert!(shown.contains("user") && !shown.contains("anna"));
}

#[test]
fn separators_count_to_the_limit_too() {
    for (text, members, refusals) in [
        (",".repeat(8189) + "a=b", 1, 0),
        (",".repeat(8190) + "a=b", 0, 1),
        ("a=b".to_owned() + &",".repeat(8189), 1, 0),
        ("a=b".to_owned() + &" ,".repeat(8189), 1, 1),
        (",".repeat(100_000), 0, 1),
    ] {
        let mut refused = Vec::new();
        let baggage = Baggage::read(text.as_bytes(), || panic!("not canonical"), &mut |_, reason| refused.push(reason));
        assert_eq!(baggage.len(), members, "{} bytes", text.len());
        assert_eq!(refused, vec![crate::RejectReason::TooManyBytes; refusals], "{} bytes", text.len());
    }
}

#[test]
fn follow_applies_the_changes_of_an_unordered_copy() {
    for (own, copy, expected) in [
        ("b=1,a=2;p", "a=2,b=1", "b=1,a=2;p"),
        ("b=1,a=2", "a=3,b=1,c=4", "b=1,a=3,c=4"),
        ("b=1,a=2", "a=2", "a=2"),
        ("a=1,b=0,a=2", "a=2,b=0", "a=1,b=0,a=2"),
        ("a=1,b=0,a=2", "a=3,b=0", "a=3,b=0"),
        ("a=%41", "a=A", "a=%41"),
        ("a=1", "", ""),
        ("", "a=1", "a=1"),
    ] {
        let mut baggage = Baggage::parse(own.as_bytes());
        baggage.follow(&Baggage::parse(copy.as_bytes()));
        assert_eq!(baggage.as_wire(), expected.as_bytes(), "{own} {copy}");
    }
}

#[test]
fn update_keeps_members_that_the_other_list_lacks() {
    for (own, other, expected) in [
        ("a=1,b=2", "b=3,c=4", "a=1,b=3,c=4"),
        ("a=1", "", "a=1"),
        ("", "a=1", "a=1"),
        ("a=1,b=2,a=3", "a=4", "a=4,b=2"),
    ] {
        let mut baggage = Baggage::parse(own.as_bytes());
        baggage.update(&Baggage::parse(other.as_bytes()));
        assert_eq!(baggage.as_wire(), expected.as_bytes(), "{own} {other}");
    }
}

#[test]
fn collected_members_are_legal_and_within_the_limits() {
    let members = [("a", "1 2", ""), ("b c", "1", ""), ("d", "1", "p;q=1"), ("e", "1", "p,q")];
    assert_eq!(members.into_iter().collect::<Baggage>().as_wire(), b"a=1%202,d=1;p;q=1".as_slice());
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    assert_eq!(keys.iter().map(|key| (key.as_str(), "v", "")).collect::<Baggage>().len(), Baggage::MAX_MEMBERS);
}

#[test]
fn entries_equal_the_members_kept() {
    let text = b"k=v,enc=a%20b%41;p=1;q,empty=,e=a=b;x=y,bad=%c3%28,percent=100%,long=%e2%82%ac%e2%82%ac";
    for removed in ["", "k", "e", "long"] {
        let mut baggage = Baggage::parse(text);
        baggage.remove(removed);
        let members = baggage.iter().map(|member| (member.key(), member.value(), member.properties()));
        assert_eq!(baggage.entries().collect::<Vec<_>>(), members.collect::<Vec<_>>());
        assert_eq!(baggage.entries().count(), if removed.is_empty() { 7 } else { 6 });
    }
    assert_eq!(Baggage::EMPTY.entries().count(), 0);
}

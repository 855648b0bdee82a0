use super::*;
use crate::trace::{Span, SpanId, TraceGraph, TraceId};
use crate::wire::{Wire, WireRecord};

#[test]
fn every_canary_is_found_in_every_disguise_among_other_text() {
    let canaries = Canaries::seeded(42);
    for canary in canaries.iter() {
        for &encoding in Encoding::ALL {
            let Some(disguised) = canary.encoded(encoding) else { continue };
            let evidence = Evidence::new().line("a log", format!("user=1, note={disguised}; end"));
            let seen = canaries.only(&[canary.kind()]).matches(&evidence);
            assert_eq!(seen.len(), 1, "{:?} {encoding}: {disguised}", canary.kind());
        }
        for before in ["", "x", "xy", "xyz"] {
            let blob = base64::encode(format!("{before}{} and more", canary.plain()).as_bytes());
            for blob in [blob.replace('+', "-").replace('/', "_"), blob] {
                assert_eq!(
                    canaries.only(&[canary.kind()]).matches(&Evidence::new().line("", blob)).len(),
                    1,
                    "{:?}",
                    canary.kind()
                );
            }
        }
    }
}

#[test]
fn disguise_is_named_in_the_report() {
    let canaries = Canaries::seeded(1).only(&[CanaryKind::Card]);
    for &encoding in Encoding::ALL {
        let text = canaries.get(CanaryKind::Card).encoded(encoding).expect("cards wear every disguise");
        let seen = canaries.matches(&Evidence::new().line("here", text));
        assert_eq!(seen.first().map(|found| found.encoding), Some(encoding));
    }
}

#[test]
fn another_sets_canaries_are_not_taken_for_ones_own() {
    let (mine, other) = (Canaries::seeded(1), Canaries::seeded(2));
    let evidence = other.iter().fold(Evidence::new(), |evidence, canary| evidence.line("log", canary.plain()));
    other.assert_present(&evidence);
    let ipv4_has_few =
        mine.only(&CanaryKind::ALL.iter().copied().filter(|kind| *kind != CanaryKind::Ipv4).collect::<Vec<_>>());
    ipv4_has_few.assert_absent(&evidence);
    let harmless =
        "4bf92f3577b34da6a3ce929d0e0e4736 2026-11-21T04:00:00Z 1700000000000 00-ab-cd GET /orders/{id} example.com";
    mine.assert_absent(&Evidence::new().line("log", harmless));
}

#[test]
fn every_place_is_searched_and_named() {
    let canaries = Canaries::seeded(7);
    let email = canaries.get(CanaryKind::Email).plain();
    let wire: Wire =
        [WireRecord::new("orders", "payments", "kafka").field("baggage", format!("user={}", percent::encode(email)))]
            .into_iter()
            .collect();
    let mut span = Span::new(TraceId::from_bytes([1; 16]), SpanId::from_bytes([1; 8]), "x");
    span.attributes.push("user.email", email);
    span.events.push(crate::trace::Event::new("exception", 0));
    span.events[0].attributes.push("exception.message", format!("no such user: {email}"));
    span.status = crate::trace::Status::Error(email.to_owned());
    span.trace_state = format!("a={}", base64::encode(email.as_bytes()).replace('=', ""));
    let evidence = Evidence::new()
        .wire(&wire)
        .spans(&TraceGraph::new([span]))
        .lines("stdout of orders", &format!("fine\nnot {email}"));
    let report = canaries.absent(&evidence).expect_err("it is everywhere").to_string();
    for place in [
        "orders → payments over kafka, field `baggage`",
        "attribute `user.email`",
        "event `exception`, attribute `exception.message`",
        "its status",
        "its tracestate",
        "stdout of orders, line 2",
    ] {
        assert!(report.contains(place), "{place} is missing in:\n{report}");
    }
    let report = canaries.present(&evidence).expect_err("only one of them was sent").to_string();
    assert!(report.contains("Card is nowhere") && !report.contains("Email"), "{report}");
    assert!(canaries.absent(&Evidence::new()).is_err(), "no evidence proves nothing");
}

#[test]
fn check_digits_are_valid() {
    for seed in 0..50 {
        let canaries = Canaries::seeded(seed);
        let digits: Vec<u32> = canaries.get(CanaryKind::Card).plain().chars().filter_map(|c| c.to_digit(10)).collect();
        let sum: u32 =
            digits.iter().rev().enumerate().map(|(at, d)| if at % 2 == 1 { d * 2 / 10 + d * 2 % 10 } else { *d }).sum();
        assert_eq!((digits.len(), sum % 10), (16, 0));
        let iban = canaries.get(CanaryKind::Iban).plain();
        let moved: String = format!("{}{}", &iban[4..], &iban[..4])
            .chars()
            .map(|c| c.to_digit(36).expect("base 36").to_string())
            .collect();
        assert_eq!(moved.chars().fold(0, |sum, c| (sum * 10 + c.to_digit(10).expect("digit")) % 97), 1);
    }
}

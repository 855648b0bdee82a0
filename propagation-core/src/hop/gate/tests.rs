use std::cell::Cell;

use super::*;
use crate::{ExternalText, PropagationContext, SpanKind};

/// Counts the bytes that the guard passes to a scanner.
#[derive(Default)]
struct Counting(Cell<usize>);

impl TextGuard for Counting {
    fn limits(&self) -> TelemetryLimits {
        TelemetryLimits::default()
    }

    fn allows_text(&self, _: &str, text: &str) -> bool {
        self.0.set(self.0.get() + text.len());
        true
    }

    fn allows_link_state(&self, _: &TraceContext) -> bool {
        true
    }
}

fn scanned(run: impl FnOnce(&Counting)) -> usize {
    let guard = Counting::default();
    run(&guard);
    guard.0.get()
}

#[test]
fn text_of_any_length_is_scanned_once_up_to_its_bound() {
    for length in [1_000, 1_024, 60_000, 1_000_000] {
        let long = "x".repeat(length);
        let of_value = scanned(|guard| drop(attribute(guard, Attribute::external("url.path", long.as_str()))));
        assert_eq!(of_value, length.min(1024), "value of {length}");
        assert_eq!(scanned(|guard| drop(name(guard, long.clone().into()))), 128, "name of {length}");
        assert_eq!(scanned(|guard| drop(value(guard, "", long.clone().into()))), length.min(1024), "text of {length}");
        assert_eq!(scanned(|guard| drop(stacktrace(guard, &long))), length.min(8192), "stack trace of {length}");
    }
}

#[test]
fn list_of_any_length_is_scanned_up_to_one_bound() {
    for (count, length) in [(1, 1_000_000), (100, 60_000), (100_000, 10), (100_000, 0)] {
        let list = Attribute::new("header", vec![ExternalText::from("x".repeat(length)); count]);
        let bytes = scanned(|guard| drop(attribute(guard, list)));
        assert!(bytes <= 1024, "{count} of {length}: {bytes}");
    }
}

#[test]
fn each_external_attribute_of_a_hop_is_scanned_once() {
    let mut started = Hop::local(SpanKind::Server, PropagationContext::EMPTY)
        .named("GET")
        .with("url.scheme", "http")
        .with("url.path", "p".repeat(300))
        .with("url.query", "q".repeat(100));
    assert_eq!(scanned(|guard| hop(guard, &mut started)), 400);
    assert_eq!(scanned(|guard| hop(guard, &mut started)), 0, "guarded text is not scanned again");
}

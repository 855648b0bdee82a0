//! Text from outside on its way to a bridge, through every adapter: whatever a caller, a publisher or a message chooses reaches the bridge
//! bounded, printable and without personal data.

mod drive;
mod recorder;

use propagation_core::{InboundRule, KeyRule, Policy, Propagator, TraceTrust};
use proptest::prelude::*;

use recorder::{Recorded, Recorder};

const MAIL: &str = "anna@example.com";
/// As a URL has it.
const ENCODED_MAIL: &str = "anna%40example.com";

fn policy() -> Policy {
    let linked = InboundRule::peers(["amqp:*"]).trust(TraceTrust::RestartWithLink);
    let copied = KeyRule::new("*").span_attribute("copied");
    Policy::builder().inbound(linked).inbound(InboundRule::peers(["*"]).allow(copied)).build().unwrap()
}

fn recorded(text: &str) -> Vec<Recorded> {
    let recorder = Recorder::default();
    let propagator = Propagator::builder().policy(policy()).bridge(recorder.clone()).build();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(drive::everything(&propagator, text));
    recorder.take()
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Returns the reason for which a bridge must not have received a text.
fn fault(found: &Recorded) -> Option<&'static str> {
    let (bound, lines) = match found.place.as_str() {
        "name" | "error.type" => (128, false),
        "stacktrace" => (8192, true),
        _ => (1024, false),
    };
    let text = &found.text;
    if found.unguarded {
        Some("not guarded")
    } else if text.len() > bound {
        Some("too long")
    } else if text.contains(|letter| is_unsafe(letter) && !(lines && matches!(letter, '\n' | '\t'))) {
        Some("not printable")
    } else if text.contains(MAIL) || text.contains(ENCODED_MAIL) {
        Some("personal")
    } else {
        None
    }
}

fn assert_guarded(text: &str) {
    for found in recorded(text) {
        assert_eq!(fault(&found), None, "{} = {:?}", found.place, found.text);
    }
}

/// Each place where text from outside is recorded, so that the property below can't pass because nothing arrives.
#[test]
fn harmless_text_is_recorded_in_every_place() {
    let recorded = recorded("zebra-4711");
    for place in [
        "name",
        "error.type",
        "message",
        "stacktrace",
        "link",
        "copied",
        "url.path",
        "url.query",
        "url.full",
        "server.address",
        "user_agent.original",
        "http.request.header.x-request-id",
        "http.response.header.x-answer",
        "rpc.method_original",
        "messaging.destination.name",
        "kafka.message.key",
        "messaging.message.id",
        "messaging.message.conversation_id",
        "rabbitmq.destination.routing_key",
        "aws.sqs.queue.url",
    ] {
        let found = recorded.iter().any(|found| found.place == place && found.text.contains("zebra-4711"));
        assert!(found, "{place}: {recorded:#?}");
    }
}

#[test]
fn personal_text_is_recorded_nowhere() {
    assert_guarded(MAIL);
    assert_guarded(&format!("orders {MAIL} orders"));
}

#[test]
fn long_text_is_cut_everywhere() {
    for length in [1023, 1024, 1025, 10_000, 60_000] {
        assert_guarded(&"z".repeat(length));
        assert_guarded(&"a b.".repeat(length / 4));
    }
}

#[test]
fn personal_text_across_the_bound_is_recorded_nowhere() {
    for bound in [128_usize, 1024] {
        for back in [1, 5, 8, 15, 16, 17, 63, 64, 65] {
            assert_guarded(&format!("{} {MAIL} {}", "x".repeat(bound - back), "y".repeat(2000)));
        }
    }
}

#[test]
fn disguised_text_is_escaped_everywhere() {
    assert_guarded("q\r\nERROR forged\u{1b}[2J\u{202e}\u{200b}\u{2028}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_is_bounded_printable_and_harmless(
        before in "[\\PC\u{0}-\u{1f}\u{202a}-\u{202e}/?&=:@.]{0,40}",
        repeat in 1_usize..120,
        canary in any::<bool>(),
        after in "[a-z\u{7f}\u{80}\u{feff}]{0,40}",
    ) {
        let middle = if canary { format!(" {MAIL} ") } else { String::new() };
        let text = format!("{}{middle}{}", before.repeat(repeat), after.repeat(repeat));
        for found in recorded(&text) {
            prop_assert_eq!(fault(&found), None, "{} = {:?}", found.place, found.text);
        }
    }
}

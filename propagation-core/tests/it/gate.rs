//! Text from outside on its way to a bridge.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use propagation_core::{
    Attribute, AttributeValue, Bridge, EscapedText, Exception, ExternalText, Hop, InboundRule, KeyRule, Link, Outcome,
    Peer, Policy, PropagationContext, Propagator, Scrub, SpanKind, TraceContext, Transport,
    bridge::{BridgeSpan, CurrentHop, Started},
    hop::TelemetryLimits,
};
use proptest::prelude::*;

const MAIL: &str = "anna@example.com";

/// Everything that a bridge was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    fn add(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn add_attribute(&self, attribute: &Attribute) {
        let shown = match &attribute.value {
            AttributeValue::Text(text) => text.to_string(),
            AttributeValue::Texts(texts) => texts.join("|"),
            AttributeValue::External(_) | AttributeValue::ExternalTexts(_) => "UNGUARDED".to_owned(),
            _ => "number".to_owned(),
        };
        self.add(format!("{}={shown}", attribute.key));
    }

    fn add_link(&self, link: &Link) {
        self.add(format!("link {}", link.trace.state));
        link.attributes.iter().for_each(|attribute| self.add_attribute(attribute));
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Bridge for Recorder {
    fn is_recording(&self) -> bool {
        true
    }

    fn current(&self, _: Option<CurrentHop<'_>>) -> Option<PropagationContext> {
        None
    }

    fn start(&self, hop: Hop) -> Started {
        self.add(format!("name {}", hop.name));
        hop.attributes.iter().for_each(|attribute| self.add_attribute(attribute));
        hop.links.iter().for_each(|link| self.add_link(link));
        Started::span(hop.parent, Box::new(self.clone()))
    }
}

impl BridgeSpan for Recorder {
    fn enter(&self, run: &mut dyn FnMut()) {
        run();
    }

    fn set_attribute(&self, attribute: Attribute) {
        self.add_attribute(&attribute);
    }

    fn add_link(&self, link: Link) {
        self.add_link(&link);
    }

    fn rename(&self, name: Cow<'static, str>) {
        self.add(format!("name {name}"));
    }

    fn end(&self, outcome: &Outcome) {
        if let Outcome::Error { kind, description, exception } = outcome {
            self.add(format!("kind {kind}"));
            self.add(format!("description {description}"));
            if let Some(exception) = exception {
                self.add(format!("message {}", exception.message.as_deref().unwrap_or_default()));
                self.add(format!("stack {}", exception.stacktrace.as_deref().unwrap_or_default()));
            }
        }
    }
}

fn recorded(policy: Policy, run: impl FnOnce(&Propagator)) -> Vec<String> {
    let recorder = Recorder::default();
    run(&Propagator::builder().policy(policy).bridge(recorder.clone()).build());
    recorder.take()
}

/// Passes a text through every way that leads to a bridge.
fn everywhere(propagator: &Propagator, text: &str) {
    let hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY)
        .named(format!("send {text}"))
        .linked([Link::default().with_attributes(vec![Attribute::external("linked", text)])])
        .with("owned", text.to_owned())
        .with("list", vec![text.to_owned(), text.to_owned()])
        .with("borrowed", ExternalText::from(text))
        .with("bytes", ExternalText::from_bytes(text.as_bytes()));
    let span = propagator.start(hop);
    span.set_attribute("later", text.to_owned());
    span.set_attribute("later.external", ExternalText::from(text));
    span.add_link(Link::default().with_attributes(vec![Attribute::new("linked.later", text.to_owned())]));
    span.rename(text.to_owned());
    span.rename(format!("receive {text}"));
    let exception = Exception::new(text.to_owned()).with_message(text.to_owned()).with_stacktrace(text.to_owned());
    span.end(&Outcome::raised(exception).described(text.to_owned()));
}

#[test]
fn personal_text_reaches_no_bridge() {
    let recorded = recorded(Policy::default(), |propagator| everywhere(propagator, MAIL));
    assert!(recorded.iter().all(|text| !text.contains("anna") && !text.contains("UNGUARDED")), "{recorded:#?}");
    for kept in ["name send", "list=REDACTED|REDACTED", "name _OTHER", "name receive", "kind _OTHER", "message "] {
        assert!(recorded.iter().any(|text| text == kept), "{kept}: {recorded:#?}");
    }
}

#[test]
fn harmless_text_reaches_the_bridge_unchanged() {
    let recorded = recorded(Policy::default(), |propagator| everywhere(propagator, "order-4711 grün"));
    for kept in ["name send", "owned=", "linked=", "linked.later=", "later=", "message"] {
        let separator = if kept.ends_with('=') { "" } else { " " };
        let kept = format!("{kept}{separator}order-4711 grün");
        assert!(recorded.contains(&kept), "{kept}: {recorded:#?}");
    }
}

#[test]
fn personal_data_across_the_cut_is_not_shown() {
    for limit in [128_usize, 1024] {
        for back in 1..MAIL.len() {
            let text = format!("{} {MAIL} {}", "x".repeat(limit - back), "y".repeat(3000));
            let recorded = recorded(Policy::default(), |propagator| everywhere(propagator, &text));
            assert!(recorded.iter().all(|text| !text.contains(" a")), "{limit} {back}: {recorded:#?}");
        }
    }
}

#[test]
fn configured_limit_bounds_values() {
    let limits = TelemetryLimits::default().with_value(64).with_name(40);
    let policy = Policy::builder().telemetry_limits(limits).build().unwrap();
    let recorded = recorded(policy, |propagator| everywhere(propagator, &"z".repeat(500)));
    for text in recorded.iter().filter(|text| !text.starts_with("stack")) {
        assert!(text.len() <= 64 + "later.external=".len(), "{text}");
    }
}

#[test]
fn copied_baggage_with_personal_data_is_dropped() {
    let rule = InboundRule::peers(["*"]).allow(KeyRule::new("tenant.id").span_attribute("tenant"));
    let policy = Policy::builder().inbound(rule).build().unwrap();
    for (baggage, expected) in [("tenant.id=blue", Some("tenant=blue")), ("tenant.id=anna@example.com", None)] {
        let recorded = recorded(policy.clone(), |propagator| {
            let carrier = vec![("baggage".to_owned(), baggage.as_bytes().to_vec())];
            let admission = propagator.extract(&Peer::caller(Transport::HTTP), &carrier);
            drop(propagator.start(Hop::admitted(SpanKind::Server, admission)));
        });
        assert_eq!(recorded.get(1).map(String::as_str), expected, "{recorded:?}");
    }
}

#[test]
fn personal_tracestate_is_removed_from_links() {
    let linked = |state: &str| {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let state = propagation_core::TraceState::parse(state.as_bytes()).unwrap();
        TraceContext::new(parent).with_state(state)
    };
    let recorded = recorded(Policy::default(), |propagator| {
        let links = vec![linked("a=anna@example.com"), linked("a=b")];
        let span = propagator.start(Hop::local(SpanKind::Client, PropagationContext::EMPTY).linked(links));
        span.add_link(linked("a=anna@example.com"));
        span.add_link(linked("c=d"));
    });
    assert_eq!(recorded, ["name ", "link ", "link a=b", "link ", "link c=d"]);
}

#[test]
fn trusted_text_is_not_scanned() {
    let recorded = recorded(Policy::default(), |propagator| {
        let hop = Hop::local(SpanKind::Server, PropagationContext::EMPTY);
        drop(propagator.start(hop.with("http.route", AttributeValue::trusted(MAIL.to_owned()))));
    });
    assert_eq!(recorded, ["name ", "http.route=anna@example.com"]);
}

#[test]
fn debug_masks_owned_text() {
    let hop = Hop::local(SpanKind::Producer, PropagationContext::EMPTY)
        .named(format!("send {MAIL}"))
        .with("a", MAIL.to_owned())
        .with("b", vec![MAIL.to_owned()])
        .with("c", AttributeValue::trusted(MAIL.to_owned()))
        .with("d", AttributeValue::Texts(vec![MAIL.to_owned()]));
    let exception = Exception::new(MAIL.to_owned()).with_message(MAIL).with_stacktrace(MAIL);
    let outcome = Outcome::raised(exception.clone()).described(MAIL.to_owned());
    for printed in [format!("{hop:?}"), format!("{exception:?}"), format!("{outcome:?}")] {
        assert!(!printed.contains("anna"), "{printed}");
    }
}

#[test]
fn escaped_text_has_no_second_line() {
    let shown = EscapedText::new("q\r\n\u{1b}[31m\u{202e}\u{200b}\u{2028}x").to_string();
    assert_eq!(shown, r"q\r\n\u{1b}[31m\u{202e}\u{200b}\u{2028}x");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the text, each recorded one is bounded, printable and free of the canary.
    #[test]
    fn recorded_text_is_bounded_and_printable(
        before in "[\\PC\u{0}-\u{1f}\u{202a}-\u{202e}]{0,40}",
        repeat in 1_usize..80,
        canary in any::<bool>(),
        after in "[a-z\u{7f}\u{80}\u{feff}]{0,40}",
    ) {
        let middle = if canary { format!(" {MAIL} ") } else { String::new() };
        let text = format!("{}{middle}{}", before.repeat(repeat), after.repeat(repeat));
        let recorded = recorded(Policy::default(), |propagator| everywhere(propagator, &text));
        for text in recorded {
            prop_assert!(!text.contains(MAIL) && !text.contains("UNGUARDED"), "{text}");
            let unsafe_ = |letter: char| letter.is_control() && !(text.starts_with("stack") && matches!(letter, '\n' | '\t'))
                || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            prop_assert!(!text.contains(unsafe_), "{text:?}");
            let limit = match text.split([' ', '=']).next() {
                Some("name" | "kind") => 128 + 5,
                Some("stack") => 8192 + 6,
                _ => 1024 + 16,
            };
            prop_assert!(text.len() <= limit, "{} {text}", text.len());
        }
    }
}

#[test]
fn debug_of_types_with_wire_values_masks_them() {
    use propagation_core::{
        Inject, StoredContext, Value,
        carrier::{EnvironmentCarrier, FieldValue},
    };

    let carrier = vec![
        ("traceparent".to_owned(), b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec()),
        ("tracestate".to_owned(), b"v=zebra".to_vec()),
        ("baggage".to_owned(), b"tenant.id=zebra;p=zebra".to_vec()),
    ];
    let rule = InboundRule::peers(["*"]).allow(KeyRule::new("tenant.id").span_attribute("tenant"));
    let policy = Policy::builder()
        .inbound(rule)
        .outbound(propagation_core::OutboundRule::peers(["*"]).allow("*"))
        .build()
        .unwrap();
    let propagator = Propagator::builder().policy(policy).build();
    let admission = propagator.extract(&Peer::caller(Transport::HTTP), &carrier);
    let fill = |into: &mut dyn Inject| drop(propagator.inject(&Peer::http("api"), &admission.context, into));
    let (mut stored, mut environment) = (StoredContext::default(), EnvironmentCarrier::default());
    fill(&mut stored);
    fill(&mut environment);
    assert!(stored.to_string().contains("zebra"), "the values are there: {stored}");
    for printed in [
        format!("{admission:?}"),
        format!("{:?}", admission.context.baggage.iter().collect::<Vec<_>>()),
        format!("{:?}", Hop::admitted(SpanKind::Server, admission.clone())),
        format!("{:?}", propagator.start(Hop::remote(SpanKind::Server, admission.context.clone()))),
        format!("{:?}", propagator.policy().release(&Peer::http("api"), &admission.context)),
        format!("{stored:?}"),
        format!("{environment:?}"),
        format!("{:?}", FieldValue::from(b"zebra".to_vec())),
        format!("{:?}", Value::Borrowed(b"zebra")),
        format!("{:?}", ExternalText::from("zebra")),
    ] {
        assert!(!printed.contains("zebra") && !printed.contains("122, 101"), "{printed}");
    }
}

#[test]
fn limits_set_by_field_are_clamped() {
    let mut limits = TelemetryLimits::default();
    (limits.name, limits.value, limits.stacktrace) = (0, usize::MAX, 10_000_000);
    let limits = Policy::builder().telemetry_limits(limits).build().unwrap().telemetry_limits();
    assert_eq!(limits.name, TelemetryLimits::MIN_BYTES);
    assert_eq!([limits.value, limits.stacktrace], [TelemetryLimits::MAX_BYTES; 2]);
}

#[cfg(feature = "policy-file")]
#[test]
fn policy_file_bounds_text() {
    let file = "open = true\n[telemetry]\nmax_name_bytes = 64\nmax_value_bytes = 256\nmax_stacktrace_bytes = 512";
    let limits = Policy::from_toml(file).unwrap().telemetry_limits();
    assert_eq!((limits.name, limits.value, limits.stacktrace), (64, 256, 512));
}

#[cfg(feature = "policy-file")]
#[test]
fn policy_file_limit_out_of_range_is_an_error() {
    for (word, value) in [("max_name_bytes", "31"), ("max_value_bytes", "8193"), ("max_stacktrace_bytes", "-1")] {
        let error = Policy::from_toml(&format!("open = true\n[telemetry]\n{word} = {value}")).unwrap_err();
        let expected = format!("{word} = {value} is out of range: 32 to 8192 bytes");
        assert_eq!((error.place().map(|place| place.0), error.message()), (Some(3), &*expected));
    }
    let error = Policy::from_toml("open = true\n[telemetry]\nmax_bytes = 64").unwrap_err();
    assert!(error.message().contains("unknown field"), "{error}");
}

/// A line feed, ESC and a bidirectional override, as a caller or an editor may put them into a name.
const DISGUISE: &str = "q\nERROR forged\u{1b}[2J\u{202e}";

fn assert_one_line(shown: &str) {
    let raw = |letter: char| letter.is_control() || letter == '\u{202e}';
    assert!(!shown.contains(raw) && shown.len() < 3000, "{shown:?}");
}

#[test]
fn error_texts_stay_on_one_bounded_line() {
    let long = format!("{DISGUISE}{}", "x".repeat(100_000));
    for text in [DISGUISE, &long] {
        assert_one_line(&Policy::profile(text).unwrap_err().to_string());
        let formats = propagation_core::Formats::from_lookup(|_| Some(text.replace(',', "")));
        assert_one_line(&formats.unwrap_err().to_string());
        assert_one_line(&Peer::amqp_queue(text).to_string());
        let rejection = propagation_core::Rejection::new("baggage", propagation_core::RejectReason::NotAllowed);
        assert_one_line(&rejection.with_rule(text.to_owned()).to_string());
        let rule = || InboundRule::peers([format!("kafka:{text}")]).named(text);
        let policy = Policy::builder().inbound(rule().allow(text)).inbound(rule()).build().unwrap();
        let warnings = policy.lint();
        assert!(!warnings.is_empty());
        warnings.iter().for_each(|warning| assert_one_line(&warning.to_string()));
        for loosened in Policy::default().loosened_by(&policy).into_iter().chain(policy.loosened_by(&Policy::default()))
        {
            assert_one_line(&loosened.to_string());
        }
    }
}

#[test]
fn event_with_disguised_peer_is_one_line() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let rule = InboundRule::peers(["*"]).named(DISGUISE).allow("tenant.id");
    let propagator = Propagator::builder().policy(Policy::builder().inbound(rule).build().unwrap()).build();
    let carrier = vec![("baggage".to_owned(), b"other=1".to_vec())];
    crate::events::with_subscriber(subscriber, || {
        for peer in [Peer::amqp_queue(DISGUISE), Peer::amqp(DISGUISE), Peer::kafka(DISGUISE), Peer::sqs(DISGUISE)] {
            drop(propagator.extract(&peer, &carrier));
        }
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 4, "{text}");
    text.lines().for_each(assert_one_line);
    assert!(text.lines().all(|line| line.contains("context field rejected")), "{text}");
}

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn running_hop_is_guarded_by_a_replaced_policy() {
    let texts = recorded(Policy::default(), |propagator| {
        let hop = propagator.start(Hop::local(SpanKind::Internal, PropagationContext::EMPTY));
        hop.set_attribute("before", MAIL.to_owned());
        propagator.set_policy(Policy::builder().scrub(Scrub::off()).build().unwrap());
        hop.set_attribute("after", MAIL.to_owned());
    });
    assert_eq!(texts, ["name ".to_owned(), format!("after={MAIL}")]);
}

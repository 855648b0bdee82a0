//! Carriers without a transport: stored contexts, and the environment of a child process.

use std::{ffi::OsStr, process::Command};

use propagation_core::{
    Extract, Formats, Inject, Peer, PropagationContext, Propagator, RejectReason, StoredContext, TraceContext,
    carrier::{EnvironmentCarrier, laws},
};

use crate::wire::{PARENT, open, open_policy};

struct Stored;

impl laws::Subject for Stored {
    type Message = StoredContext;
    fn empty() -> Self::Message {
        StoredContext::new()
    }
    fn put(message: &mut Self::Message, name: &str, value: &[u8]) {
        *message = format!("{message}\n{name}:{}", std::str::from_utf8(value).unwrap()).parse().unwrap();
    }
    fn entries(message: &Self::Message) -> Vec<(String, Vec<u8>)> {
        let text = message.to_string();
        text.lines()
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
    fn extract(message: &Self::Message, with: &mut dyn FnMut(&dyn Extract)) {
        with(message);
    }
    fn inject(message: &mut Self::Message, with: &mut dyn FnMut(&mut dyn Inject)) {
        with(message);
    }
}

propagation_core::carrier_laws!(Stored);

#[test]
fn invalid_or_long_stored_context_is_rejected() {
    for text in ["nonsense", ":value", "a:b\nnonsense"] {
        assert!(text.parse::<StoredContext>().is_err(), "{text:?}");
    }
    let long = format!("baggage:{}", "a".repeat(StoredContext::MAX_BYTES));
    assert!(long.parse::<StoredContext>().is_err());
    assert_eq!("".parse::<StoredContext>(), Ok(StoredContext::new()));
}

fn variables(command: &Command) -> Vec<(&str, Option<&str>)> {
    let text = |text: &'_ OsStr| text.to_str().map(|text| Box::leak(text.to_owned().into_boxed_str()) as &str).unwrap();
    command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
}

#[test]
fn child_process_gets_only_released_variables() {
    // This process was started with baggage; the policy lets none out.
    let propagator = Propagator::default();
    let own = [("TRACEPARENT", PARENT), ("BAGGAGE", "mail=anna")];
    let look_up = |wanted: &str| own.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
    let context = propagator
        .extract(&Peer::process("cron"), &EnvironmentCarrier::from_lookup(propagator.fields(), look_up))
        .context;

    let mut command = Command::new("backup");
    let mut child = EnvironmentCarrier::new();
    propagator.inject(&Peer::process("backup"), &context, &mut child);
    child.apply_to(&mut command);
    let expected = [("BAGGAGE", None), ("TRACEPARENT", Some(PARENT)), ("TRACESTATE", None)];
    assert_eq!(variables(&command), expected);
}

#[test]
fn field_without_a_variable_name_is_rejected() {
    let formats: Formats = "b3multi,jaeger".parse().unwrap();
    let propagator = Propagator::builder().policy(open_policy()).formats(formats).build();
    let mut context = PropagationContext::new(TraceContext::new(PARENT.parse().unwrap()));
    context.baggage.set("tenant.id", "blue").unwrap();
    let mut child = EnvironmentCarrier::new();
    let injection = propagator.inject(&Peer::process("backup"), &context, &mut child);
    assert_eq!(
        injection.rejected().iter().map(|left| left.reason).collect::<Vec<_>>(),
        [RejectReason::Unrepresentable]
    );
    let names: Vec<_> = child.variables().map(|(name, _)| name).collect();
    assert_eq!(names, ["X_B3_TRACEID", "X_B3_SPANID", "X_B3_SAMPLED", "UBER_TRACE_ID"]);
}

#[test]
fn lines_of_one_name_form_one_list() {
    let stored: StoredContext = "baggage:a=1\n\nbaggage:b=2\n".parse().unwrap();
    let baggage = open().extract(&Peer::process("outbox"), &stored).context.baggage;
    assert_eq!(baggage.as_wire(), b"a=1,b=2".as_slice());
}

//! The events of a subscriber, as text.
#![cfg_attr(not(feature = "tracing"), allow(dead_code))]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context};

/// Collects the events and the names of the spans of the target `propagation`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    events: Arc<Mutex<Vec<(Level, String)>>>,
    spans: Arc<Mutex<Vec<String>>>,
}

impl Events {
    pub(crate) fn of(&self, level: Level) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(of, _)| *of == level).map(|(_, text)| text.clone()).collect()
    }

    pub(crate) fn spans(&self) -> Vec<String> {
        self.spans.lock().unwrap().clone()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "propagation" {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.events.lock().unwrap().push((*event.metadata().level(), text.0));
        }
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if attributes.metadata().target() == "propagation" {
            self.spans.lock().unwrap().push(attributes.metadata().name().to_owned());
        }
    }
}

//! A bridge that keeps every text that it receives.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};

use propagation_core::{
    Attribute, AttributeValue, Bridge, Hop, Link, Outcome, PropagationContext,
    bridge::{BridgeSpan, CurrentHop, Started},
};

#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The attribute's key, or the place.
    pub(crate) place: String,
    pub(crate) text: String,
    /// The value did not pass the guard.
    pub(crate) unguarded: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Recorded>>>);

impl Recorder {
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, place: &str, text: impl Into<String>) {
        self.0.lock().unwrap().push(Recorded { place: place.to_owned(), text: text.into(), unguarded: false });
    }

    fn add_attribute(&self, attribute: &Attribute) {
        match &attribute.value {
            AttributeValue::Text(text) => self.add(&attribute.key, &**text),
            AttributeValue::Texts(texts) => self.add(&attribute.key, texts.concat()),
            AttributeValue::External(_) | AttributeValue::ExternalTexts(_) => {
                let (place, text) = (attribute.key.to_string(), String::new());
                self.0.lock().unwrap().push(Recorded { place, text, unguarded: true });
            }
            _ => {}
        }
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
        self.add("name", hop.name.clone());
        hop.attributes.iter().for_each(|attribute| self.add_attribute(attribute));
        hop.links.into_iter().for_each(|link| self.add_link(link));
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
        self.add("link", link.trace.state.to_string());
        link.attributes.iter().for_each(|attribute| self.add_attribute(attribute));
    }

    fn rename(&self, name: Cow<'static, str>) {
        self.add("name", name);
    }

    fn end(&self, outcome: &Outcome) {
        let Outcome::Error { kind, description, exception } = outcome else { return };
        self.add("error.type", kind.clone());
        self.add("description", description.clone());
        if let Some(exception) = exception {
            self.add("message", exception.message.as_deref().unwrap_or_default());
            self.add("stacktrace", exception.stacktrace.as_deref().unwrap_or_default());
        }
    }
}

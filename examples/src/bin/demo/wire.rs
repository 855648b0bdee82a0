//! Records received messages before extraction.

use std::collections::BTreeMap;

use crate::{event::Event, transit};

/// The fields of ours as they were received, several values of one name joined with ` | ` so that they can't hide.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(BTreeMap<String, String>);

impl Wire {
    /// Notes a header if it is one of ours.
    pub(crate) fn see(&mut self, name: &str, value: &[u8]) {
        let ours = transit::FIELDS.contains(&name) || name.eq_ignore_ascii_case("AWSTraceHeader");
        if ours {
            let value = String::from_utf8_lossy(value);
            self.0
                .entry(name.to_owned())
                .and_modify(|seen| *seen += &format!(" | {value}"))
                .or_insert_with(|| value.into_owned());
        }
    }

    pub(crate) fn of_headers(headers: &http::HeaderMap) -> Self {
        let mut wire = Self::default();
        for (name, value) in headers {
            wire.see(name.as_str(), value.as_bytes());
        }
        wire
    }

    pub(crate) fn print(self, order: &str, transport: &str, from: &str, to: &str) {
        Event::Wire {
            order: order.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            transport: transport.to_owned(),
            wire: self.0,
        }
        .print();
    }
}

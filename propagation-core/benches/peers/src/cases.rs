//! The cases: an operation and its fields.

use crate::{
    input::{self, OutgoingFields, fields},
    texts,
};

/// The operation of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Read the headers; all is admitted, nothing scrubbed.
    Extract,
    /// Like the list before, and every value is read and decoded.
    Read,
    /// Inject the extracted context into a map that has room.
    InjectInto,
    /// Inject the extracted context into a map that already holds its fields.
    InjectReplacing,
    /// Extract and inject with the profile for one's own services, five keys, all detectors.
    Guard,
    /// A server layer around a service that answers at once, net of an identity layer.
    Layer,
    /// Search every field with all detectors; nothing is found.
    Scan,
    /// A configuration or an input that grows.
    Grows,
}

pub struct Case {
    pub name: String,
    pub what: What,
    pub fields: OutgoingFields,
    /// Headers that are no business of ours.
    pub unrelated: usize,
    /// One of a row of inputs that grow: slow for some peers, so it is repeated less, and its time is not taken.
    pub grows: bool,
}

impl Case {
    fn new(name: impl Into<String>, what: What, fields: OutgoingFields) -> Self {
        Self { name: name.into(), what, fields, unrelated: 0, grows: false }
    }
}

/// Every case, in the order of the tables.
pub fn all() -> Vec<Case> {
    let mut cases = well_formed();
    cases.extend(malformed());
    cases.extend(growing());
    cases.extend(scanned());
    let grown = |name: String| Case { grows: true, ..Case::new(name, What::Grows, Vec::new()) };
    cases.extend(crate::grows::names().into_iter().map(grown));
    cases
}

fn well_formed() -> Vec<Case> {
    let unrelated = Case { unrelated: 20, ..Case::new("extract-e", What::Extract, Vec::new()) };
    vec![
        Case::new("extract-a", What::Extract, input::parent_only()),
        Case::new("extract-c", What::Extract, input::three_and_five()),
        Case::new("extract-c-read", What::Read, input::three_and_five()),
        Case::new("extract-d", What::Extract, input::full()),
        unrelated,
        Case::new("inject-a", What::InjectInto, input::parent_only()),
        Case::new("inject-c", What::InjectReplacing, input::three_and_five()),
        Case::new("guard-c", What::Guard, input::three_and_five()),
        Case::new("layer-c", What::Layer, input::three_and_five()),
    ]
}

fn malformed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, fields) in input::bad_parents() {
        cases.push(Case::new(format!("extract-a-malformed-{kind}"), What::Extract, fields));
    }
    for (kind, fields) in input::bad_lists() {
        cases.push(Case::new(format!("extract-c-malformed-{kind}"), What::Extract, fields));
    }
    let escapes = input::bad_lists().into_iter().find(|(kind, _)| *kind == "escapes").map(|(_, fields)| fields);
    cases.push(Case::new("extract-c-read-malformed-escapes", What::Read, escapes.unwrap_or_default()));
    for (kind, fields) in input::bad_full_lists() {
        cases.push(Case::new(format!("extract-d-malformed-{kind}"), What::Extract, fields));
    }
    let lost = fields(&[("tracestate", input::STATE_3)]);
    cases.push(Case { unrelated: 20, ..Case::new("extract-e-malformed", What::Extract, lost) });
    cases.push(Case::new("inject-a-malformed", What::InjectInto, fields(&[("traceparent", &input::upper_case())])));
    cases.push(Case::new("inject-c-malformed", What::InjectReplacing, input::bad_keys()));
    cases.push(Case::new("guard-c-malformed", What::Guard, input::bad_keys()));
    cases.push(Case::new("layer-c-malformed", What::Layer, input::bad_keys()));
    cases
}

/// From one KiB to 256, each twice the one before.
fn growing() -> Vec<Case> {
    let sizes = (0..9).map(|power| 1_usize << power);
    let mut cases = Vec::new();
    for (kind, make) in input::HOSTILE {
        for size in sizes.clone() {
            let fields = make(size * 1024);
            cases.push(Case { grows: true, ..Case::new(format!("hostile-{kind}-{size}k"), What::Extract, fields) });
        }
    }
    cases
}

/// Clean texts for the scrubbers: a value of the greatest length of baggage, and far longer ones.
fn scanned() -> Vec<Case> {
    let mut cases = vec![Case { grows: true, ..Case::new("scan-five", What::Scan, texts::five()) }];
    for (kind, make) in texts::KINDS {
        for size in [8, 64, 256] {
            let fields = vec![("note", make(size * 1024))];
            cases.push(Case { grows: true, ..Case::new(format!("scan-{kind}-{size}k"), What::Scan, fields) });
        }
    }
    cases
}

//! The look-ups that formats make on a carrier.

use std::cell::RefCell;

use propagation_core::{Extract, FieldName, Formats, Peer, Propagator, Transport, Value, carrier::NameFilter};

use super::{SPAN, TRACE, message};
use crate::wire::open_policy;

/// A carrier that records the names that are looked up.
struct Recording {
    headers: Vec<(String, Vec<u8>)>,
    filters: bool,
    names: RefCell<Vec<String>>,
    passes: RefCell<usize>,
}

impl Recording {
    fn new(headers: &[(&str, &str)], filters: bool) -> Self {
        Self { headers: message(headers), filters, names: RefCell::default(), passes: RefCell::default() }
    }
}

impl Extract for Recording {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        self.names.borrow_mut().push(name.as_str().to_owned());
        self.headers.visit(name, each);
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        *self.passes.borrow_mut() += 1;
        self.headers.visit_all(each);
    }

    fn name_filter(&self) -> NameFilter {
        let mut filter = if self.filters { NameFilter::EMPTY } else { NameFilter::ALL };
        self.headers.iter().for_each(|(name, _)| filter.insert(name.as_bytes()));
        filter
    }
}

fn propagator(formats: &str) -> Propagator {
    let formats: Formats = formats.parse().unwrap();
    Propagator::builder().policy(open_policy()).formats(formats).build()
}

const ALL: &str = "tracecontext,baggage,b3,b3multi,jaeger,xray,datadog,gcp,grpc-trace-bin";

#[test]
fn b3_and_b3multi_look_up_each_name_once() {
    let carrier = Recording::new(&[], false);
    let _ = propagator("b3,b3multi").extract(&Peer::caller(Transport::HTTP), &carrier);
    let names = carrier.names.take();
    let expected = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"];
    assert_eq!(names, expected);
}

#[test]
fn most_absent_names_are_not_looked_up() {
    let headers = [("host", "api"), ("user-agent", "curl"), ("content-type", "text/plain"), ("authorization", "x")];
    let carrier = Recording::new(&headers, true);
    let propagator = propagator(ALL);
    let _ = propagator.extract(&Peer::caller(Transport::HTTP), &carrier);
    // The filter has false positives.
    let (names, declared) = (carrier.names.take(), propagator.fields().iter().len());
    assert!(names.len() * 4 <= declared, "{names:?} of {declared}");
    assert_eq!(carrier.passes.take(), 0, "no name starts like Jaeger's prefix");
}

#[test]
fn filtered_look_ups_find_every_format() {
    let single = format!("{TRACE}-{SPAN}-1");
    let jaeger = format!("{TRACE}:{SPAN}:0:1");
    for (name, value) in [("B3", &single), ("Uber-Trace-Id", &jaeger)] {
        for filters in [false, true] {
            let headers = [(name, value.as_str()), ("UberCtx-tenant.id", "blue"), ("baggage", "plan=pro")];
            let carrier = Recording::new(&headers, filters);
            let context = propagator(ALL).extract(&Peer::caller(Transport::HTTP), &carrier).context;
            assert_eq!(context.trace.trace_id().map(|id| id.to_string()).as_deref(), Some(TRACE), "{name} {filters}");
            assert_eq!(context.baggage.as_wire(), b"plan=pro,tenant.id=blue".as_slice(), "{name} {filters}");
        }
    }
}

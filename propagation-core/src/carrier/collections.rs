//! Collections of the standard library as carriers: for tests, and for messages that keep their headers as pairs.

use std::collections::{BTreeMap, HashMap};

use crate::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, TraceContext, Value};

/// Pairs in wire order. Compares names ignoring ASCII case.
impl Extract for Vec<(String, Vec<u8>)> {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        for (found, value) in self {
            if found.eq_ignore_ascii_case(name.as_str()) {
                each(Value::Borrowed(value));
            }
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in self {
            each(name, Value::Borrowed(value));
        }
    }
}

impl Inject for Vec<(String, Vec<u8>)> {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        self.retain(|(name, _)| !fields.contains(name));
        self.extend(fields.iter().map(|field| (field.name().as_str().to_owned(), field.value().to_vec())));
        InjectionReport::all_written(fields)
    }
}

macro_rules! map {
    ($map:ident) => {
        /// One value for each name. Names are case-sensitive.
        impl Extract for $map<String, String> {
            fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
                if let Some(value) = self.get(name.as_str()) {
                    each(Value::Borrowed(value.as_bytes()));
                }
            }

            fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
                for (name, value) in self {
                    each(name, Value::Borrowed(value.as_bytes()));
                }
            }
        }

        impl Inject for $map<String, String> {
            fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
                self.retain(|name, _| !fields.contains(name));
                for field in fields.iter() {
                    self.insert(field.name().as_str().to_owned(), field.value_str().to_owned());
                }
                InjectionReport::all_written(fields)
            }
        }
    };
}

map!(HashMap);
map!(BTreeMap);

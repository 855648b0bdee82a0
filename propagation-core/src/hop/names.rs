//! Attributes with the names that a propagator is configured for.

use std::borrow::Cow;

use super::{Attribute, AttributeValue, Hop};
use crate::semconv::{self, NameSet, SemanticConventions};

/// Translates the attributes that a hop starts with, and those of its links.
pub(crate) fn hop(names: SemanticConventions, hop: &mut Hop) {
    if names.is_current() {
        return;
    }
    translate(names, &mut hop.attributes);
    for link in &mut hop.links {
        translate(names, &mut link.attributes);
    }
}

/// Translates attributes.
pub(crate) fn translate(names: SemanticConventions, attributes: &mut Vec<Attribute>) {
    if names.is_current() {
        return;
    }
    for attribute in std::mem::take(attributes) {
        record(names, attribute, |attribute| attributes.push(attribute));
    }
}

/// Passes an attribute on with its name of version 1.45, of 1.44, or with both.
pub(crate) fn record(names: SemanticConventions, attribute: Attribute, mut each: impl FnMut(Attribute)) {
    let chosen = if names.is_current() { NameSet::Current } else { names.names_of(&attribute.key) };
    let older = if chosen == NameSet::Current { None } else { semconv::older_name(&attribute.key) };
    let Some(older) = older else { return each(attribute) };
    let renamed = Attribute { key: Cow::Borrowed(older), value: older_value(&attribute) };
    if chosen == NameSet::Both {
        each(attribute);
    }
    each(renamed);
}

fn older_value(attribute: &Attribute) -> AttributeValue {
    match &attribute.value {
        AttributeValue::Text(system) if attribute.key == semconv::MESSAGING_SYSTEM_NAME => {
            let older = semconv::older_system(system);
            if older == system { attribute.value.clone() } else { AttributeValue::trusted(older.to_owned()) }
        }
        value => value.clone(),
    }
}

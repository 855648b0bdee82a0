//! Environment variables as carriers: for child processes, cron jobs and CI steps.

use std::{fmt, process::Command};

use crate::{
    Extract, FieldName, FieldNames, Inject, InjectionReport, OutgoingFields, RejectReason, TraceContext, Value,
};

/// Environment variables as a carrier: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`.
///
/// The name of a variable is that of its field in upper case, with `_` for any byte but letters and digits. X-Ray's field is also read
/// from AWS Lambda's `_X_AMZN_TRACE_ID`. Fields whose names are made at run time (Jaeger's `uberctx-…`) are rejected.
///
/// An injection collects the variables for a child process. It does not change the environment of this process, which would be unsafe.
/// A child inherits its parent's variables, so [`apply_to`](Self::apply_to) also removes context variables that were not written:
/// context that this process received must not reach every child.
///
/// ```
/// use propagation_core::{Peer, Propagator, carrier::EnvironmentCarrier};
///
/// let propagator = Propagator::default();
/// let admission = propagator.extract(&Peer::process("cron"), &EnvironmentCarrier::from_env());
/// let mut child = EnvironmentCarrier::new();
/// propagator.inject(&Peer::process("backup"), &admission.context, &mut child);
/// let mut command = std::process::Command::new("backup");
/// child.apply_to(&mut command);
/// ```
#[derive(Clone, Default)]
pub struct EnvironmentCarrier {
    variables: Vec<(String, String)>,
    /// The variables of declared fields that an injection has not written.
    removed: Vec<String>,
}

/// Prints no values: they may be personal.
impl fmt::Debug for EnvironmentCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvironmentCarrier")?;
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl EnvironmentCarrier {
    /// Creates a carrier without variables, to inject into.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a carrier of the variables of this process. Skips those that are not UTF-8.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            removed: Vec::new(),
        }
    }

    /// Creates a carrier of the variables that `look_up` returns. Calls it with the variables of each name, usually
    /// [those of a propagator](crate::Propagator::fields).
    pub fn from_lookup(names: &FieldNames, mut look_up: impl FnMut(&str) -> Option<String>) -> Self {
        let variables = names.iter().flat_map(|name| variables(name.as_str()));
        let variables = variables.filter_map(|name| look_up(&name).map(|value| (name, value))).collect();
        Self { variables, removed: Vec::new() }
    }

    /// Returns the variables to set on a child process, with names in upper case.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the variables that a child process must not inherit.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(String::as_str)
    }

    /// Sets the variables on a child process, and removes those that it must not inherit.
    pub fn apply_to(&self, command: &mut Command) {
        for name in self.removed() {
            command.env_remove(name);
        }
        command.envs(self.variables());
    }
}

impl Extract for EnvironmentCarrier {
    fn visit<'a>(&'a self, name: &FieldName, each: &mut dyn FnMut(Value<'a>)) {
        let found = |name: String| self.variables.iter().find(|(found, _)| *found == name);
        if let Some((_, value)) = variables(name.as_str()).find_map(found) {
            each(Value::Borrowed(value.as_bytes()));
        }
    }

    fn visit_all<'a>(&'a self, each: &mut dyn FnMut(&'a str, Value<'a>)) {
        for (name, value) in &self.variables {
            each(name, Value::Borrowed(value.as_bytes()));
        }
    }
}

impl Inject for EnvironmentCarrier {
    fn commit(&mut self, fields: &OutgoingFields<'_>, _: &TraceContext) -> InjectionReport {
        let declared: Vec<String> = fields.names().iter().flat_map(|name| variables(name.as_str())).collect();
        self.variables.retain(|(name, _)| !declared.contains(name));
        let mut report = InjectionReport::new();
        for field in fields.iter() {
            // A variable's name cannot express a name that was made at run time (`uberctx-tenant.id`).
            if fields.names().iter().any(|declared| declared == field.name()) {
                self.variables.push((variable(field.name().as_str()), field.value_str().to_owned()));
                report.record_written(field.name());
            } else {
                report.record_rejected(field.name(), RejectReason::Unrepresentable);
            }
        }
        let written = |name: &String| self.variables.iter().any(|(found, _)| found == name);
        self.removed = declared.into_iter().filter(|name| !written(name)).collect();
        report
    }
}

/// Returns the variables that a field is read from. It is written to the first.
fn variables(name: &str) -> impl Iterator<Item = String> {
    let of_lambda = (name == "x-amzn-trace-id").then(|| "_X_AMZN_TRACE_ID".to_owned());
    std::iter::once(variable(name)).chain(of_lambda)
}

fn variable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upper_case_with_underscores() {
        assert_eq!(variable("traceparent"), "TRACEPARENT");
        assert_eq!(variable("x-b3-traceid"), "X_B3_TRACEID");
    }
}

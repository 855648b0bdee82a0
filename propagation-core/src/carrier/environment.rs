//! Environment variables: child processes, cron jobs, CI steps.

use std::{fmt, process::Command};

use crate::{Extract, FieldName, Inject, InjectionReport, OutgoingFields, RejectReason, Value};

/// Environment variables as a carrier: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`.
///
/// Reading takes a look-up function, writing collects what a child process is to get: changing the environment of the running
/// process is unsafe. A child inherits the variables of its parent, so [`apply_to`](Self::apply_to) also removes those that
/// are ours and are not written: what this process was told is not for every child to know. A name is the field's in upper case, everything but
/// letters and digits as `_`. X-Ray's field is also read from AWS Lambda's `_X_AMZN_TRACE_ID`. Fields whose names are made at run time (Jaeger's `uberctx-…`) are left out.
///
/// ```
/// use propagation_core::{EnvironmentCarrier, Peer, Propagator};
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
    /// What an injection owns and has not written.
    removed: Vec<String>,
}

/// Prints the names alone: a value may be personal.
impl fmt::Debug for EnvironmentCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvironmentCarrier")?;
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl EnvironmentCarrier {
    /// No variables: for writing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The variables of this process; those that are not UTF-8 are passed over.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            removed: Vec::new(),
        }
    }

    /// The variables that `look_up` knows, asked for each of the names given:
    /// [those of a propagator](crate::Propagator::fields), as a rule.
    pub fn from_lookup(names: &[&FieldName], mut look_up: impl FnMut(&str) -> Option<String>) -> Self {
        let variables = names.iter().flat_map(|name| variables(name.as_str()));
        let variables = variables.filter_map(|name| look_up(&name).map(|value| (name, value))).collect();
        Self { variables, removed: Vec::new() }
    }

    /// The variables to set on a child, names in upper case.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables that a child must not inherit.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.removed.iter().map(String::as_str)
    }

    /// Gives a child process the variables, and takes from it what it would inherit and must not.
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
    fn commit(&mut self, fields: &OutgoingFields) -> InjectionReport {
        let owned: Vec<String> = fields.names().flat_map(|name| variables(name.as_str())).collect();
        self.variables.retain(|(name, _)| !owned.contains(name));
        let mut injection = InjectionReport::none();
        for field in fields.iter() {
            // The name of a variable can't say what a name made at run time does (`uberctx-tenant.id`).
            if fields.names().any(|owned| owned == field.name()) {
                self.variables.push((variable(field.name().as_str()), field.value_str().to_owned()));
                injection.wrote(field.name());
            } else {
                injection.left_out(field.name(), RejectReason::Unrepresentable);
            }
        }
        let written = |name: &String| self.variables.iter().any(|(found, _)| found == name);
        self.removed = owned.into_iter().filter(|name| !written(name)).collect();
        injection
    }
}

/// The variables that a field is read from, the one that it is written to first.
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

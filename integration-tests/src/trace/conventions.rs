//! The semantic conventions of HTTP, RPC and messaging spans, checked span by span.
//!
//! Checks the kind; attributes that are required, always or under a condition that can be seen in the span;
//! types; names that were deprecated; repeated keys; legal values where they are few; the status that the outcome
//! requires; and the name's format, which keeps its cardinality low.

mod names;
mod recommended;
mod table;

use std::fmt;

use self::table::SpanType;
use super::span::shown;
use super::{Span, SpanKind, Status, Value};

/// A version of the semantic conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// 1.44.
    V1_44,
    /// 1.45, which renamed attributes of RPC and messaging.
    V1_45,
}

impl Version {
    /// The newest version known here.
    pub const LATEST: Self = Self::V1_45;

    /// Returns the deviations of a span from the conventions.
    ///
    /// A span of another area than HTTP, RPC or messaging is checked for deprecated names and types only. Where types
    /// were lost in transit ([`Span::typed`]), they are guessed from the text.
    #[must_use]
    pub fn findings(self, span: &Span) -> Vec<Finding> {
        let mut findings = Vec::new();
        let area = Area::of(span);
        let aws = span.attributes.text("rpc.system") == Some("aws-api");
        self.names_and_types(span, aws, &mut findings);
        match area {
            Some(Area::Http) => self.http(span, &mut findings),
            Some(Area::Rpc) if aws => {}
            Some(Area::Rpc) => self.rpc(span, &mut findings),
            Some(Area::Messaging) => self.messaging(span, &mut findings),
            None => {}
        }
        if area.is_some() && matches!(span.status, Status::Error(_)) && !aws && !span.attributes.contains("error.type")
        {
            findings.push(Finding::Missing { key: "error.type", because: "the span ended with an error" });
        }
        findings
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1_44 => f.write_str("1.44"),
            Self::V1_45 => f.write_str("1.45"),
        }
    }
}

/// A deviation of a span from the conventions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A required attribute is not there.
    Missing {
        /// Its name.
        key: &'static str,
        /// Why it is required here.
        because: &'static str,
    },
    /// An attribute has a name that is no longer used.
    Deprecated {
        /// The old name.
        key: &'static str,
        /// The replacement; empty if there is none.
        instead: &'static str,
    },
    /// An attribute has a value of another type.
    WrongType {
        /// Its name.
        key: String,
        /// The type by the conventions.
        want: &'static str,
        /// The type that was received.
        have: &'static str,
    },
    /// An attribute occurs more than once.
    Repeated {
        /// Its name.
        key: String,
    },
    /// An attribute has a value that is not one of those allowed.
    IllegalValue {
        /// Its name.
        key: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        want: &'static str,
    },
    /// The span has the wrong kind for its operation.
    Kind {
        /// The kind it has.
        have: SpanKind,
        /// The allowed kinds.
        want: String,
    },
    /// The span's name is not built as it should be.
    Name {
        /// The name it has.
        have: String,
        /// The names it may have.
        want: String,
    },
    /// The span's status does not fit its outcome.
    Outcome {
        /// The rule that was broken.
        rule: &'static str,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key, because } => write!(f, "`{key}` is missing: {because}"),
            Self::Deprecated { key, instead: "" } => {
                write!(f, "`{key}` is deprecated, and nothing took its place")
            }
            Self::Deprecated { key, instead } => {
                write!(f, "`{key}` is deprecated: use `{instead}`")
            }
            Self::WrongType { key, want, have } => {
                write!(f, "`{}` is of type {have}, not {want}", shown(key))
            }
            Self::Repeated { key } => write!(f, "`{}` is there more than once", shown(key)),
            Self::IllegalValue { key, value, want } => {
                write!(f, "`{key}` is `{}`, not {want}", shown(value))
            }
            Self::Kind { have, want } => write!(f, "the kind is {have}, not {want}"),
            Self::Name { have, want } => {
                write!(f, "the name `{}` should be {want}", shown(have))?;
                match telling_token(have) {
                    Some(token) => write!(f, "; with `{}` in it there is one name for each request", shown(token)),
                    None => Ok(()),
                }
            }
            Self::Outcome { rule } => f.write_str(rule),
        }
    }
}

/// Which conventions a span comes under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Area {
    Http,
    Rpc,
    Messaging,
}

impl Area {
    fn of(span: &Span) -> Option<Self> {
        let has = |prefix: &str| span.attributes.iter().any(|(key, _)| key.starts_with(prefix));
        match span.kind {
            SpanKind::Producer | SpanKind::Consumer => Some(Self::Messaging),
            SpanKind::Client | SpanKind::Server if has("messaging.") => Some(Self::Messaging),
            SpanKind::Client | SpanKind::Server if has("rpc.") => Some(Self::Rpc),
            SpanKind::Client | SpanKind::Server if has("http.") => Some(Self::Http),
            _ => None,
        }
    }
}

impl Version {
    fn names_and_types(self, span: &Span, aws: bool, findings: &mut Vec<Finding>) {
        for (index, (key, value)) in span.attributes.iter().enumerate() {
            if span.attributes.iter().take(index).any(|(earlier, _)| earlier == key) {
                findings.push(Finding::Repeated { key: key.to_owned() });
            }
            if let Some((key, instead)) = self.replacement(key)
                && !(aws && matches!(key, "rpc.system" | "rpc.service"))
            {
                findings.push(Finding::Deprecated { key, instead });
            }
            if let Some(want) = self.type_of(key)
                && !is_of_type(value, want, span.typed)
            {
                findings.push(Finding::WrongType { key: key.to_owned(), want, have: value.type_name() });
            }
        }
    }

    fn required(self, span: &Span, span_type: &SpanType, findings: &mut Vec<Finding>) {
        if !span_type.kinds.contains(&span.kind) {
            let kinds: Vec<String> = span_type.kinds.iter().map(ToString::to_string).collect();
            findings.push(Finding::Kind { have: span.kind, want: kinds.join(" or ") });
        }
        for key in span_type.required.iter().map(|key| self.name(key)) {
            if !span.attributes.contains(key) {
                findings.push(Finding::Missing { key, because: span_type.what });
            }
        }
    }

    fn http(self, span: &Span, findings: &mut Vec<Finding>) {
        let server = span.kind == SpanKind::Server;
        self.required(span, if server { &table::HTTP_SERVER } else { &table::HTTP_CLIENT }, findings);
        let status = number(span, "http.response.status_code");
        let failed = matches!(span.status, Status::Error(_));
        match status {
            None if !failed && !span.attributes.contains("error.type") => {
                findings.push(Finding::Missing {
                    key: "http.response.status_code",
                    because: "the span ended without an error",
                });
            }
            Some(status) if !(100..=599).contains(&status) => {
                findings.push(Finding::IllegalValue {
                    key: "http.response.status_code",
                    value: status.to_string(),
                    want: "a status code",
                });
            }
            Some(500..) if !failed => {
                findings
                    .push(Finding::Outcome { rule: "a 5xx response is an error, but the span's status is not Error" });
            }
            Some(400..=499) if !server && !failed => {
                findings.push(Finding::Outcome {
                    rule: "for a client a 4xx response is an error, but the span's status is not Error",
                });
            }
            Some(400..=499)
                if server && failed && span.attributes.text("error.type").is_none_or(|kind| kind.starts_with('4')) =>
            {
                findings.push(Finding::Outcome {
                    rule: "for a server a 4xx response is no error, but the span's status is Error",
                });
            }
            _ => {}
        }
        if let Some(method) = span.attributes.text("http.request.method") {
            let method = if method == "_OTHER" { "HTTP" } else { method };
            let target = span.attributes.text(if server { "http.route" } else { "url.template" });
            let names: Vec<String> = [Some(method.to_owned()), target.map(|target| format!("{method} {target}"))]
                .into_iter()
                .flatten()
                .collect();
            // With a known route, the method alone is not enough: the conventions require the route.
            check_name(span, if names.len() > 1 { names.get(1..).unwrap_or_default() } else { &names }, findings);
        }
    }

    fn rpc(self, span: &Span, findings: &mut Vec<Finding>) {
        let grpc =
            span.attributes.text("rpc.system.name").or_else(|| span.attributes.text("rpc.system")) == Some("grpc");
        let server = span.kind == SpanKind::Server;
        self.required(
            span,
            match (grpc, server) {
                (true, true) => &table::GRPC_SERVER,
                (true, false) => &table::GRPC_CLIENT,
                (false, true) => &table::RPC_SERVER,
                (false, false) => &table::RPC_CLIENT,
            },
            findings,
        );
        let status_code = self.name("rpc.status_code");
        if let Some(status) = span.attributes.text(status_code).filter(|_| grpc) {
            let failed = matches!(span.status, Status::Error(_));
            if !table::GRPC_STATUS.contains(&status) {
                findings.push(Finding::IllegalValue {
                    key: status_code,
                    value: status.to_owned(),
                    want: "the name of a gRPC status, such as `NOT_FOUND`",
                });
            } else if server && table::GRPC_SERVER_ERRORS.contains(&status) != failed {
                findings.push(Finding::Outcome { rule: "a gRPC server's span is an error for UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS, and for no other status" });
            } else if !server && (status != "OK") != failed {
                findings.push(Finding::Outcome {
                    rule: "a gRPC client's span is an error for every status but OK, and only then",
                });
            }
        }
        let want = span.attributes.text("rpc.method").or_else(|| span.attributes.text("rpc.system.name"));
        check_name(span, &want.map(str::to_owned).into_iter().collect::<Vec<_>>(), findings);
    }

    fn messaging(self, span: &Span, findings: &mut Vec<Finding>) {
        let text = |key| span.attributes.text(key);
        let operation = text("messaging.operation.type").unwrap_or_default();
        if !matches!(operation, "" | "create" | "send" | "receive" | "process" | "settle") {
            findings.push(Finding::IllegalValue {
                key: "messaging.operation.type",
                value: operation.to_owned(),
                want: "create, send, receive, process or settle",
            });
        }
        let operation =
            if operation.is_empty() { text("messaging.operation.name").unwrap_or_default() } else { operation };
        self.required(span, table::messaging(operation), findings);
        let system = text(self.name("messaging.system.name"));
        if let Some(system) = system
            && let Some((want, _)) = table::SYSTEMS.iter().find(|(_, older)| self != Self::V1_44 && *older == system)
        {
            findings.push(Finding::IllegalValue { key: "messaging.system.name", value: system.to_owned(), want });
        }
        if system == Some("rabbitmq") || !span.attributes.contains("messaging.batch.message_count") {
            let known =
                ["messaging.destination.name", "messaging.destination.template", "messaging.destination.anonymous"];
            if !known.iter().any(|key| span.attributes.contains(key)) {
                findings.push(Finding::Missing {
                    key: "messaging.destination.name",
                    because: "the span is about one message, or RabbitMQ",
                });
            }
        }
        let destination = text("messaging.destination.name");
        let telling = destination.filter(|name| name.contains("amq.gen-"));
        let temporary =
            ["messaging.destination.temporary", "messaging.destination.anonymous"].iter().any(|key| is_true(span, key));
        let Some(operation) = text("messaging.operation.name") else {
            return;
        };
        let mut names = Vec::new();
        if let Some(template) = text("messaging.destination.template") {
            names.push(format!("{operation} {template}"));
        } else if is_true(span, "messaging.destination.anonymous") || telling.is_some() {
            names.push(format!("{operation} (anonymous)"));
        } else if let Some(name) = destination.filter(|_| !temporary) {
            names.push(format!("{operation} {name}"));
        } else if temporary {
            names.push(format!("{operation} (temporary)"));
        }
        if names.is_empty() || temporary {
            names.push(operation.to_owned());
        }
        check_name(span, &names, findings);
    }
}

fn is_of_type(value: &Value, want: &str, typed: bool) -> bool {
    match (value, want) {
        (Value::String(text), "int") if !typed => text.parse::<i64>().is_ok(),
        (Value::String(text), "boolean") if !typed => matches!(text.as_str(), "true" | "false"),
        (Value::String(_), _) if !typed => true,
        _ => value.type_name() == want,
    }
}

fn check_name(span: &Span, allowed: &[String], findings: &mut Vec<Finding>) {
    if !allowed.is_empty() && !allowed.contains(&span.name) {
        let allowed: Vec<String> = allowed.iter().map(|name| format!("`{}`", shown(name))).collect();
        findings.push(Finding::Name { have: span.name.clone(), want: allowed.join(" or ") });
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    match span.attribute(key)? {
        Value::Int(number) => Some(*number),
        Value::String(text) if !span.typed => text.parse().ok(),
        _ => None,
    }
}

fn is_true(span: &Span, key: &str) -> bool {
    match span.attribute(key) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => !span.typed && text == "true",
        _ => false,
    }
}

/// A part of a name that is surely an id: a long number, long hexadecimal digits, a UUID, an address.
fn telling_token(name: &str) -> Option<&str> {
    let parts = || name.split(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '&' | '=' | ':' | '.'));
    parts().find(|part| {
        let digits = part.chars().filter(char::is_ascii_digit).count();
        let hex = part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        part.contains('@') || (digits == part.len() && digits >= 3) || (hex && digits > 0 && part.len() >= 16)
    })
}

#[cfg(test)]
mod tests;

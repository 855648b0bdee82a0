//! Selects the attribute names of version 1.45, of 1.44, or both.

/// The names that telemetry of one area has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameSet {
    /// The names of version 1.45.
    #[default]
    Current,
    /// The names of version 1.44.
    Older,
    /// Both: each renamed attribute is recorded twice.
    Both,
}

/// The names that telemetry has, by area of the semantic conventions.
///
/// Version 1.45 renamed attributes of RPC and messaging ([`RENAMED`](super::RENAMED)). By default the new names are recorded. Dashboards that
/// still read the old ones get them by code, or by `OTEL_SEMCONV_STABILITY_OPT_IN`, a comma-separated list:
///
/// | Value | Names |
/// |---|---|
/// | `rpc`, `messaging` | 1.45, the default |
/// | `rpc/dup`, `messaging/dup` | 1.45 and 1.44 |
/// | `rpc/old`, `messaging/old` | 1.44 |
///
/// The first two rows are OpenTelemetry's definition of the variable; `/old` is an extension of these crates. Of several values for an area,
/// `/dup` wins over `/old`, and `/old` over the plain name. Values for other areas are ignored: they are meant for other libraries, and the
/// HTTP names did not change.
///
/// ```
/// use propagation_core::{Propagator, semconv::{NameSet, SemanticConventions}};
///
/// let names = SemanticConventions::default().with_messaging(NameSet::Both);
/// assert_eq!(names, SemanticConventions::default().with_opt_in("http,messaging/dup"));
/// let propagator = Propagator::builder().semantic_conventions(names).build();
/// # let _ = propagator;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct SemanticConventions {
    rpc: NameSet,
    messaging: NameSet,
}

impl SemanticConventions {
    /// The environment variable, `OTEL_SEMCONV_STABILITY_OPT_IN`.
    pub const VARIABLE: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";

    /// Sets the names of `rpc.*` attributes.
    pub const fn with_rpc(mut self, names: NameSet) -> Self {
        self.rpc = names;
        self
    }

    /// Sets the names of `messaging.*`, `kafka.*` and `rabbitmq.*` attributes.
    pub const fn with_messaging(mut self, names: NameSet) -> Self {
        self.messaging = names;
        self
    }

    /// Applies a value of [`VARIABLE`](Self::VARIABLE). Areas that it does not name keep their names.
    pub fn with_opt_in(self, list: &str) -> Self {
        Self {
            rpc: opted_in(list, "rpc").unwrap_or(self.rpc),
            messaging: opted_in(list, "messaging").unwrap_or(self.messaging),
        }
    }

    /// Returns the names of `rpc.*` attributes.
    #[must_use]
    pub const fn rpc(self) -> NameSet {
        self.rpc
    }

    /// Returns the names of messaging attributes.
    #[must_use]
    pub const fn messaging(self) -> NameSet {
        self.messaging
    }

    /// Returns the schema URL that fits the names: of version 1.45, of 1.44, or `None` for names of both.
    ///
    /// A span of one area may have names of 1.44 while another has those of 1.45; a tracer has one schema URL for all.
    #[must_use]
    pub fn schema_url(self) -> Option<&'static str> {
        match (self.rpc, self.messaging) {
            (NameSet::Current, NameSet::Current) => Some(super::SCHEMA_URL),
            (NameSet::Older, NameSet::Older) => Some(super::SCHEMA_URL_1_44),
            _ => None,
        }
    }

    /// Returns `true` if an attribute's name does not change.
    pub(crate) fn is_current(self) -> bool {
        self == Self::default()
    }

    /// Returns the names that an attribute of version 1.45 is recorded with.
    pub(crate) fn names_of(self, name: &str) -> NameSet {
        if name.starts_with("rpc.") {
            self.rpc
        } else if ["messaging.", "kafka.", "rabbitmq."].iter().any(|area| name.starts_with(area)) {
            self.messaging
        } else {
            NameSet::Current
        }
    }
}

fn opted_in(list: &str, area: &str) -> Option<NameSet> {
    let mut found = None;
    for value in list.split(',') {
        let (name, suffix) = value.trim().split_once('/').unwrap_or((value.trim(), ""));
        if !name.eq_ignore_ascii_case(area) {
            continue;
        }
        let names = match suffix.to_ascii_lowercase().as_str() {
            "" => NameSet::Current,
            "dup" => NameSet::Both,
            "old" => NameSet::Older,
            _ => continue,
        };
        let rank = |names: NameSet| match names {
            NameSet::Current => 0,
            NameSet::Older => 1,
            NameSet::Both => 2,
        };
        if found.is_none_or(|earlier| rank(names) > rank(earlier)) {
            found = Some(names);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opt_in_list_selects_names_by_area() {
        use NameSet::{Both, Current, Older};
        for (list, rpc, messaging) in [
            ("", Current, Current),
            ("http,http/dup,database", Current, Current),
            ("rpc,messaging", Current, Current),
            ("rpc/dup", Both, Current),
            (" RPC/Dup , messaging/old ,", Both, Older),
            ("rpc/dup,rpc,rpc/old", Both, Current),
            ("messaging,messaging/old", Current, Older),
            ("messaging/new,rpc/,/dup", Current, Current),
        ] {
            let expected = SemanticConventions::default().with_rpc(rpc).with_messaging(messaging);
            assert_eq!(SemanticConventions::default().with_opt_in(list), expected, "{list}");
        }
    }

    #[test]
    fn opt_in_keeps_areas_that_it_does_not_name() {
        let older = SemanticConventions::default().with_rpc(NameSet::Older).with_messaging(NameSet::Older);
        assert_eq!(older.with_opt_in("rpc"), older.with_rpc(NameSet::Current));
    }

    #[test]
    fn schema_url_fits_the_names() {
        let (current, both) = (SemanticConventions::default(), SemanticConventions::default().with_opt_in("rpc/dup"));
        let older = current.with_opt_in("rpc/old,messaging/old");
        assert_eq!(current.schema_url(), Some("https://opentelemetry.io/schemas/1.45.0"));
        assert_eq!(older.schema_url(), Some("https://opentelemetry.io/schemas/1.44.0"));
        assert_eq!(both.schema_url(), None);
    }
}

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something was refused, dropped, changed or cut. Counters are kept by these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectReason {
            $($(#[$doc])* $name,)*
        }

        impl RejectReason {
            /// Every reason, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in counters, reports and log lines: short, stable, `snake_case`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// Not of the field's grammar.
    Malformed = "malformed",
    /// A version that must be refused.
    UnsupportedVersion = "unsupported_version",
    /// An id of zeros.
    ZeroId = "zero_id",
    /// More than one value where one is allowed.
    Duplicate = "duplicate",
    /// A key that came before in the same list.
    DuplicateKey = "duplicate_key",
    /// More members than the limit.
    TooManyMembers = "too_many_members",
    /// More bytes than the limit.
    TooLong = "too_long",
    /// A byte that may not stand there.
    IllegalByte = "illegal_byte",
    /// Belongs to a `traceparent` that was refused.
    MissingTraceParent = "missing_traceparent",
    /// The peer is not trusted with it (inbound), or may not learn it (outbound).
    Untrusted = "untrusted",
    /// No rule allows the key.
    NotAllowed = "not_allowed",
    /// The value breaks its key's rule.
    ValueNotAllowed = "value_not_allowed",
    /// A scrubber stopped it.
    PersonalData = "personal_data",
    /// A scrubber changed it.
    Scrubbed = "scrubbed",
    /// A rule in report mode let it pass and would have stopped it.
    ReportOnly = "report_only",
    /// The trace was restarted.
    Restarted = "restarted",
    /// The carrier had no room.
    TooLarge = "too_large",
    /// The carrier can't hold such a name or value.
    Unrepresentable = "unrepresentable",
    /// The message already has a context that stays.
    Preserved = "preserved",
    /// An operation that the adapter does not cover.
    UnsupportedOperation = "unsupported_operation",
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

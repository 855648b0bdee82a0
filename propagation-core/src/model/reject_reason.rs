use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The reason why a field or key was rejected, dropped, changed or truncated. Counters are kept by reason and direction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RejectReason {
            $($(#[$doc])* $name,)*
        }

        impl RejectReason {
            /// All reasons, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the stable name in counters, events and metrics, in `snake_case`.
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
    /// The field does not match its grammar.
    Malformed = "malformed",
    /// The version of the field is not supported.
    UnsupportedVersion = "unsupported_version",
    /// An id consists of zeros.
    ZeroId = "zero_id",
    /// A field that may occur once has several values.
    Duplicate = "duplicate",
    /// A key occurs more than once in a list.
    DuplicateKey = "duplicate_key",
    /// The list has more members than its specification allows.
    TooManyMembers = "too_many_members",
    /// The field has more bytes than its specification allows, on any carrier. Compare [`TooLarge`](Self::TooLarge).
    TooManyBytes = "too_many_bytes",
    /// The field contains a byte that is not allowed there.
    IllegalByte = "illegal_byte",
    /// The `traceparent` that the field belongs to is absent or was rejected.
    MissingTraceParent = "missing_traceparent",
    /// The policy does not trust the peer with the field (inbound), or does not release the field to it (outbound).
    Untrusted = "untrusted",
    /// No rule of the policy allows the key.
    NotAllowed = "not_allowed",
    /// The value breaks the rule for its key.
    ValueNotAllowed = "value_not_allowed",
    /// A scrubber found personal data or a secret, and dropped the key.
    PersonalData = "personal_data",
    /// A scrubber found personal data or a secret, and changed the value.
    Scrubbed = "scrubbed",
    /// A rule in report mode allowed the key, and would block it otherwise.
    ReportOnly = "report_only",
    /// The policy restarted the trace.
    Restarted = "restarted",
    /// The field is legal, but the message has no room left for it: no attribute slot, or no bytes up to the transport's limit.
    TooLarge = "too_large",
    /// The carrier or the format cannot express the name or value.
    Unrepresentable = "unrepresentable",
    /// The message already has a context, which is kept.
    Preserved = "preserved",
    /// The adapter does not cover the operation.
    UnsupportedOperation = "unsupported_operation",
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::error::Error for RejectReason {}

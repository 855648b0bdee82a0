use std::fmt;

use super::{
    B3Format, BaggageFormat, DatadogFormat, Format, GoogleCloudFormat, GrpcTraceBinFormat, JaegerFormat,
    TraceContextFormat, XRayFormat,
};
use crate::EscapedText;

/// An ordered list of formats. Extraction tries them in order, injection writes all of them.
///
/// ```
/// use propagation_core::Formats;
///
/// let formats: Formats = "tracecontext, baggage, b3".parse()?;
/// assert_eq!(formats.names().collect::<Vec<_>>(), ["tracecontext", "baggage", "b3"]);
/// assert!("tracecontext,zipkin".parse::<Formats>().unwrap_err().to_string().contains("zipkin"));
/// # Ok::<(), propagation_core::format::FormatsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats(Vec<Known>);

macro_rules! known {
    ($($variant:ident = $name:literal => $format:expr,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Known {
            $($variant,)*
        }

        impl Known {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn boxed(self) -> Box<dyn Format> {
                match self {
                    $(Self::$variant => Box::new($format),)*
                }
            }
        }
    };
}

known! {
    TraceContext = "tracecontext" => TraceContextFormat,
    Baggage = "baggage" => BaggageFormat,
    B3 = "b3" => B3Format::single(),
    B3Multi = "b3multi" => B3Format::multi(),
    Jaeger = "jaeger" => JaegerFormat,
    XRay = "xray" => XRayFormat::new(),
    Datadog = "datadog" => DatadogFormat,
    GoogleCloud = "gcp" => GoogleCloudFormat,
    GrpcTraceBin = "grpc-trace-bin" => GrpcTraceBinFormat,
}

/// The environment variable that lists the formats.
const VARIABLE: &str = "OTEL_PROPAGATORS";

impl Formats {
    /// Returns W3C Trace Context and Baggage, the default.
    #[must_use]
    pub fn w3c() -> Self {
        Self(vec![Known::TraceContext, Known::Baggage])
    }

    /// Returns an empty list: nothing is extracted or injected.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Parses `OTEL_PROPAGATORS`. Returns [W3C's formats](Self::w3c) if it is unset or empty.
    ///
    /// # Errors
    ///
    /// Returns the errors of [parsing](#impl-FromStr-for-Formats), and an error if the variable is not UTF-8.
    pub fn from_env() -> Result<Self, FormatsError> {
        match std::env::var(VARIABLE) {
            Ok(list) => list.parse(),
            Err(std::env::VarError::NotPresent) => Ok(Self::w3c()),
            Err(std::env::VarError::NotUnicode(_)) => Err(FormatsError::NotUtf8),
        }
    }

    /// Like [`from_env`](Self::from_env), but with a look-up function for the variable.
    ///
    /// # Errors
    ///
    /// Returns the errors of [parsing](#impl-FromStr-for-Formats).
    pub fn from_lookup(look_up: impl FnOnce(&str) -> Option<String>) -> Result<Self, FormatsError> {
        look_up(VARIABLE).map_or_else(|| Ok(Self::w3c()), |list| list.parse())
    }

    /// Returns the names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.0.iter().map(|known| known.name())
    }

    /// Returns the formats, in order, for [`PropagatorBuilder::extract_formats`](crate::PropagatorBuilder::extract_formats) or
    /// `inject_formats` if the two differ.
    #[must_use]
    pub fn into_vec(self) -> Vec<Box<dyn Format>> {
        self.0.into_iter().map(Known::boxed).collect()
    }
}

impl Default for Formats {
    fn default() -> Self {
        Self::w3c()
    }
}

impl std::str::FromStr for Formats {
    type Err = FormatsError;

    /// Parses names that are separated by commas. Ignores case, white space and repeated names. Returns [W3C's formats](Self::w3c) for an
    /// empty list.
    ///
    /// # Errors
    ///
    /// Returns an error for a name other than `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, `datadog`, `gcp`,
    /// `grpc-trace-bin` and `none`, and for `none` beside another name.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let names = || list.split(',').map(str::trim).filter(|name| !name.is_empty());
        if names().next().is_none() {
            return Ok(Self::w3c());
        }
        if names().any(|name| name.eq_ignore_ascii_case("none")) {
            return if names().count() == 1 {
                Ok(Self::none())
            } else {
                Err(FormatsError::NoneBesideOthers { list: list.to_owned() })
            };
        }
        let mut formats = Vec::new();
        for name in names() {
            let found = Known::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(name));
            let known = *found.ok_or_else(|| FormatsError::Unknown { name: name.to_owned() })?;
            if !formats.contains(&known) {
                formats.push(known);
            }
        }
        Ok(Self(formats))
    }
}

/// The error of a list of formats that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatsError {
    /// The list contains a name that is not that of a format.
    Unknown {
        /// The name.
        name: String,
    },
    /// The list contains `none` and other names.
    NoneBesideOthers {
        /// The list.
        list: String,
    },
    /// The variable is not UTF-8.
    NotUtf8,
}

impl fmt::Display for FormatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VARIABLE}: ")?;
        match self {
            Self::Unknown { name } => {
                let known: Vec<_> = Known::ALL.iter().map(|known| known.name()).collect();
                write!(f, "unknown format {:?}; use {}, or none", EscapedText::new(name), known.join(", "))
            }
            Self::NoneBesideOthers { list } => {
                write!(f, "\"none\" excludes other formats, but the list is {:?}", EscapedText::new(list))
            }
            Self::NotUtf8 => f.write_str("the value is not UTF-8"),
        }
    }
}

impl std::error::Error for FormatsError {}

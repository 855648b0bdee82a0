use std::fmt;

use super::{
    B3Format, BaggageFormat, DatadogFormat, Format, GoogleCloudFormat, GrpcTraceBinFormat, JaegerFormat,
    TraceContextFormat, XRayFormat,
};
use crate::EscapedText;

/// An ordered list of formats: extracting tries them in order, injecting writes all of them.
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

/// The variable that names the formats.
const VARIABLE: &str = "OTEL_PROPAGATORS";

impl Formats {
    /// W3C Trace Context and Baggage: what is used where nothing else is said.
    #[must_use]
    pub fn w3c() -> Self {
        Self(vec![Known::TraceContext, Known::Baggage])
    }

    /// No format: nothing is read, nothing is written.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The list in `OTEL_PROPAGATORS`; [W3C's](Self::w3c) where it is not set or empty.
    ///
    /// # Errors
    ///
    /// As for [parsing](#impl-FromStr-for-Formats), and if the variable is not UTF-8: a service must not start with formats that
    /// nobody chose.
    pub fn from_env() -> Result<Self, FormatsError> {
        match std::env::var(VARIABLE) {
            Ok(list) => list.parse(),
            Err(std::env::VarError::NotPresent) => Ok(Self::w3c()),
            Err(std::env::VarError::NotUnicode(_)) => Err(FormatsError(format!("{VARIABLE} is not UTF-8"))),
        }
    }

    /// The same, with a look-up function for the variable.
    ///
    /// # Errors
    ///
    /// As for [parsing](#impl-FromStr-for-Formats).
    pub fn from_lookup(look_up: impl FnOnce(&str) -> Option<String>) -> Result<Self, FormatsError> {
        look_up(VARIABLE).map_or_else(|| Ok(Self::w3c()), |list| list.parse())
    }

    /// The names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.0.iter().map(|known| known.name())
    }

    /// The formats, in order: for [`PropagatorBuilder::extract_formats`](crate::PropagatorBuilder::extract_formats) and
    /// `inject_formats`, where the two are to differ.
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

    /// Reads names separated by commas, in any case; a name that comes twice counts once, an empty list is [W3C's](Self::w3c).
    ///
    /// # Errors
    ///
    /// Refuses a name that is none of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, `datadog`, `gcp`, `grpc-trace-bin`
    /// and `none`, and `none` beside another.
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let names = || list.split(',').map(str::trim).filter(|name| !name.is_empty());
        if names().next().is_none() {
            return Ok(Self::w3c());
        }
        if names().any(|name| name.eq_ignore_ascii_case("none")) {
            return if names().count() == 1 {
                Ok(Self::none())
            } else {
                Err(FormatsError(format!("{VARIABLE}: \"none\" stands beside other formats in {list:?}")))
            };
        }
        let mut formats = Vec::new();
        for name in names() {
            let found = Known::ALL.iter().find(|known| known.name().eq_ignore_ascii_case(name));
            let known = *found.ok_or_else(|| FormatsError::unknown(name))?;
            if !formats.contains(&known) {
                formats.push(known);
            }
        }
        Ok(Self(formats))
    }
}

/// A list of formats can't be read; the text says which name, and which there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatsError(String);

impl FormatsError {
    fn unknown(name: &str) -> Self {
        let known: Vec<_> = Known::ALL.iter().map(|known| known.name()).collect();
        Self(format!(
            "{VARIABLE}: unknown format {:?}; there are {} and none",
            EscapedText::new(name),
            known.join(", ")
        ))
    }
}

impl fmt::Display for FormatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FormatsError {}

//! The variables of one signal.

use super::{
    SetupError,
    variables::{Variables, refused},
};

/// The names of a signal's variables, and its path of OTLP over HTTP.
#[derive(Debug)]
pub(super) struct Signal {
    pub(super) exporter: &'static str,
    pub(super) protocol: &'static str,
    pub(super) endpoint: &'static str,
    pub(super) timeout: &'static str,
    pub(super) headers: &'static str,
    pub(super) insecure: &'static str,
    pub(super) certificate: &'static str,
    pub(super) client_key: &'static str,
    pub(super) client_certificate: &'static str,
    #[cfg_attr(not(feature = "otlp-http"), expect(dead_code, reason = "a path of HTTP"))]
    pub(super) path: &'static str,
}

macro_rules! signal {
    ($name:literal, $path:literal) => {
        Signal {
            exporter: concat!("OTEL_", $name, "_EXPORTER"),
            protocol: concat!("OTEL_EXPORTER_OTLP_", $name, "_PROTOCOL"),
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $name, "_ENDPOINT"),
            timeout: concat!("OTEL_EXPORTER_OTLP_", $name, "_TIMEOUT"),
            headers: concat!("OTEL_EXPORTER_OTLP_", $name, "_HEADERS"),
            insecure: concat!("OTEL_EXPORTER_OTLP_", $name, "_INSECURE"),
            certificate: concat!("OTEL_EXPORTER_OTLP_", $name, "_CERTIFICATE"),
            client_key: concat!("OTEL_EXPORTER_OTLP_", $name, "_CLIENT_KEY"),
            client_certificate: concat!("OTEL_EXPORTER_OTLP_", $name, "_CLIENT_CERTIFICATE"),
            path: $path,
        }
    };
}

pub(super) const TRACES: Signal = signal!("TRACES", "/v1/traces");
#[cfg(feature = "metrics")]
pub(super) const METRICS: Signal = signal!("METRICS", "/v1/metrics");
#[cfg(feature = "logs")]
pub(super) const LOGS: Signal = signal!("LOGS", "/v1/logs");

/// The exporters of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exporters {
    pub(super) otlp: bool,
    pub(super) console: bool,
}

impl Signal {
    /// Reads the list of exporters. Unknown names are reported; `fallback` decides over OTLP if no known name is left.
    pub(super) fn exporters(&self, read: &Variables<'_>, fallback: bool) -> Result<Exporters, SetupError> {
        let name = self.exporter;
        let with_console = name == TRACES.exporter;
        let list = read.lower_case(name).unwrap_or_default();
        let (mut otlp, mut console, mut none) = (false, false, false);
        for exporter in list.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
            match exporter {
                "otlp" => otlp = true,
                "console" if with_console => console = true,
                "none" => none = true,
                _ if with_console => {
                    read.ignore(refused(name, "names an unknown exporter; known are 'otlp', 'console' and 'none'"))?;
                }
                _ => read.ignore(refused(name, "names an unknown exporter; known are 'otlp' and 'none'"))?,
            }
        }
        if none && (otlp || console) {
            read.ignore(refused(name, "names 'none' beside other exporters"))?;
        } else if none {
            return Ok(Exporters { otlp: false, console: false });
        }
        Ok(Exporters { otlp: otlp || (!console && fallback), console })
    }
}

//! Samplers for OpenTelemetry's SDK 0.33.

//! OpenTelemetry for dotflow.

//! Who sends, as backends see it: the resource of the service, and the scope of this library.

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};

/// The name and version under which spans and metrics are sent.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("dotflow")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// The resource of a service: its name and attributes, then what the environment says.
///
/// Later values win, so the environment wins over the code, and `OTEL_SERVICE_NAME` over a
/// `service.name` among `OTEL_RESOURCE_ATTRIBUTES`.
pub(crate) fn resource(
    service_name: String,
    attributes: Vec<KeyValue>,
    from_environment: &[(String, String)],
    name_from_environment: Option<&str>,
) -> Resource {
    let from_environment = from_environment.iter().cloned();
    let from_environment = from_environment.map(|(key, value)| KeyValue::new(key, value));
    let builder = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service_name)
        .with_attributes(attributes)
        .with_attributes(from_environment);
    match name_from_environment {
        Some(name) => builder.with_service_name(name.to_owned()),
        None => builder,
    }
    .build()
}

//! Who sends the telemetry: the resource that is attached to every span, metric and log record.

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector};

use crate::env::settings::Settings;

/// The resource of a service: its name and attributes, then what the environment says.
///
/// Later values win, so the environment wins over the code, and `OTEL_SERVICE_NAME` over a
/// `service.name` among `OTEL_RESOURCE_ATTRIBUTES`.
pub(crate) fn resource(
    service_name: String,
    attributes: Vec<KeyValue>,
    settings: &Settings,
) -> Resource {
    let from_environment = settings.attributes.iter().cloned();
    let from_environment = from_environment.map(|(key, value)| KeyValue::new(key, value));
    let builder = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service_name)
        .with_attributes(attributes)
        .with_attributes(from_environment);
    match &settings.service_name {
        Some(name) => builder.with_service_name(name.clone()),
        None => builder,
    }
    .build()
}

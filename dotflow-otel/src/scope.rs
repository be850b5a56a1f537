//! Who sends, as backends see it: the resource of the service, and the scope of this library.

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::TelemetryResourceDetector,
    trace::{IdGenerator, RandomIdGenerator},
};

/// The name and version under which spans and metrics are sent.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("dotflow")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// The resource of a service: what is known without being told, its name and attributes, then what
/// the environment says.
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
        .with_attributes([
            KeyValue::new("telemetry.distro.name", env!("CARGO_PKG_NAME")),
            KeyValue::new("telemetry.distro.version", env!("CARGO_PKG_VERSION")),
            // Metrics of two processes with the same attributes are otherwise the same series, of
            // which a backend keeps one.
            KeyValue::new("service.instance.id", random_uuid()),
        ])
        .with_service_name(service_name)
        .with_attributes(attributes)
        .with_attributes(from_environment);
    match name_from_environment {
        Some(name) => builder.with_service_name(name.to_owned()),
        None => builder,
    }
    .build()
}

/// A random UUID (version 4), of the same randomness as the ids of traces.
fn random_uuid() -> String {
    let random = u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes());
    let version = random & !(0xf << 76) | 0x4 << 76;
    let variant = version & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{variant:032x}");
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|digits| &hex[digits]);
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uuid_has_its_version_and_is_new_each_time() {
        let uuid = random_uuid();
        let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
        assert_ne!(uuid, random_uuid());
    }
}

//! Limits of one span: how much of what the user's code says is kept.

use opentelemetry_sdk::trace::SpanLimits;

use super::environment::Environment;

/// What the environment says about limits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) span: SpanLimits,
    /// How many characters of a string are kept.
    pub(crate) value_length: Option<usize>,
}

/// Reads the limits; what is not set is as the SDK has it.
pub(super) fn read(env: &Environment<'_>) -> Limits {
    let problem = "must be a whole number";
    let count = |name: &str| env.parse::<u32>(name, problem);
    let mut span = SpanLimits::default();
    let attributes = count("OTEL_ATTRIBUTE_COUNT_LIMIT");
    let of_span = count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").or(attributes);
    let of_event = count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT").or(attributes);
    let of_link = count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT").or(attributes);
    for (limit, value) in [
        (&mut span.max_attributes_per_span, of_span),
        (&mut span.max_attributes_per_event, of_event),
        (&mut span.max_attributes_per_link, of_link),
        (
            &mut span.max_events_per_span,
            count("OTEL_SPAN_EVENT_COUNT_LIMIT"),
        ),
        (
            &mut span.max_links_per_span,
            count("OTEL_SPAN_LINK_COUNT_LIMIT"),
        ),
    ] {
        if let Some(value) = value {
            *limit = value;
        }
    }
    let length = |name: &str| env.parse::<usize>(name, problem);
    let general = length("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    Limits {
        span,
        value_length: length("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").or(general),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::environment::tests::with, *};

    #[test]
    fn the_limit_of_spans_wins_over_the_general_one() {
        let (limits, problems) = with(
            &[
                ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
                ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"),
                ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"),
                ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
            ],
            read,
        );
        assert_eq!(limits.span.max_attributes_per_span, 7);
        assert_eq!(limits.span.max_attributes_per_event, 5);
        assert_eq!(limits.span.max_events_per_span, 128);
        assert_eq!(limits.value_length, Some(10));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("OTEL_SPAN_EVENT_COUNT_LIMIT"));
    }
}

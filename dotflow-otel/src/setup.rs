//! From what is wanted to a global subscriber or a layer: `install` and `build`.

use opentelemetry::global;
use tracing::Subscriber;
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt, registry::LookupSpan};

use self::assembly::Assembly;
pub use self::builder::OpenTelemetry;
use crate::{
    config::{Config, Destinations},
    dispatch::{UserDispatch, tell_of},
    error::Error,
    guard::Guard,
    propagation,
    scope::resource,
    spans::Shape,
};

mod builder;
mod assembly;

impl OpenTelemetry {
    /// Starts telemetry, and makes it the global `tracing` subscriber of this program and W3C the
    /// global propagator.
    ///
    /// The first delivery that fails, and the first one that works again, are lines on standard
    /// error, in the words of the server.
    ///
    /// With `OTEL_SDK_DISABLED=true` no subscriber is installed, so that spans cost nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), dotflow_otel::Error> {
    /// let telemetry = dotflow_otel::OpenTelemetry::new("my-pipeline").install()?;
    /// tracing::info_span!("work").in_scope(|| assert_eq!(telemetry.open(), 1));
    /// # telemetry.shutdown()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - There is a global subscriber already: [`Error::is_subscriber_installed`].
    /// - The code asks for something that can't be done: [`Error::is_configuration`].
    /// - There is no thread to be had: [`Error::is_start`].
    /// - With [`strict`](Self::strict) only, a variable can't be obeyed: [`Error::is_environment`].
    pub fn install(self) -> Result<Guard, Error> {
        let config = Config::of_process();
        let (propagators, is_disabled) = (config.propagators, config.disabled);
        let user = UserDispatch::default();
        let (layer, guard) = self.start::<Registry>(config, &user)?;
        if !is_disabled {
            tracing::subscriber::set_global_default(Registry::default().with(layer))
                .map_err(|_| Error::subscriber_installed())?;
        }
        user.tell_on_standard_error();
        global::set_text_map_propagator(propagators.propagator());
        Ok(guard)
    }

    /// Starts telemetry and returns a layer to add to a subscriber of your own; touches nothing
    /// global.
    ///
    /// The first delivery that fails, and the first one that works again, are events of the target
    /// `dotflow_otel…`, which your other layers see as they see everything else.
    ///
    /// ```
    /// use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (layer, telemetry) = dotflow_otel::OpenTelemetry::new("my-pipeline").build()?;
    /// tracing_subscriber::registry().with(layer).try_init()?;
    /// tracing::info_span!("work").in_scope(|| assert_eq!(telemetry.open(), 1));
    /// # telemetry.shutdown()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - The OTLP endpoint is wrong, a feature is missing, or there is nowhere to send to:
    ///   [`Error::is_configuration`].
    /// - There is no thread to be had: [`Error::is_start`].
    /// - With [`strict`](Self::strict) only, a variable can't be obeyed: [`Error::is_environment`].
    pub fn build<S>(self) -> Result<(impl Layer<S> + Send + Sync + use<S>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        self.start(Config::of_process(), &UserDispatch::default())
    }

    fn start<S>(
        self,
        mut config: Config,
        user: &UserDispatch,
    ) -> Result<(impl Layer<S> + Send + Sync + use<S>, Guard), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let problems = std::mem::take(&mut config.problems);
        if self.strict {
            problems.into_iter().next().map_or(Ok(()), Err)?;
        } else {
            tell_of(&problems);
        }
        propagation::choose(config.propagators);
        let spans = Destinations {
            console: self.screen.is_some(),
            otlp: self.otlp.is_some(),
        };
        let along = |from_environment: Option<Destinations>, is_wanted, method| {
            from_environment.map_or_else(|| along_with(spans, is_wanted, method), Ok)
        };
        let metrics = along(config.metrics.destinations, self.metrics, "with_metrics()")?;
        let logs = along(config.logs.destinations, self.logs, "with_logs()")?;
        // The environment has no word for exporters that only the code knows. They stay, unless
        // spans are to go nowhere.
        let are_nowhere = config.traces.destinations == Some(Destinations::default());
        let exporters = if are_nowhere {
            Vec::new()
        } else {
            self.exporters
        };
        let spans = config.traces.destinations.unwrap_or(spans);
        let is_disabled = config.disabled;
        let value_length = config.limits.value_length;
        let resource = resource(
            self.service_name,
            self.attributes,
            &config.attributes,
            config.service_name.as_deref(),
        );
        let otlp = self.otlp.unwrap_or_default();
        let mut assembly = Assembly::new(config, resource, otlp, self.screen, user, self.strict);
        if !is_disabled {
            let shape = Shape {
                value_length,
                with_events: self.events_on_spans || !logs.otlp,
                names: self.span_names,
            };
            assembly.traces(spans, exporters, self.sampler, shape)?;
            assembly.metrics(metrics)?;
            assembly.logs(logs)?;
        }
        Ok(assembly.finish(self.targets, self.root_kind, self.shutdown_timeout))
    }
}

/// Where a signal goes that the code wants along with spans: over OTLP, or else to the console.
fn along_with(
    spans: Destinations,
    is_wanted: bool,
    method: &'static str,
) -> Result<Destinations, Error> {
    if !is_wanted {
        return Ok(Destinations::default());
    }
    if spans == Destinations::default() {
        return Err(Error::nowhere(method));
    }
    Ok(Destinations {
        otlp: spans.otlp,
        console: spans.console && !spans.otlp,
    })
}

//! Proxies: which one leads to a collector, and how connections are made through it.
//!
//! What travels in TLS or over gRPC goes through a tunnel (`CONNECT`); plain HTTP is handed to the
//! proxy request by request. That is what proxies expect of each.

use std::{
    net::IpAddr,
    pin::Pin,
    task::{self, Poll},
};

use http::{Uri, uri::Scheme};
use hyper_util::{
    client::{
        legacy::connect::{self, Connected, HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower_service::Service;

use super::options::{Connection, Protocol, Proxies, Route, Variable};
use crate::error::Error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which proxy leads to a collector; `None` where none does.
///
/// # Errors
///
/// The variable that decides names a proxy that can't be used.
pub(crate) fn route(connection: &Connection) -> Result<Option<Route>, Error> {
    way(&connection.url, connection.protocol, &connection.proxies)
}

fn way(url: &str, protocol: Protocol, proxies: &Proxies) -> Result<Option<Route>, Error> {
    let Ok(url) = url.parse::<Uri>() else {
        return Ok(None);
    };
    let is_secure = url.scheme() == Some(&Scheme::HTTPS);
    let decisive = if is_secure {
        &proxies.https
    } else {
        &proxies.http
    };
    let Some(Variable { name, value }) = decisive.as_ref().or(proxies.all.as_ref()) else {
        return Ok(None);
    };
    let without = proxies.without.as_deref().unwrap_or_default();
    let through = |proxy: &str, without: &str| {
        let matcher = Matcher::builder().all(proxy).no(without).build();
        matcher.intercept(&url)
    };
    if is_this_machine(&url) || through("http://any", without).is_none() {
        return Ok(None);
    }
    let unusable = || {
        // What comes before is a name and a password.
        let shown = value.rsplit('@').next().unwrap_or_default();
        Error::environment(name, shown, "must be `http://host:port`: it is not used")
    };
    let proxy = through(value, "").ok_or_else(unusable)?;
    if proxy.uri().scheme() != Some(&Scheme::HTTP) {
        return Err(unusable());
    }
    Ok(Some(Route {
        proxy: proxy.uri().clone(),
        auth: proxy.basic_auth().cloned(),
        is_tunnel: is_secure || protocol == Protocol::Grpc,
    }))
}

/// Whether a URL leads nowhere else, where no proxy is asked, whatever the variables say.
fn is_this_machine(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Makes connections, through a proxy where there is one.
#[derive(Clone)]
pub(super) struct Dial {
    connector: HttpConnector,
    route: Option<Route>,
}

impl Dial {
    pub(super) fn new(route: Option<Route>) -> Self {
        let mut connector = HttpConnector::new();
        // The layer above it looks at the scheme.
        connector.enforce_http(false);
        connector.set_nodelay(true);
        Self { connector, route }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Line>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Line>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let line = |stream: TokioIo<TcpStream>, is_handed_over| {
            let stream = stream.into_inner();
            Ok(TokioIo::new(Line {
                stream,
                is_handed_over,
            }))
        };
        match &self.route {
            Some(route) if route.is_tunnel => {
                let tunnel = Tunnel::new(route.proxy.clone(), self.connector.clone());
                let mut tunnel = match route.auth.clone() {
                    Some(auth) => tunnel.with_auth(auth),
                    None => tunnel,
                };
                let stream = tunnel.call(with_port(to));
                Box::pin(async move { line(stream.await?, false) })
            }
            Some(route) => {
                let stream = self.connector.call(route.proxy.clone());
                Box::pin(async move { line(stream.await?, true) })
            }
            None => {
                let stream = self.connector.call(to);
                Box::pin(async move { line(stream.await?, false) })
            }
        }
    }
}

/// A URL that names its port: tunnels take 443 for the default of every scheme.
fn with_port(url: Uri) -> Uri {
    if url.port().is_some() || url.scheme() != Some(&Scheme::HTTP) {
        return url;
    }
    let mut parts = url.clone().into_parts();
    let host = url.host().unwrap_or_default();
    parts.authority = format!("{host}:80").parse().ok();
    Uri::from_parts(parts).unwrap_or(url)
}

/// A connection.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    /// Whether it ends at a proxy, which has to be told where requests go.
    is_handed_over: bool,
}

impl connect::Connection for Line {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_handed_over)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(all: &str, without: &str) -> Proxies {
        Proxies {
            all: Some(Variable {
                name: "ALL_PROXY",
                value: all.to_owned(),
            }),
            without: Some(without.to_owned()),
            ..Proxies::default()
        }
    }

    fn route_to(url: &str, proxies: &Proxies) -> Result<Option<String>, String> {
        let route = way(url, Protocol::Grpc, proxies);
        let shown = route.map(|route| Some(route?.proxy.to_string()));
        shown.map_err(|error| error.to_string())
    }

    #[test]
    fn the_proxy_of_the_scheme_wins_and_this_machine_has_none() {
        let proxies = Proxies {
            https: Some(Variable {
                name: "HTTPS_PROXY",
                value: "secure:3128".to_owned(),
            }),
            ..proxies("http://any:3128", "inside.example, 10.0.0.0/8")
        };
        let through = |url| route_to(url, &proxies).unwrap();
        let any = Some("http://any:3128/".to_owned());
        assert_eq!(through("http://collector:4317"), any);
        let secure = Some("http://secure:3128/".to_owned());
        assert_eq!(through("https://api.example"), secure);
        for direct in [
            "http://localhost:4317",
            "http://127.0.0.1:4317",
            "http://[::1]:4317",
            "https://collector.inside.example",
            "http://10.1.2.3:4317",
        ] {
            assert_eq!(through(direct), None, "{direct}");
        }
    }

    #[test]
    fn a_proxy_that_can_not_be_used_is_told_of_without_its_password() {
        for value in [
            "socks5://me:secret@proxy:1080",
            "https://me:secret@proxy",
            "://",
        ] {
            let error = route_to("http://collector:4317", &proxies(value, "")).unwrap_err();
            assert!(error.contains("ALL_PROXY"), "{error}");
            assert!(!error.contains("secret"), "{error}");
            // It is of no interest to a collector that needs none.
            let inside = route_to("http://collector:4317", &proxies(value, "collector"));
            assert_eq!(inside, Ok(None));
        }
    }

    #[test]
    fn a_tunnel_is_told_the_port() {
        let port = |url: &'static str| with_port(Uri::from_static(url)).port_u16();
        assert_eq!(port("http://collector"), Some(80));
        assert_eq!(port("http://collector:4317/x"), Some(4317));
        assert_eq!(port("https://collector"), None);
    }
}

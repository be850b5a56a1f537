//! Trace context into the process and out of it.

use std::collections::HashMap;

use dotflow::{DotFlow, action, task};
use dotflow_otel::{OpenTelemetry, Otlp, opentelemetry::trace::FutureExt};
use dotflow_tests::{collector::Collector, shop};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::under;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    match bytes.len() {
        8 => format!("{:016x}", u64::from_be_bytes(bytes.try_into().unwrap())),
        _ => format!("{:032x}", u128::from_be_bytes(bytes.try_into().unwrap())),
    }
}

/// Calls a service over a real connection, as an action does.
#[action]
async fn call(address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut headers = HashMap::new();
    dotflow_otel::inject(&mut headers);
    let mut stream = TcpStream::connect(address).await?;
    let traceparent = &headers["traceparent"];
    let request = format!("GET / HTTP/1.0\r\ntraceparent: {traceparent}\r\n\r\n");
    stream.write_all(request.as_bytes()).await
}

#[test]
fn an_outgoing_call_carries_the_tasks_span() {
    let collector = Collector::start();
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let (request, guard) = under(telemetry, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let workflow = DotFlow::new("calls", task(call(service.local_addr().unwrap())));
            let answer = async {
                let mut request = String::new();
                let (mut stream, _) = service.accept().await.unwrap();
                stream.read_to_string(&mut request).await.unwrap();
                request
            };
            let (run, request) = tokio::join!(workflow.start(), answer);
            run.unwrap().ok().unwrap();
            request
        })
    });
    guard.shutdown().unwrap();
    let spans = collector.spans();
    let task = spans.iter().find(|span| span.name == "task:0").unwrap();
    let (trace, span) = (hex(&task.trace_id), hex(&task.span_id));
    let expected = format!("traceparent: 00-{trace}-{span}-01\r\n");
    assert!(request.contains(&expected), "{request}");
}

#[test]
fn a_workflow_under_an_extracted_parent_belongs_to_its_trace() {
    let collector = Collector::start();
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let headers = HashMap::from([("traceparent".to_owned(), format!("00-{TRACE}-{SPAN}-01"))]);
    let ((), guard) = under(telemetry, || {
        let context = dotflow_otel::extract(&headers);
        let workflow = shop::sales();
        let run = workflow.start().with_context(context);
        drop(dotflow_tests::paused(run).unwrap());
    });
    guard.shutdown().unwrap();
    let spans = collector.spans();
    assert_eq!(spans.len(), 4);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let workflow = spans.iter().find(|span| span.name == "workflow:sales");
    assert_eq!(hex(&workflow.unwrap().parent_span_id), SPAN);
}

#[test]
fn a_parent_that_is_not_sampled_is_respected() {
    let collector = Collector::start();
    let telemetry =
        OpenTelemetry::new("shop").with_otlp_to(Otlp::new().endpoint(collector.endpoint()));
    let headers = HashMap::from([("traceparent".to_owned(), format!("00-{TRACE}-{SPAN}-00"))]);
    let ((), guard) = under(telemetry, || {
        let context = dotflow_otel::extract(&headers);
        let workflow = shop::sales();
        drop(dotflow_tests::paused(workflow.start().with_context(context)).unwrap());
    });
    guard.shutdown().unwrap();
    assert_eq!(collector.spans().len(), 0);
    assert_eq!((guard.exported(), guard.dropped()), (0, 0));
}

#[test]
fn without_telemetry_nothing_is_injected() {
    let mut headers = HashMap::new();
    dotflow_otel::inject(&mut headers);
    assert_eq!(headers, HashMap::new());
}

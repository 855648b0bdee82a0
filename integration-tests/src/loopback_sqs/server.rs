//! HTTP in, HTTP out: one operation per request, named by the header `X-Amz-Target`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::refusal::Refusal;
use super::state::Shared;
use super::{queues, receive, send, settle};

/// The most bytes of a request. Larger than any legal one, even with every character escaped, so that a message over
/// the service's limit gets the service's refusal.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

const CONTENT: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// Operations of the service that this endpoint knows of and doesn't do.
const NOT_DONE: &[&str] = &[
    "AddPermission",
    "CancelMessageMoveTask",
    "ListDeadLetterSourceQueues",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "RemovePermission",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// Serves until `closing` fires or its sender is dropped.
pub(super) fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) -> impl Future<Output = io::Result<()>> + Send {
    // SDKs post to the endpoint, or to the queue's URL.
    let router = Router::new().fallback(handle).with_state(shared);
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = closing.wait_for(|closing| *closing).await;
    });
    async move { serving.await }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answer = dispatch(&shared, request).await;
    respond(&shared, answer)
}

async fn dispatch(shared: &Shared, request: Request) -> Result<Value, Refusal> {
    let (parts, body) = request.into_parts();
    let operation = operation(&parts.headers)?;
    let body =
        to_bytes(body, MAX_REQUEST).await.map_err(|_| Refusal::malformed("it breaks off or is larger than 16 MiB"))?;
    let body = &body[..];
    let trace_header =
        parts.headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    match operation {
        "CreateQueue" => queues::create(shared, parse(body)?),
        "GetQueueUrl" => queues::url(shared, parse(body)?),
        "ListQueues" => queues::list(shared, parse(body)?),
        "DeleteQueue" => queues::delete(shared, &parse(body)?),
        "PurgeQueue" => queues::purge(shared, &parse(body)?),
        "GetQueueAttributes" => queues::attributes(shared, parse(body)?),
        "SetQueueAttributes" => queues::set_attributes(shared, parse(body)?),
        "SendMessage" => send::one(shared, parse(body)?, trace_header),
        "SendMessageBatch" => send::batch(shared, parse(body)?, trace_header),
        "ReceiveMessage" => receive::receive(shared, parse(body)?).await,
        "DeleteMessage" => settle::delete(shared, &parse(body)?),
        "DeleteMessageBatch" => settle::delete_batch(shared, parse(body)?),
        "ChangeMessageVisibility" => settle::hide(shared, &parse(body)?),
        "ChangeMessageVisibilityBatch" => settle::hide_batch(shared, parse(body)?),
        other if NOT_DONE.contains(&other) => {
            Err(Refusal::unsupported(format!("This endpoint is a test double and does not do {other}.")))
        }
        _ => Err(Refusal::unknown_operation("Amazon SQS has no such operation.")),
    }
}

fn operation(headers: &HeaderMap) -> Result<&str, Refusal> {
    headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.strip_prefix("AmazonSQS."))
        .ok_or_else(|| {
            Refusal::unknown_operation(
                "The header X-Amz-Target names no operation of AmazonSQS. This endpoint speaks the JSON protocol only.",
            )
        })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::malformed(&error.to_string()))
}

fn respond(shared: &Shared, answer: Result<Value, Refusal>) -> Response {
    let (status, body, query_error) = match answer {
        Ok(body) => (StatusCode::OK, body, None),
        Err(refusal) => (
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST),
            refusal.body(),
            HeaderValue::from_str(&format!("{};Sender", refusal.code)).ok(),
        ),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, CONTENT);
    if let Ok(id) = HeaderValue::from_str(&shared.id()) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(query_error) = query_error {
        headers.insert(QUERY_ERROR, query_error);
    }
    response
}

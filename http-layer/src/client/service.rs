use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{CallerContext, ClientClassifier, Options, RequestOptions, ResendCount, Target};
use crate::{
    attributes,
    exchange::{ResponseBody, ResponseFuture, ServerHop},
};

/// The service of [`ClientPropagationLayer`](crate::ClientPropagationLayer).
#[derive(Clone, Debug)]
pub struct ClientPropagation<S> {
    pub(super) inner: S,
    pub(super) options: Arc<Options>,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientPropagation<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body<Error: 'static>,
{
    type Response = Response<ResponseBody<ResBody, ClientClassifier>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ClientClassifier>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        ServerHop::remove(&mut head.extensions);
        let caller = CallerContext::take(&mut head.extensions);
        let call = || {
            let target = Target::new(&head.uri, &head.headers);
            let resend = head.extensions.get().map_or(0, ResendCount::next_attempt);
            let request = head.extensions.get().cloned().unwrap_or_else(RequestOptions::new);
            let hop = self.options.start(&head.method, &target, &head.headers, resend, &request);
            let peer = request.peer.as_deref().unwrap_or_else(|| attributes::host_and_port(&target.authority).0);
            self.options.inject(&hop, peer, &mut head.headers, &request, true);
            let bodiless = head.method == Method::HEAD;
            let classifier = ClientClassifier::new(&self.options, &target.authority);
            let request = Request::from_parts(head, body);
            let inner = hop.in_scope(|| self.inner.call(request));
            ResponseFuture::new(inner, hop, classifier, bodiless)
        };
        match caller {
            Some(caller) => caller.in_scope(call),
            None => call(),
        }
    }
}

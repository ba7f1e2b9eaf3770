//! A service whose refusals always say something: the generated code answers a method it does
//! not know without a word.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// The header of a refusal's message.
const MESSAGE: &str = "grpc-message";

/// Wraps a generated service.
#[derive(Debug, Clone)]
pub struct Described<S>(pub S);

impl<S: NamedService> NamedService for Described<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Described<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map(|response| response.map(describe)).boxed()
    }
}

/// The answer to a call of a service that nobody has heard of.
pub async fn unknown_service() -> Response<Body> {
    Status::unimplemented("this server has no such service").into_http()
}

fn describe(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let unimplemented = HeaderValue::from(Code::Unimplemented as i32);
    if headers.get(Status::GRPC_STATUS) == Some(&unimplemented) && !headers.contains_key(MESSAGE) {
        let message = HeaderValue::from_static("this service has no such method");
        headers.insert(MESSAGE, message);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_refusal_gets_a_message_and_others_keep_theirs() {
        let silent = describe(Status::new(Code::Unimplemented, "").into_http());
        assert_eq!(silent.headers()[MESSAGE], "this service has no such method");
        let spoken = describe(Status::unimplemented("no").into_http());
        assert_eq!(spoken.headers()[MESSAGE], "no");
        let other = describe(Status::not_found("").into_http());
        assert!(!other.headers().contains_key(MESSAGE));
    }
}

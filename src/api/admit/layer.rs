//! The layer around the services that admits their calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::Ask;
use crate::api::{
    admit::{
        Admission, Hurried, Lane, Method, answer, class_of, method, request, streams::StreamPlace,
    },
    call::credential,
    deadline::deadline,
    status,
};
use crate::error::Failure;
use crate::memory::Memory;
use crate::types::TenantId;

/// Admits calls of the contract; health and reflection pass.
#[derive(Clone)]
pub struct AdmissionLayer {
    admission: Arc<Admission>,
    memory: Arc<Memory>,
}

impl AdmissionLayer {
    /// The layer over what admits; `memory` knows whose a credential is.
    pub fn new(admission: Arc<Admission>, memory: Arc<Memory>) -> Self {
        Self { admission, memory }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { layer: self.clone(), inner }
    }
}

/// The service of [`AdmissionLayer`].
#[derive(Clone)]
pub struct Admitted<S> {
    layer: AdmissionLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Admitted<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some((kind, method)) = method::of_path(request.uri().path()) else {
            return Box::pin(self.inner.call(request));
        };
        // What was asked whether it is ready is what is called.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            match layer.admitted(kind, method, request, inner).await {
                Ok(answer) => answer,
                Err(failure) => Ok(status::of(&failure).into_http()),
            }
        })
    }
}

impl AdmissionLayer {
    /// Whose call it is, when that is known by its headers to be one that may go on.
    async fn tenant(&self, method: &Method, headers: &HeaderMap) -> Result<TenantId, Failure> {
        let tenant = self.memory.authenticate(credential(headers)?).await?.tenant;
        self.admission.within_rate(&tenant)?;
        if method.lane == Lane::Reads {
            self.admission.has_answer_room(&tenant)?;
        }
        Ok(tenant)
    }

    /// Calls the service when the call is admitted. The handler finds out again who calls: a key
    /// that was revoked while its call waited is refused.
    async fn admitted<S>(
        &self,
        kind: usize,
        method: &Method,
        request: Request<Body>,
        mut inner: S,
    ) -> Result<Result<Response<Body>, S::Error>, Failure>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let admission = &self.admission;
        let (mut parts, body) = request.into_parts();
        let tenant = match self.tenant(method, &parts.headers).await {
            Ok(tenant) => tenant,
            Err(failure) => {
                request::drain(body).await;
                return Err(failure);
            }
        };
        if method.streams {
            let place = admission.stream(&tenant)?;
            let answer = inner.call(Request::from_parts(parts, body)).await;
            return Ok(answer.map(|answer| answer.map(|body| held(body, place))));
        }
        let deadline = deadline(&parts.headers);
        let deadline =
            deadline.map(|end| end.saturating_duration_since(admission.began.into_std()));
        let request::Arrived { bytes, room } = request::arrive(admission, &tenant, body).await?;
        let class = class_of(method, bytes.len());
        let ask = Ask { tenant: tenant.clone(), class, kind, deadline };
        let permit = admission.enter(method.lane, ask).await?;
        if method.lane == Lane::Reads {
            // A read may compute from here to its answer without a pause. Who is ready meanwhile
            // arrives first, so that the gate knows how many there are.
            tokio::task::yield_now().await;
        }
        if permit.waited {
            parts.extensions.insert(Hurried);
        }
        let answer = inner.call(Request::from_parts(parts, Body::new(Full::new(bytes)))).await;
        let Ok(answer) = answer else { return Ok(answer) };
        let always = method.lane == Lane::Writes;
        let answer = answer::counted(admission, &tenant, answer, always).await;
        drop((permit, room));
        answer.map(Ok)
    }
}

/// A body with what is free again when it has been read, or dropped.
fn held(body: Body, place: StreamPlace) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _held = &place;
        frame
    }))
}

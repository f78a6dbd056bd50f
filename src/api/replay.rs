//! The trailer `idempotent-replayed: true`. tonic has no trailers for unary answers: a handler
//! marks its answer with a header, and the mark is moved behind the message.

use http::{HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::metadata::{MetadataMap, MetadataValue};

const NAME: &str = "idempotent-replayed";

/// Marks an answer as a repeat.
pub fn mark(metadata: &mut MetadataMap) {
    metadata.insert(NAME, MetadataValue::from_static("true"));
}

/// Moves the mark of a repeat, if there is one, from the headers to the trailers.
pub fn move_mark(mut response: Response<Body>) -> Response<Body> {
    let name = HeaderName::from_static(NAME);
    if response.headers_mut().remove(&name).is_none() {
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                trailers.insert(name.clone(), HeaderValue::from_static("true"));
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}

//! One request to the server that embeds: a time-out, a limit on the answer, and what its status
//! means. Neither the key nor a text is in what is said of a failure.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::embed::{EmbedError, http::HttpOptions, http::wire};
use crate::error::chain;
use crate::telemetry::EmbedOutcome;

/// How long it may take to connect.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses: shorter than most servers keep theirs.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// What a number of an answer takes at the most, in bytes, and what stands around a vector.
const NUMBER_BYTES_MAX: usize = 32;
const AROUND_BYTES_MAX: usize = 1 << 10;
/// How many numbers a vector may have whose length is not known.
const DIMENSIONS_MAX: usize = 1 << 16;
/// The most of the answer of a request that failed that is read, for its code.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// The most that is said of why there is no connection.
const CAUSES_CHARS_MAX: usize = 200;
const AGENT: &str = concat!("keepsake/", env!("CARGO_PKG_VERSION"));

/// Why a request came to nothing.
#[derive(Debug)]
pub(super) struct Refused {
    pub outcome: EmbedOutcome,
    pub why: String,
    /// How long the server asks to wait.
    pub wait: Option<Duration>,
    /// Whether one of the texts may be what it does not take.
    pub by_text: bool,
}

impl Refused {
    pub(super) fn new(outcome: EmbedOutcome, why: impl Into<String>) -> Self {
        Self { outcome, why: why.into(), wait: None, by_text: false }
    }

    /// Whether the same request may go well a little later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.outcome, EmbedOutcome::Limited | EmbedOutcome::Failed)
    }
}

/// A server.
pub(super) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
    key: Option<HeaderValue>,
    model: String,
    /// What vectors must have; 0: what the first one has.
    dimensions: usize,
    /// Whether the server is told so.
    sends: bool,
}

fn unusable(why: impl ToString) -> EmbedError {
    EmbedError::Model { why: why.to_string() }
}

/// TLS with the certificates of the machine; without any for a server that is spoken to in plain
/// text.
fn tls(uri: &Uri) -> Result<ClientConfig, EmbedError> {
    let mut roots = RootCertStore::empty();
    if uri.scheme_str() == Some("https") {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = "this machine has no root certificates: install `ca-certificates`, or name a \
                       file of them in SSL_CERT_FILE";
            return Err(unusable(why));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(unusable)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Connection {
    /// Makes requests as the options say; nothing is sent yet.
    ///
    /// # Errors
    /// [`EmbedError::Model`] for a URL or a key that is none, and for a machine without root
    /// certificates.
    pub(super) fn new(options: &HttpOptions) -> Result<Self, EmbedError> {
        let uri = format!("{}/embeddings", options.url.trim_end_matches('/'));
        let uri = uri.parse::<Uri>().map_err(|_| unusable("the URL is none"))?;
        let key = options.api_key.as_ref().map(|key| {
            let value = HeaderValue::from_str(&format!("Bearer {key}"));
            let mut value = value.map_err(|_| unusable("the API key is none"))?;
            value.set_sensitive(true);
            Ok::<_, EmbedError>(value)
        });
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(&uri)?);
        let https = https.https_or_http().enable_http1().wrap_connector(tcp);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_MAX);
        Ok(Self {
            client: client.build(https),
            uri,
            key: key.transpose()?,
            model: options.model.clone(),
            dimensions: options.dimensions,
            sends: options.send_dimensions,
        })
    }

    /// Asks for the vectors of texts once, `within` a time.
    pub(super) async fn ask(
        &self,
        texts: &[String],
        within: Duration,
    ) -> Result<wire::Answer, Refused> {
        let asking = self.ask_at_all(texts);
        tokio::time::timeout(within, asking).await.unwrap_or_else(|_| {
            let why = format!("no answer within {} ms", within.as_millis());
            Err(Refused::new(EmbedOutcome::Failed, why))
        })
    }

    async fn ask_at_all(&self, texts: &[String]) -> Result<wire::Answer, Refused> {
        let dimensions = (self.sends && self.dimensions > 0).then_some(self.dimensions);
        let body = wire::ask(&self.model, texts, dimensions);
        let mut request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT);
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let request = request.body(Full::from(body)).expect("its parts are checked");
        let answer = self.client.request(request).await.map_err(|error| {
            // Before there is a connection, nothing was said that nobody may see.
            Refused::new(
                EmbedOutcome::Failed,
                match error.is_connect() {
                    true => format!("cannot connect: {}", causes(&error)),
                    false => "the connection broke".to_owned(),
                },
            )
        })?;
        let (head, body) = answer.into_parts();
        let is_good = head.status.is_success();
        let numbers = if self.dimensions > 0 { self.dimensions } else { DIMENSIONS_MAX };
        let most = match is_good {
            true => (texts.len() + 1) * (numbers * NUMBER_BYTES_MAX + AROUND_BYTES_MAX),
            false => REFUSAL_BYTES_MAX,
        };
        let body = match Limited::new(body, most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() && is_good => {
                let why = format!("its answer is larger than {most} bytes");
                return Err(Refused::new(EmbedOutcome::Invalid, why));
            }
            Err(_) if is_good => {
                return Err(Refused::new(EmbedOutcome::Failed, "its answer broke off"));
            }
            Err(_) => Bytes::new(),
        };
        if !is_good {
            return Err(by_status(head.status, &head.headers, &body));
        }
        wire::read(&body, texts.len(), self.dimensions)
            .map_err(|why| Refused::new(EmbedOutcome::Invalid, why))
    }
}

/// The causes of an error, outermost first.
fn causes(error: &dyn Error) -> String {
    let text = error.source().map_or_else(|| "nobody says why".to_owned(), chain);
    text.chars().take(CAUSES_CHARS_MAX).collect()
}

/// What an answer other than 2xx says.
fn by_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refused {
    let code = wire::code(body);
    let said = code.as_deref().map_or(String::new(), |code| format!(" ({code})"));
    let why = format!("it answers {}{said}", status.as_u16());
    let outcome = match status {
        // An account without money is not waited for.
        StatusCode::TOO_MANY_REQUESTS if code.as_deref() == Some("insufficient_quota") => {
            EmbedOutcome::Refused
        }
        StatusCode::TOO_MANY_REQUESTS => EmbedOutcome::Limited,
        StatusCode::REQUEST_TIMEOUT => EmbedOutcome::Failed,
        status if status.is_server_error() => EmbedOutcome::Failed,
        _ => EmbedOutcome::Refused,
    };
    let by_text = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY
    );
    Refused { wait: wait(headers), by_text, ..Refused::new(outcome, why) }
}

/// How long the server asks to wait: in milliseconds, in seconds, or until a date.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1_000.0).ok();
    }
    let after = text(RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = after.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(after).ok()?.timestamp();
    Duration::try_from(date.duration_since(jiff::Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, StatusCode};

    use super::{EmbedOutcome, by_status, wait};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pairs =
            pairs.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_wait_is_told_in_seconds_in_milliseconds_or_by_a_date() {
        let waits = |pairs: &[(&'static str, &str)]| wait(&headers(pairs));
        assert_eq!(waits(&[]), None);
        assert_eq!(waits(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        let both = [("retry-after", "7"), ("retry-after-ms", "20")];
        assert_eq!(waits(&both), Some(Duration::from_millis(20)));
        assert_eq!(waits(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), None, "it is past");
        let far = waits(&[("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")]).unwrap();
        assert!(far > Duration::from_secs(86_400));
        assert_eq!(waits(&[("retry-after", "soon")]), None);
        assert_eq!(waits(&[("retry-after-ms", "-1")]), None);
    }

    #[test]
    fn a_status_says_whether_to_come_again_and_whether_a_text_is_to_blame() {
        let check = |status: u16, body: &str, expected: (EmbedOutcome, bool)| {
            let status = StatusCode::from_u16(status).unwrap();
            let refused = by_status(status, &HeaderMap::new(), body.as_bytes());
            assert_eq!((refused.outcome, refused.by_text), expected, "{status} {body}");
        };
        check(429, "", (EmbedOutcome::Limited, false));
        let poor = r#"{"error":{"code":"insufficient_quota"}}"#;
        check(429, poor, (EmbedOutcome::Refused, false));
        check(500, "", (EmbedOutcome::Failed, false));
        check(503, "", (EmbedOutcome::Failed, false));
        check(408, "", (EmbedOutcome::Failed, false));
        check(400, "", (EmbedOutcome::Refused, true));
        check(413, "", (EmbedOutcome::Refused, true));
        check(401, "", (EmbedOutcome::Refused, false));
        check(404, "", (EmbedOutcome::Refused, false));
        check(307, "", (EmbedOutcome::Refused, false));
    }
}

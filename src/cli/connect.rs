//! From flags, environment and a settings file to a connection with a server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::cli::{ClientArgs, Error};
use crate::proto::{
    v1::document_service_client::DocumentServiceClient,
    v1::memory_service_client::MemoryServiceClient, v1::tenant_service_client::TenantServiceClient,
};

/// Where a server listens when nobody says otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7777";

/// The file in which a server that was started without settings leaves its development key.
const DEV_KEY: &str = "keepsake-data/dev.key";

/// The largest answer that is read, in bytes: a page of turns holds at most 4 MiB of them, one
/// turn at most a few MiB more.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How long to wait for a connection: long enough for a slow network, short enough for a person.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings file of the client. Unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    address: Option<String>,
    api_key: Option<String>,
    ca_cert: Option<PathBuf>,
}

/// Where to connect and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `http://` or `https://`, host and port.
    pub address: String,
    /// The API key; `None`: none was found.
    pub api_key: Option<String>,
    /// The certificate that signed the server's, as a PEM file.
    pub ca_cert: Option<PathBuf>,
    /// The longest time that one call may take.
    pub timeout: Duration,
}

impl Settings {
    /// Resolves settings: flags and environment over the settings file over defaults. Without a key
    /// and with a loopback address the key of `./keepsake-data/dev.key` is used if it is there.
    ///
    /// # Errors
    /// [`Error::Usage`] when the settings file cannot be read, is no TOML or has an unknown key.
    pub fn resolve(args: &ClientArgs) -> Result<Self, Error> {
        let file = read_file(args)?;
        let address =
            args.address.clone().or(file.address).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        let address = with_scheme(&address);
        let mut api_key = args.api_key.clone().or(file.api_key).filter(|key| !key.is_empty());
        if api_key.is_none() && is_loopback(&address) {
            api_key = std::fs::read_to_string(DEV_KEY).ok().map(|key| key.trim().to_owned());
        }
        let ca_cert = args.ca_cert.clone().or(file.ca_cert);
        Ok(Self { address, api_key, ca_cert, timeout: Duration::from_secs(args.timeout) })
    }
}

/// An address without a scheme, as `serve --listen` takes it, is plain HTTP/2.
fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

fn is_loopback(address: &str) -> bool {
    let Ok(uri) = address.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_ip = |host: &str| host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    host == "localhost" || is_ip(host)
}

fn read_file(args: &ClientArgs) -> Result<SettingsFile, Error> {
    let default = default_file();
    let (path, must_exist) = match (&args.client_config, &default) {
        (Some(path), _) => (path, true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(SettingsFile::default()),
    };
    if !must_exist && !path.exists() {
        return Ok(SettingsFile::default());
    }
    let text = read_text(path)?;
    toml::from_str(&text)
        .map_err(|e| Error::Usage(format!("cannot read the settings `{}`: {e}", path.display())))
}

fn default_file() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("keepsake").join("client.toml"))
}

/// Reads a text file, naming it when that fails.
///
/// # Errors
/// [`Error::File`] with the path.
pub fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File {
        verb: "read",
        path: path.display().to_string(),
        source,
    })
}

/// Adds the key and the deadline to each call.
#[derive(Debug, Clone)]
pub struct Credentials {
    bearer: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request.set_timeout(self.timeout);
        Ok(request)
    }
}

/// A channel that sends the key with each call.
pub type Authorised = InterceptedService<Channel, Credentials>;

/// The services of one server, as one caller.
#[derive(Debug, Clone)]
pub struct Client {
    /// Sessions, contexts and search.
    pub memory: MemoryServiceClient<Authorised>,
    /// Documents and collections.
    pub documents: DocumentServiceClient<Authorised>,
    /// Tenants, policies and keys.
    pub tenants: TenantServiceClient<Authorised>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Usage`] for an address, a key or a certificate that cannot be one, and for TLS
    /// without a certificate; [`Error::Connect`] when nobody answers.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        Self::on(channel(settings).await?, settings)
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// [`Error::Usage`] for a key that cannot be one.
    pub(super) fn on(channel: Channel, settings: &Settings) -> Result<Self, Error> {
        let bearer = settings.api_key.as_ref().map(|key| format!("Bearer {key}").parse());
        let bearer = bearer
            .transpose()
            .map_err(|_| Error::Usage("the API key holds characters that no key has".to_owned()))?;
        let credentials = Credentials { bearer, timeout: settings.timeout };
        let channel = InterceptedService::new(channel, credentials);
        Ok(Self {
            memory: MemoryServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            documents: DocumentServiceClient::new(channel.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            tenants: TenantServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX),
        })
    }
}

/// Connects, as nobody.
///
/// # Errors
/// [`Error::Usage`] for an address or a certificate that cannot be one, and for TLS without a
/// certificate; [`Error::Connect`] when nobody answers.
pub(super) async fn channel(settings: &Settings) -> Result<Channel, Error> {
    let address = settings.address.clone();
    let bad = |e: &dyn std::fmt::Display| Error::Usage(format!("address `{address}`: {e}"));
    let mut endpoint = Endpoint::from_shared(address.clone()).map_err(|e| bad(&e))?;
    if address.starts_with("https://") {
        let Some(path) = &settings.ca_cert else {
            return Err(bad(&"TLS needs --ca-cert FILE, the certificate to trust"));
        };
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read_text(path)?));
        endpoint = endpoint.tls_config(tls).map_err(|e| bad(&e))?;
    }
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|source| Error::Connect { address, source })
}

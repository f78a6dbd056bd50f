//! The real binary, its log in a file, and calls of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use keepsake::proto::v1::document_service_client::DocumentServiceClient;
use keepsake::proto::v1::memory_service_client::MemoryServiceClient;
use keepsake::proto::v1::tenant_service_client::TenantServiceClient;
use tempfile::TempDir;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Sends metadata with each call.
#[derive(Clone)]
pub struct With(Vec<(&'static str, String)>);

impl Interceptor for With {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        Ok(request)
    }
}

pub type Called = InterceptedService<Channel, With>;

/// A server in a process of its own, which ends with the test.
pub struct Server {
    child: Child,
    folder: TempDir,
    address: String,
    pub key: String,
    pub metrics: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one with these settings, given as environment variables without `KEEPSAKE_`.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"));
        command.env("KEEPSAKE_METRICS_LISTEN", free.to_string());
        command.env("KEEPSAKE_EMBEDDING_MODEL", "none");
        for (name, value) in settings {
            command.env(format!("KEEPSAKE_{name}"), value);
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut after = |begin: &str| {
            let line = lines.find_map(|line| line.strip_prefix(begin).map(str::to_owned));
            line.unwrap_or_else(|| panic!("it prints `{begin}`"))
        };
        let address = after("Keepsake listens on ");
        let address = address.split(',').next().unwrap().to_owned();
        let key = after("Development API key: ");
        Self { child, folder, address, key, metrics: free }
    }

    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap()
    }

    fn with(key: &str, more: &[(&'static str, &str)]) -> With {
        let mut all = vec![("authorization", format!("Bearer {key}"))];
        all.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        With(all)
    }

    pub async fn memory(
        &self,
        key: &str,
        more: &[(&'static str, &str)],
    ) -> MemoryServiceClient<Called> {
        MemoryServiceClient::with_interceptor(self.channel().await, Self::with(key, more))
    }

    pub async fn tenants(&self) -> TenantServiceClient<Called> {
        TenantServiceClient::with_interceptor(self.channel().await, Self::with(&self.key, &[]))
    }

    pub async fn documents(&self) -> DocumentServiceClient<Called> {
        DocumentServiceClient::with_interceptor(self.channel().await, Self::with(&self.key, &[]))
    }

    /// What Prometheus gets.
    pub fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("200 OK"), "{head}");
        body.to_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Ends it in order and gives its log.
    pub fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        fs::read_to_string(self.log_path()).unwrap()
    }
}
